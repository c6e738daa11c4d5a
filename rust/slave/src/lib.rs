//! The slave: an agent on a machine that leases frames from a master, renders them in a warm
//! Blender and hands them in.
//!
//! [`Slave`] starts and stops it. Its parts run side by side: `agent` talks to the master, `render`
//! drives the `worker` (one Blender process), `hand_in` sends results. They meet in `shared`:
//! `leases` holds what the master leased to this slave, `connection` the way to the master, `files`
//! brings jobs' files to this machine, and `spool` keeps rendered films until the master has them.

mod agent;
mod bake;
mod connection;
mod device;
mod drawing;
mod error;
mod failure;
mod files;
mod folder;
mod hand_in;
mod leases;
mod log_stream;
mod options;
mod outputs;
mod render;
mod settings;
mod shared;
mod slave;
mod snapshot;
mod spool;
mod task;
mod view;
mod worker;

pub use error::SlaveError;
pub use options::SlaveOptions;
pub use slave::Slave;
pub use snapshot::{SlaveSnapshot, SlaveStatus};
