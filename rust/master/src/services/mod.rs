//! The master's verbs beyond single commands of the farm: jobs and results with their files,
//! merging, garbage collection, the change feed, logs, figures. A service has the few handles it
//! uses.
//!
//! What does not live here: requests, responses and status codes (see `http`).

pub mod archive;
pub mod blob_reader;
pub mod change_feed;
pub mod figures;
pub mod folder_check;
pub mod frames;
pub mod gc;
pub mod intake;
pub mod job_files;
pub mod jobs;
pub mod merge;
pub mod pass_cache;
pub mod results;
pub mod slave_logs;
pub mod slaves;
