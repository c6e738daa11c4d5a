//! What a farm is and how it decides: jobs, frames, slaves, leases, and the words master and slaves exchange.
//!
//! Everything here is pure: no clock, no files, no network, no chance. [`scheduler::decide`] turns a command into
//! [`event::Event`]s; [`farm::Farm::apply`] is the only place where state changes, for live work and for replay alike.

pub mod balance;
pub mod chronicle;
pub mod digest;
pub mod edit;
pub mod error;
pub mod event;
pub mod farm;
pub mod frames;
pub mod ids;
mod invariants;
pub mod job;
pub mod lease;
pub mod liveness;
pub mod manifest;
mod more;
mod poll;
pub mod recipe;
pub mod retry;
pub mod rules;
pub mod scheduler;
#[cfg(feature = "schema")]
mod schema;
pub mod settings;
pub mod share;
pub mod slave;
pub mod snapshot;
pub mod task;
pub mod wire;
