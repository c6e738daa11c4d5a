//! Free room on a disk.

use fs4::{FileExt, FsStats};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Reserve for files that must be written in any case, above all logs.
const RESERVE_BYTES: u64 = 64 << 20;
/// On a small disk the reserve is one of this many parts of it.
const RESERVE_PART: u64 = 16;

/// True if only the reserve is left on the disk that holds this folder. False where the system
/// gives no information.
pub fn is_nearly_full(folder: &Path) -> bool {
    fs4::statvfs(folder).is_ok_and(|disk| disk.available_space() < reserve_of(&disk))
}

fn reserve_of(disk: &FsStats) -> u64 {
    RESERVE_BYTES.min(disk.total_space() / RESERVE_PART)
}

/// A file in a working folder that takes the reserve once more. Whoever finds the disk full gives
/// it up, so that a database can be opened and put in order even then.
pub struct Reserve(PathBuf);

impl Reserve {
    /// The reserve of this folder, whether it is there or not.
    pub fn of(folder: &Path) -> Self {
        Self(folder.join("reserve"))
    }

    /// Gives the room up if the disk is nearly full.
    pub fn release_if_needed(&self) -> io::Result<()> {
        if !self.folder().is_some_and(is_nearly_full) {
            return Ok(());
        }
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes the room, unless that would make the disk nearly full. Not every file system can keep
    /// room for a file.
    pub fn keep(&self) -> io::Result<()> {
        let Some(folder) = self.folder() else { return Ok(()) };
        let disk = fs4::statvfs(folder)?;
        let bytes = reserve_of(&disk);
        if self.0.metadata().is_ok_and(|meta| meta.len() >= bytes) || disk.available_space() < 2 * bytes {
            return Ok(());
        }
        let kept = File::create(&self.0).and_then(|file| file.allocate(bytes));
        if kept.is_err() {
            let _ = std::fs::remove_file(&self.0);
        }
        kept
    }

    fn folder(&self) -> Option<&Path> {
        self.0.parent()
    }
}
