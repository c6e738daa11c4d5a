//! All of the farm's I/O: the master's and the slave's services, the client, discovery, and the command line.
//!
//! `master` and `slave` never import each other; they share `netrender_core::wire`, [`blobs`] and [`api`].

pub mod api;
pub mod blobs;
pub mod slave;
