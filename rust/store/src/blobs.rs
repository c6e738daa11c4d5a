//! Blobs: whole files by digest, as `DIR/ab/abcdef...`. A blob under its name is complete, verified
//! and durable, because it is written under a temporary name, hashed on the way, synced and
//! renamed. Leftovers of a crash are removed at start.

use netrender_core::model::digest::Digest;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Folder of unfinished blobs. On the same file system as the others, so that a rename is atomic.
const INCOMING: &str = "incoming";
/// Folder of damaged blobs, for people to look at.
const QUARANTINE: &str = "quarantine";

/// A folder of blobs.
#[derive(Clone, Debug)]
pub struct BlobStore {
    dir: PathBuf,
}

/// Reason why a blob can't be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes do not have the expected digest.
    #[error("the bytes that arrived for {expected} have the digest {found}: they were damaged on the way")]
    WrongDigest {
        /// Expected digest.
        expected: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl BlobError {
    /// True if the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

impl BlobStore {
    /// Opens or makes the folder and removes leftovers of a crash.
    pub fn open(dir: &Path) -> Result<Self, BlobError> {
        let incoming = dir.join(INCOMING);
        let failed = |source| BlobError::Io { path: incoming.clone(), source };
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::create_dir_all(&incoming).map_err(failed)?,
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// Path of this blob, whether it exists or not.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    /// True if this blob exists.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Size of a blob in bytes; `None` if it is missing.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().filter(|meta| meta.is_file()).map(|meta| meta.len())
    }

    /// Folder to write files in that become blobs by [`Self::put_file`].
    pub fn incoming_dir(&self) -> PathBuf {
        self.dir.join(INCOMING)
    }

    /// Turns a file of [`Self::incoming_dir`] into a blob, which is durable once this returns its
    /// digest.
    pub fn put_file(&self, path: &Path) -> Result<Digest, BlobError> {
        let failed = |source| BlobError::Io { path: path.to_owned(), source };
        let digest = digest_of_file(path).map_err(failed)?;
        File::options().write(true).open(path).and_then(|file| file.sync_all()).map_err(failed)?;
        self.place(&digest, |to| fs::rename(path, to))?;
        Ok(digest)
    }

    /// Moves a damaged blob away. It is missing from now on.
    pub fn quarantine(&self, digest: &Digest) -> Result<(), BlobError> {
        let dir = self.dir.join(QUARANTINE);
        let path = self.path(digest);
        let moved = fs::create_dir_all(&dir).and_then(|()| fs::rename(&path, dir.join(digest.to_string())));
        match moved {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            moved => moved.map_err(|source| BlobError::Io { path, source }),
        }
    }

    /// Removes a blob. A missing one is no error.
    pub fn remove(&self, digest: &Digest) -> Result<(), BlobError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(BlobError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// Blobs that were stored at least this long ago.
    pub fn older_than(&self, age: Duration) -> io::Result<Vec<Digest>> {
        let is_old = |digest: &Digest| {
            let came = fs::metadata(self.path(digest)).and_then(|meta| meta.modified()).ok();
            came.and_then(|came| came.elapsed().ok()).is_some_and(|passed| passed >= age)
        };
        Ok(self.all()?.into_iter().filter(is_old).collect())
    }

    /// All blobs.
    pub fn all(&self) -> io::Result<Vec<Digest>> {
        let mut all = Vec::new();
        for folder in fs::read_dir(&self.dir)? {
            let folder = folder?;
            if folder.file_name().len() != 2 {
                continue;
            }
            for entry in fs::read_dir(folder.path())? {
                all.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Digest>().ok()));
            }
        }
        Ok(all)
    }

    /// Begins a blob whose bytes come one after the other.
    pub fn incoming(&self) -> Result<Incoming, BlobError> {
        let dir = self.dir.join(INCOMING);
        let file = tempfile::NamedTempFile::new_in(&dir).map_err(|source| BlobError::Io { path: dir, source })?;
        Ok(Incoming { store: self.clone(), file, hash: blake3::Hasher::new(), bytes: 0 })
    }

    /// Gives a synced file its name as a blob, durably.
    fn place(&self, digest: &Digest, rename: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), BlobError> {
        let path = self.path(digest);
        let failed = |source| BlobError::Io { path: path.clone(), source };
        let folder = path.parent().unwrap_or(&self.dir);
        match fs::create_dir(folder) {
            Ok(()) => sync_dir(&self.dir).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        rename(&path).map_err(failed)?;
        sync_dir(folder).map_err(failed)
    }

    /// Stores bytes that are in memory. Returns their digest.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = digest_of(bytes);
        if !self.has(&digest) {
            let mut incoming = self.incoming()?;
            incoming.write(bytes)?;
            incoming.finish(Some(digest))?;
        }
        Ok(digest)
    }
}

/// A blob that is being written. Dropped unfinished, it leaves nothing behind.
pub struct Incoming {
    store: BlobStore,
    file: tempfile::NamedTempFile,
    hash: blake3::Hasher,
    bytes: u64,
}

impl Incoming {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| BlobError::Io { path: self.file.path().to_owned(), source })
    }

    /// Number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Verifies, syncs and names the blob, which is durable once this returns its digest.
    pub fn finish(self, expected: Option<Digest>) -> Result<Digest, BlobError> {
        let found = Digest(*self.hash.finalize().as_bytes());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(BlobError::WrongDigest { expected, found });
        }
        let failed = |source| BlobError::Io { path: self.store.path(&found), source };
        self.file.as_file().sync_all().map_err(failed)?;
        self.store.place(&found, |to| self.file.persist(to).map(drop).map_err(|error| error.error))?;
        Ok(found)
    }
}

/// Digest of bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

/// Digest of a file's bytes, read in bounded memory.
pub fn digest_of_file(path: &Path) -> io::Result<Digest> {
    let mut hash = blake3::Hasher::new();
    hash.update_reader(File::open(path)?)?;
    Ok(Digest(*hash.finalize().as_bytes()))
}

/// Makes renames in this folder survive a power loss. Windows has no such call; its file system
/// journals names.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_its_name_says_gets_in() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let right = store.put(b"pixels").unwrap();
        assert_eq!(fs::read(store.path(&right)).unwrap(), b"pixels");
        let mut wrong = store.incoming().unwrap();
        wrong.write(b"pixelz").unwrap();
        assert!(matches!(wrong.finish(Some(right)), Err(BlobError::WrongDigest { .. })));
        assert_eq!(fs::read_dir(dir.path().join(INCOMING)).unwrap().count(), 0, "nothing unfinished stays");
    }

    #[test]
    fn leftovers_of_a_crash_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let kept = store.put(b"done").unwrap();
        std::mem::forget(store.incoming().unwrap());
        let store = BlobStore::open(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join(INCOMING)).unwrap().count(), 0);
        assert!(store.has(&kept));
    }
}
