//! Forms in which a farm is stored: snapshots, and its history for people.

pub mod chronicle;
pub mod snapshot;
pub mod task_row;
