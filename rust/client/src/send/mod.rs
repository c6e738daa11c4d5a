//! Sending a job's files: cut into pieces, of which only those travel that the master lacks.

mod compression;
mod cut;
mod cut_cache;
mod reader;
mod sender;

pub use sender::Sender;
