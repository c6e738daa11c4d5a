//! Jobs' files on this machine. [`JobFiles`] prepares them, one job at a time: `fetch` brings
//! absent ones into the [`Cache`], `tree` lays them out as on the artist's machine, `libraries` sets
//! the paths between .blend files right, `writable` says which files Blender may write.

mod cache;
mod fetch;
mod job_files;
mod libraries;
mod tree;
mod writable;

pub use cache::Cache;
pub use job_files::JobFiles;
pub use tree::JobTree;
