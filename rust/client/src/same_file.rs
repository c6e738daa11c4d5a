//! Identity of files: two names of one file are told from two files.

use std::path::Path;

/// Identity of a file or folder on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileId {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    /// The one path that all spellings lead to.
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

impl FileId {
    /// The identity of what is at a path, behind links; `None` if there is nothing.
    pub fn of(path: &Path) -> Option<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let meta = std::fs::metadata(path).ok()?;
            Some(Self { device_and_inode: (meta.dev(), meta.ino()) })
        }
        #[cfg(not(unix))]
        {
            Some(Self { path: std::fs::canonicalize(path).ok()? })
        }
    }
}
