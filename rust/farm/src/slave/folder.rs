//! The slave's data folder: who it is (`slave.key`), what it keeps (`cache/`, `spool/`), and what it may lose (`jobs/`,
//! `lists/`, swept at start). One slave has it at a time.

use super::{
    SlaveError,
    cache::Cache,
    spool::{Saved, Spool},
};
use crate::{blobs::BlobStore, disk::is_nearly_full, random_hex};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// An open data folder, locked.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// How masters know this slave again.
    pub key: String,
    /// Jobs' files by digest.
    pub cache: Arc<Cache>,
    /// Jobs' lists of files.
    pub lists: BlobStore,
    /// Films that wait to be handed in.
    pub spool: Spool,
    lock: File,
}

impl Folder {
    /// Opens or makes it; also tells what was rendered and not handed in before.
    pub fn open(root: &Path, cache_limit_bytes: u64) -> Result<(Self, Vec<Saved>), SlaveError> {
        let failed = |source: io::Error| SlaveError::Folder { path: root.to_owned(), source };
        let root_path = std::path::absolute(root).map_err(failed)?;
        fs::create_dir_all(&root_path).map_err(failed)?;
        let lock = File::options().create(true).append(true).open(root_path.join("slave.lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SlaveError::FolderInUse { path: root.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        for name in ["jobs", "lists"] {
            let dir = root_path.join(name);
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => fs::create_dir_all(&dir).map_err(failed)?,
            }
        }
        let key = read_key(&root_path.join("slave.key")).map_err(failed)?;
        let cache = Arc::new(Cache::open(&root_path.join("cache"), cache_limit_bytes).map_err(failed)?);
        let lists = BlobStore::open(&root_path.join("lists")).map_err(|error| failed(io::Error::other(error)))?;
        let (spool, saved) = Spool::open(&root_path.join("spool")).map_err(failed)?;
        Ok((Self { root: root_path, key, cache, lists, spool, lock }, saved))
    }

    /// Whether there is hardly any room left.
    pub fn is_nearly_full(&self) -> bool {
        is_nearly_full(&self.root)
    }

    /// Removes all that can be fetched again. Films that wait stay, and so does the slave's name.
    pub fn clear(&self) {
        for name in ["cache", "jobs", "lists", "worker"] {
            if let Err(error) = fs::remove_dir_all(self.root.join(name)) {
                tracing::warn!(target: "netrender::slave", name, %error, "not cleared");
            }
        }
        // Goes only when nothing waits in it.
        let _ = fs::remove_dir(self.root.join("spool"));
    }

    /// Where jobs' files are laid out.
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Where the worker's script is.
    pub fn worker(&self) -> PathBuf {
        self.root.join("worker")
    }

    /// Lets another slave have it.
    pub fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(target: "netrender::slave", %error, "the data folder could not be unlocked");
        }
    }
}

fn read_key(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(key) if key.trim().len() == 32 && key.trim().bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            return Ok(key.trim().to_owned());
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // A damaged key is as good as none: the master sees a new slave.
        _ => {}
    }
    let key = random_hex();
    let new = path.with_extension("new");
    fs::write(&new, &key)?;
    fs::rename(&new, path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slave_is_known_again_and_alone_in_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = Folder::open(dir.path(), 1 << 30).unwrap();
        assert!(matches!(Folder::open(dir.path(), 1 << 30), Err(SlaveError::FolderInUse { .. })));
        fs::write(first.jobs().join("left"), "x").unwrap();
        let key = first.key.clone();
        first.release();
        let (second, _) = Folder::open(dir.path(), 1 << 30).unwrap();
        assert_eq!(second.key, key);
        assert_eq!(fs::read_dir(second.jobs()).unwrap().count(), 0, "leftovers are swept");
    }
}
