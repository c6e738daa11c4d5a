//! Failures of a frame that are the slave's own to describe. Blender's come from the worker.

use netrender_core::model::result::{FailureKind, TaskError};
use std::io;

/// A failure of this kind.
pub fn failure(kind: FailureKind, message: String) -> TaskError {
    TaskError { kind, message }
}

/// The failure of a file that did not fit on the slave's disk.
pub fn disk_full(file: &str) -> TaskError {
    let why = format!("{file} could not be fetched: the slave's disk is full, make room in its data folder");
    failure(FailureKind::DiskFull, why)
}

/// True if the disk or the user's share of it is full.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
