//! The slave's data folder: its identity (`slave.key`), lasting files (`cache/`, `spool/`) and
//! temporary ones (`jobs/`, `lists/`, removed at start). A lock keeps other slaves out.

use super::{
    error::SlaveError,
    files::Cache,
    spool::{Saved, Spool},
};
use netrender_net::{machine_name, random_hex};
use netrender_store::{
    blobs::{BlobStore, digest_of},
    disk::is_nearly_full,
    private_folder,
};
use parking_lot::Mutex;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

const KEY: &str = "slave.key";
const LOCK: &str = "slave.lock";

/// An open and locked data folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Random id of this process, by which a master tells it from another one with the same key.
    pub session: String,
    /// Identity of the folder: two folders have different ones, also on machines that are copies
    /// of each other.
    pub place: String,
    key: Mutex<String>,
    /// Cache of jobs' files.
    pub cache: Arc<Cache>,
    /// Manifests of jobs, and merged films that are being finished.
    pub lists: BlobStore,
    /// Films that wait to be handed in.
    pub spool: Spool,
    lock: File,
}

impl Folder {
    /// Opens or makes the folder. Also returns the films that an earlier run did not hand in.
    pub fn open(root: &Path, cache_limit_bytes: u64) -> Result<(Self, Vec<Saved>), SlaveError> {
        let failed = |source: io::Error| SlaveError::Folder { path: root.to_owned(), source };
        let root_path = std::path::absolute(root).map_err(failed)?;
        private_folder::make(&root_path, LOCK).map_err(failed)?;
        let lock = File::options().create(true).append(true).open(root_path.join(LOCK)).map_err(failed)?;
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
        let key = Mutex::new(read_key(&root_path.join(KEY)).map_err(failed)?);
        let (session, place) = (random_hex(), place_of(&root_path));
        let cache = Arc::new(Cache::open(&root_path.join("cache"), cache_limit_bytes).map_err(failed)?);
        let lists = BlobStore::open(&root_path.join("lists")).map_err(|error| failed(io::Error::other(error)))?;
        let (spool, saved) = Spool::open(&root_path.join("spool")).map_err(failed)?;
        Ok((Self { root: root_path, session, place, key, cache, lists, spool, lock }, saved))
    }

    /// Random key by which masters recognise this slave.
    pub fn key(&self) -> String {
        self.key.lock().clone()
    }

    /// Replaces the key, because another slave works with it: this folder or that one is a copy.
    /// The master sees a new slave.
    pub fn renew_key(&self) -> io::Result<()> {
        *self.key.lock() = make_key(&self.root.join(KEY))?;
        Ok(())
    }

    /// True if the disk has hardly any room left.
    pub fn is_nearly_full(&self) -> bool {
        is_nearly_full(&self.root)
    }

    /// Removes everything that can be fetched again. Films that wait and the slave's key stay.
    pub fn clear(&self) {
        for name in ["cache", "jobs", "lists", "worker"] {
            if let Err(error) = fs::remove_dir_all(self.root.join(name)) {
                tracing::warn!(name, %error, "not cleared");
            }
        }
        // Succeeds only if no film waits.
        let _ = fs::remove_dir(self.root.join("spool"));
    }

    /// Folder that jobs' files are laid out in.
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Folder of the worker's scripts.
    pub fn worker(&self) -> PathBuf {
        self.root.join("worker")
    }

    /// Unlocks the folder.
    pub fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the data folder could not be unlocked");
        }
    }
}

/// Reads the key, or makes one.
fn read_key(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(key) if key.trim().len() == 32 && key.trim().bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            return Ok(key.trim().to_owned());
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // A damaged key is replaced: the master sees a new slave.
        _ => {}
    }
    make_key(path)
}

/// Identity of a data folder on this machine, as a digest.
fn place_of(root: &Path) -> String {
    // Different at each start of the system, copies of a virtual machine included.
    let system = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    #[cfg(unix)]
    let folder = fs::metadata(root).map(|meta| {
        use std::os::unix::fs::MetadataExt;
        format!("{} {}", meta.dev(), meta.ino())
    });
    #[cfg(not(unix))]
    let folder = Ok::<_, io::Error>(root.display().to_string());
    let folder = folder.unwrap_or_else(|_| root.display().to_string());
    digest_of(format!("{} {system} {folder}", machine_name()).as_bytes()).to_string()
}

fn make_key(path: &Path) -> io::Result<String> {
    let key = random_hex();
    let new = path.with_extension("new");
    private_folder::write_secret(&new, &key)?;
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
        let (key, place) = (first.key(), first.place.clone());
        first.release();
        let (second, _) = Folder::open(dir.path(), 1 << 30).unwrap();
        assert_eq!((second.key(), &second.place), (key.clone(), &place));
        assert_ne!(second.session, first.session);
        second.renew_key().unwrap();
        assert_ne!(second.key(), key);
        second.release();
        let copy = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join(KEY), copy.path().join(KEY)).unwrap();
        let (third, _) = Folder::open(copy.path(), 1 << 30).unwrap();
        assert_eq!(third.key(), second.key());
        assert_ne!(third.place, place, "a copy has another place");
        assert_eq!(fs::read_dir(second.jobs()).unwrap().count(), 0, "leftovers are swept");
    }
}
