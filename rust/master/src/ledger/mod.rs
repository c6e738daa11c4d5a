//! The farm's state: the thread that owns it, its event log and history on disk, and the rows that
//! lists show of it.
//!
//! What does not live here: anything of HTTP, and background work (see `services`).

pub mod blob_refs;
pub mod clock;
pub mod data_folder;
pub mod farm_handle;
mod farm_thread;
pub mod history;
pub mod request;
pub mod rows;
pub mod store;
