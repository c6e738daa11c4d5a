//! The master's working folder: the event log, blobs and pieces in it, the lock against a second
//! master, and room on its disk.

use super::{
    history::History,
    store::{SqliteStore, StoreError},
};
use crate::error::MasterError;
use netrender_store::{
    blobs::BlobStore,
    disk::{Reserve, is_nearly_full},
    pieces::{PieceError, PieceStore},
    private_folder,
};
use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::Arc,
};

const DATABASE: &str = "farm.db";
const BLOBS: &str = "blobs";
const PIECES: &str = "pieces";
const LOCK: &str = "master.lock";

/// Reason why a folder can't be worked in: what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder can't be made, read or written.
    #[error("the working folder {} can't be used: {why}; choose another folder or mend its permissions", path.display())]
    Unusable {
        /// The folder.
        path: std::path::PathBuf,
        /// The system's words.
        why: String,
    },
    /// A second master on one folder would tear the log apart.
    #[error("another master is working in {}; stop it first, or choose another working folder", .0.display())]
    InUse(std::path::PathBuf),
    /// The event log can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pieces of the jobs' files can't be used.
    #[error(transparent)]
    Pieces(#[from] PieceError),
}

/// A folder's path, to be asked for room on its disk.
#[derive(Clone, Debug)]
pub struct DataFolder(Arc<Path>);

/// Contents of an open data folder. No other master can open it while `lock` lives.
pub struct OpenFolder {
    pub lock: File,
    pub store: SqliteStore,
    pub blobs: BlobStore,
    pub pieces: PieceStore,
}

impl DataFolder {
    pub fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// Makes the folder, proves it writable, locks it against a second master and opens what is in
    /// it.
    pub fn open(&self) -> Result<OpenFolder, FolderError> {
        let unusable = |why: &dyn ToString| self.unusable(why);
        private_folder::make(&self.0, LOCK).map_err(|error| unusable(&error))?;
        let lock = File::options().create(true).truncate(false).write(true).open(self.0.join(LOCK));
        let lock = lock.map_err(|error| unusable(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(self.0.to_path_buf())),
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
        }
        let reserve = Reserve::of(&self.0);
        reserve.release_if_needed().map_err(|error| unusable(&error))?;
        let blobs = BlobStore::open(&self.0.join(BLOBS)).map_err(|error| unusable(&error))?;
        let store = SqliteStore::open(&self.0.join(DATABASE))?;
        let pieces = PieceStore::open(&self.0.join(PIECES))?;
        if let Err(error) = reserve.keep() {
            tracing::debug!("no room is kept for a full disk: {error}");
        }
        Ok(OpenFolder { lock, store, blobs, pieces })
    }

    /// The error that this folder can't be used.
    pub fn unusable(&self, why: &dyn ToString) -> FolderError {
        FolderError::Unusable { path: self.0.to_path_buf(), why: why.to_string() }
    }

    /// True if a master has worked here.
    pub fn has_database(&self) -> bool {
        self.0.join(DATABASE).is_file()
    }

    /// The reader of the history in the folder's database.
    pub fn history(&self) -> History {
        History::at(&self.0.join(DATABASE))
    }

    /// Bytes that are free on the folder's disk. Blocks.
    pub fn free_bytes(&self) -> Option<u64> {
        fs4::available_space(&self.0).ok()
    }

    /// Bytes that the folder's disk has in all. Blocks.
    pub fn total_bytes(&self) -> Option<u64> {
        fs4::total_space(&self.0).ok()
    }

    /// Bytes that the packs of pieces have. Blocks.
    pub fn pieces_bytes(&self) -> u64 {
        bytes_in(&self.0.join(PIECES))
    }

    /// Refuses when the disk has only the reserve left.
    pub fn check_room(&self) -> Result<(), MasterError> {
        if is_nearly_full(&self.0) { Err(MasterError::DiskFull) } else { Ok(()) }
    }

    /// Removes what a master makes, and nothing else that may lie in the folder.
    pub fn clear(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.0.join(format!("{DATABASE}{suffix}")));
        }
        for name in [BLOBS, PIECES] {
            let _ = std::fs::remove_dir_all(self.0.join(name));
        }
    }
}

/// The size of all files below. Packs of pieces are few and large.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let bytes_of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(bytes_of).sum()
}
