//! The farm as a pure state machine: jobs, frames, slaves and leases, how commands change them, and
//! the messages between master and slaves.
//!
//! [`decide::decide`] turns a command into events; [`model::farm::Farm::apply`] is the only place
//! where the state changes, in live work and in replay alike.
//!
//! What does not live here: clocks, files, network, threads and random numbers. `clippy.toml`
//! refuses them by name.
//!
//! | module | content | may use |
//! |---|---|---|
//! | [`model`] | the state, and how events change it | |
//! | [`files`] | manifests and recipes of a job's files | `model` |
//! | [`durable`] | stored forms: snapshots, history | `model` |
//! | [`wire`] | messages between master, slaves and clients | `model`, `durable` |
//! | [`printable`] | texts of strangers for a terminal | |
//! | [`decide`] | commands, scheduling, refusals | all of these |

pub mod decide;
pub mod durable;
pub mod files;
pub mod model;
pub mod printable;
pub mod wire;
