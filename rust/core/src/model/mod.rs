//! State of a farm: jobs, frames, slaves and leases, and the events that change them.
//!
//! What does not live here: decisions. Nothing in this module imports [`decide`](crate::decide).

mod apply;
pub mod build;
pub mod cut;
pub mod digest;
pub mod edits;
pub mod event;
pub mod farm;
pub mod frames;
pub mod ids;
mod invariants;
pub mod job;
pub mod job_settings;
pub mod lease;
pub mod liveness;
pub mod policy;
pub mod result;
pub mod retry;
#[cfg(feature = "schema")]
mod schema;
pub mod sharing;
pub mod slave;
pub mod slave_settings;
pub mod spec;
pub mod task;
pub mod verdict;
