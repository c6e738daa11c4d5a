//! The client: sends jobs, follows the farm, fetches frames.
//!
//! A submission goes `trace` (which files does the scene need) → `plan` (what is sent, what would
//! go wrong) → `send` (only pieces that the master lacks) → `submit` (the job is queued).
//! [`Transfer`] shows how far it is and cancels it.

mod cancel;
mod changes;
mod connect;
mod disk_caches;
mod error;
mod fetch;
mod plan;
mod report;
mod same_file;
mod send;
mod split;
mod submit;
mod thumbnail;
mod trace;
mod transfer;
mod watch;

pub use cancel::cancel_all;
pub use changes::{Changes, KnownRows};
pub use connect::connect;
pub use error::ClientError;
pub use fetch::{FetchWhat, fetch, fetch_unfinished};
pub use report::{FileSize, Heading, Report, Row};
pub use submit::{JobRequest, check, submit};
pub use thumbnail::{Thumbnail, thumbnail};
pub use transfer::{Phase, Transfer, TransferSnapshot, TransferState};
pub use watch::{WatchSnapshot, WatchState, Watcher};
