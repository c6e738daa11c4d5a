//! The master's store of pieces: records one after the other in pack files, and an index of their
//! places in SQLite.
//!
//! A piece is received first and durable later: [`PieceStore::commit`] syncs the packs and then
//! writes the index, so that the index never names a piece that is not there. It runs regularly
//! while pieces come, and before a job is accepted. Records that a crash leaves beyond the index
//! are read again at the start, as far as they are complete. Each piece is verified when it is
//! received and when it is read.

mod tidy;

use super::record::{HEAD, MAX_RECORD_BYTES, Record, RecordError};
use netrender_core::{files::recipe::Piece, model::digest::Digest};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Length at which a pack is full.
const PACK_BYTES: u64 = 1 << 30;
/// Number of pieces that are looked up under one lock.
const LOOKED_UP: usize = 4096;
/// Raised when the format of index or packs changes; newer formats are refused. 2: the index stores
/// how far each pack is indexed, because a pack may hold pieces that were removed.
const SCHEMA_VERSION: i64 = 2;

/// Reason why a piece can't be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// The record is not valid.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// An operation on the index failed.
    #[error("{}: {source}", path.display())]
    Index {
        /// Path of the index.
        path: PathBuf,
        /// Error of SQLite.
        source: rusqlite::Error,
    },
    /// A newer version wrote the index.
    #[error("{} was written by a newer netrender (format {found}): update netrender on this machine", path.display())]
    Newer {
        /// Path of the index.
        path: PathBuf,
        /// Format of the index.
        found: i64,
    },
}

impl PieceError {
    /// True if the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Index { source, .. } => source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }
}

/// Place of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
struct At {
    pack: u32,
    offset: u64,
    bytes: u32,
    stored: u32,
}

/// The pack that records are appended to.
struct Pack {
    number: u32,
    file: File,
    length: u64,
}

struct Inner {
    db: Connection,
    /// Places of pieces that are received and not indexed yet.
    received: HashMap<Digest, At>,
}

/// An open store of pieces.
pub struct PieceStore {
    dir: PathBuf,
    inner: Mutex<Inner>,
    /// Must not be locked while `inner` is.
    pack: Mutex<Pack>,
    /// Held during a commit.
    committing: Mutex<()>,
    /// Held during a clean-up.
    tidying: Mutex<()>,
}

impl PieceStore {
    /// Opens or makes the folder, and indexes the records that a crash left beyond the index.
    pub fn open(dir: &Path) -> Result<Self, PieceError> {
        fs::create_dir_all(dir).map_err(|source| PieceError::Io { path: dir.to_owned(), source })?;
        let path = dir.join("index.db");
        let failed = |source| PieceError::Index { path: path.clone(), source };
        let db = Connection::open(&path).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        if found > SCHEMA_VERSION {
            return Err(PieceError::Newer { path, found });
        }
        let migrate = if found == 1 {
            format!("INSERT INTO pack SELECT pack, MAX(offset + stored) + {HEAD} FROM piece GROUP BY pack;")
        } else {
            String::new()
        };
        db.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE IF NOT EXISTS piece (digest BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
                bytes INTEGER NOT NULL, stored INTEGER NOT NULL) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS pack (number INTEGER PRIMARY KEY, indexed INTEGER NOT NULL);
             {migrate}
             PRAGMA user_version = {SCHEMA_VERSION};
             COMMIT;"
        ))
        .map_err(failed)?;
        let mut received = HashMap::new();
        let last = salvage(dir, &db, &mut received)?;
        let pack = open_pack(dir, last)?;
        let store = Self {
            dir: dir.to_owned(),
            inner: Mutex::new(Inner { db, received }),
            pack: Mutex::new(pack),
            committing: Mutex::default(),
            tidying: Mutex::default(),
        };
        store.commit()?;
        Ok(store)
    }

    /// Returns for each of these pieces whether it is missing.
    pub fn missing(&self, digests: &[Digest]) -> Result<Vec<bool>, PieceError> {
        let mut missing = Vec::with_capacity(digests.len());
        // The lock is released in between, so that others get their turn.
        for some in digests.chunks(LOOKED_UP) {
            let inner = self.inner.lock();
            for digest in some {
                missing.push(self.find(&inner, digest)?.is_none());
            }
        }
        Ok(missing)
    }

    /// Length of a piece; `None` if it is missing.
    pub fn size(&self, digest: &Digest) -> Result<Option<u32>, PieceError> {
        Ok(self.find(&self.inner.lock(), digest)?.map(|at| at.bytes))
    }

    /// Verifies and stores a piece. It is durable after the next [`Self::commit`].
    pub fn put(&self, record: &Record) -> Result<(), PieceError> {
        record.verify()?;
        // One thread writes at a time: with several, the system would make the others spin on the
        // file.
        let mut pack = self.pack.lock();
        if self.find(&self.inner.lock(), &record.piece.digest)?.is_some() {
            return Ok(());
        }
        let at = self.append(&mut pack, record)?;
        // Before the pack is unlocked: a clean-up must not take it for one without new records.
        self.inner.lock().received.insert(record.piece.digest, at);
        Ok(())
    }

    /// Appends a record to the packs.
    fn append(&self, pack: &mut Pack, record: &Record) -> Result<At, PieceError> {
        let length = record.length() as u64;
        if pack.length > 0 && pack.length + length > PACK_BYTES {
            *pack = open_pack(&self.dir, pack.number + 1)?;
        }
        let at = At {
            pack: pack.number,
            offset: pack.length,
            bytes: record.piece.bytes,
            stored: record.stored_length() as u32,
        };
        let failed = |source| PieceError::Io { path: pack_path(&self.dir, at.pack), source };
        write_at(&pack.file, &record.head(), at.offset).map_err(failed)?;
        let mut offset = at.offset + HEAD as u64;
        for part in record.parts() {
            write_at(&pack.file, part, offset).map_err(failed)?;
            offset += part.len() as u64;
        }
        pack.length += length;
        Ok(at)
    }

    /// Reads and verifies a piece; `None` if it is missing. A damaged one is removed and counts as
    /// missing.
    pub fn get(&self, digest: &Digest) -> Result<Option<Record>, PieceError> {
        match self.read(digest)? {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(record)),
            Some(Err(why)) => {
                tracing::error!(%digest, why, "a piece is rotten: it is asked for again");
                let mut inner = self.inner.lock();
                inner.received.remove(digest);
                let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
                inner.db.execute("DELETE FROM piece WHERE digest = ?1", [digest.0]).map_err(failed)?;
                Ok(None)
            }
        }
    }

    /// Returns why a piece is missing or damaged; `None` if it is in order. Changes nothing.
    pub fn look(&self, digest: &Digest) -> Result<Option<String>, PieceError> {
        Ok(match self.read(digest)? {
            None => Some(format!("the piece {digest} is not here")),
            Some(read) => read.err(),
        })
    }

    /// Reads a piece, or the reason why it is damaged; `None` if it is missing.
    fn read(&self, digest: &Digest) -> Result<Option<Result<Record, String>>, PieceError> {
        let Some((at, path, file)) = self.locate(digest)? else { return Ok(None) };
        let mut stored = vec![0; at.stored as usize];
        let piece = Piece { digest: *digest, bytes: at.bytes };
        let read = read_at(&file, &mut stored, at.offset + HEAD as u64);
        let record = Record::stored(piece, stored);
        let damaged = |why: String| format!("the piece {digest} in {} is damaged: {why}", path.display());
        match read {
            Ok(()) => Ok(Some(record.verify().map(|()| record).map_err(|error| damaged(error.to_string())))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(Err(damaged(error.to_string())))),
            Err(source) => Err(PieceError::Io { path: path.clone(), source }),
        }
    }

    /// Opens the pack that holds a piece; `None` if the piece is missing.
    fn locate(&self, digest: &Digest) -> Result<Option<(At, PathBuf, File)>, PieceError> {
        let mut moved = false;
        loop {
            let Some(at) = self.find(&self.inner.lock(), digest)? else { return Ok(None) };
            let path = pack_path(&self.dir, at.pack);
            match File::open(&path) {
                Ok(file) => return Ok(Some((at, path, file))),
                // A clean-up moved the piece since it was found.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !moved => moved = true,
                Err(source) => return Err(PieceError::Io { path, source }),
            }
        }
    }

    /// Makes all pieces received so far durable: they survive a power loss.
    pub fn commit(&self) -> Result<(), PieceError> {
        let _one = self.committing.lock();
        let received: Vec<(Digest, At)> =
            self.inner.lock().received.iter().map(|(digest, at)| (*digest, *at)).collect();
        if received.is_empty() {
            return Ok(());
        }
        let mut packs = BTreeMap::new();
        for (_, at) in &received {
            let end: &mut u64 = packs.entry(at.pack).or_default();
            *end = (*end).max(at.offset + HEAD as u64 + u64::from(at.stored));
        }
        for pack in packs.keys() {
            let path = pack_path(&self.dir, *pack);
            let synced = File::options().write(true).open(&path).and_then(|file| file.sync_data());
            synced.map_err(|source| PieceError::Io { path, source })?;
        }
        crate::blobs::sync_dir(&self.dir).map_err(|source| PieceError::Io { path: self.dir.clone(), source })?;
        let mut inner = self.inner.lock();
        let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
        let transaction = inner.db.transaction().map_err(failed)?;
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO piece (digest, pack, offset, bytes, stored) VALUES (?1, ?2, ?3, ?4, ?5)",
                )
                .map_err(failed)?;
            for (digest, at) in &received {
                // An offset is below PACK_BYTES plus one record.
                insert.execute(params![digest.0, at.pack, at.offset as i64, at.bytes, at.stored]).map_err(failed)?;
            }
            let mut reach = transaction
                .prepare_cached(
                    "INSERT INTO pack (number, indexed) VALUES (?1, ?2)
                     ON CONFLICT (number) DO UPDATE SET indexed = MAX(indexed, excluded.indexed)",
                )
                .map_err(failed)?;
            for (pack, end) in &packs {
                reach.execute(params![pack, end.cast_signed()]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        for (digest, at) in &received {
            // If a piece was moved meanwhile, the next commit indexes its new place.
            if inner.received.get(digest) == Some(at) {
                inner.received.remove(digest);
            }
        }
        Ok(())
    }

    fn find(&self, inner: &Inner, digest: &Digest) -> Result<Option<At>, PieceError> {
        if let Some(at) = inner.received.get(digest) {
            return Ok(Some(*at));
        }
        let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
        let mut select = inner
            .db
            .prepare_cached("SELECT pack, offset, bytes, stored FROM piece WHERE digest = ?1")
            .map_err(failed)?;
        let read = |row: &rusqlite::Row<'_>| {
            let offset: i64 = row.get(1)?;
            Ok(At { pack: row.get(0)?, offset: offset.unsigned_abs(), bytes: row.get(2)?, stored: row.get(3)? })
        };
        select.query_row([digest.0], read).optional().map_err(failed)
    }
}

fn pack_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}.pack"))
}

fn open_pack(dir: &Path, number: u32) -> Result<Pack, PieceError> {
    let path = pack_path(dir, number);
    let failed = |source| PieceError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok(Pack { number, file, length })
}

/// Finds the records in packs beyond the index, up to the first incomplete one. Returns the number
/// of the last pack.
fn salvage(dir: &Path, db: &Connection, received: &mut HashMap<Digest, At>) -> Result<u32, PieceError> {
    let listing = |source| PieceError::Io { path: dir.to_owned(), source };
    let mut last = 1;
    for entry in fs::read_dir(dir).map_err(listing)? {
        let name = entry.map_err(listing)?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_suffix(".pack")?.parse::<u32>().ok()) else {
            continue;
        };
        last = last.max(number);
        let indexed: Option<i64> = db
            .query_row("SELECT indexed FROM pack WHERE number = ?1", [number], |row| row.get(0))
            .optional()
            .map_err(|source| PieceError::Index { path: dir.join("index.db"), source })?;
        let path = pack_path(dir, number);
        let failed = |source| PieceError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut offset = indexed.unwrap_or(0).unsigned_abs();
        while let Some((piece, stored)) = whole_record(&file, offset, length) {
            received.insert(piece.digest, At { pack: number, offset, bytes: piece.bytes, stored });
            offset += (HEAD as u64) + u64::from(stored);
        }
    }
    Ok(last)
}

fn whole_record(file: &File, offset: u64, length: u64) -> Option<(Piece, u32)> {
    let mut head = [0; HEAD];
    if offset + HEAD as u64 > length {
        return None;
    }
    read_at(file, &mut head, offset).ok()?;
    let (piece, stored) = Record::parse_head(&head).ok()?;
    if offset + (HEAD + stored) as u64 > length || HEAD + stored > MAX_RECORD_BYTES {
        return None;
    }
    let mut bytes = vec![0; stored];
    read_at(file, &mut bytes, offset + HEAD as u64).ok()?;
    Record::stored(piece, bytes).verify().ok()?;
    Some((piece, stored as u32))
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::digest_of;
    use bytes::Bytes;

    fn record(bytes: &[u8]) -> Record {
        Record::plain(Piece { digest: digest_of(bytes), bytes: bytes.len() as u32 }, Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn a_crash_loses_nothing_that_was_written_whole() {
        // Given one piece in the index, one beyond it, and half of a third
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (record(b"first"), record(b"second"));
        let store = PieceStore::open(dir.path()).unwrap();
        store.put(&first).unwrap();
        store.commit().unwrap();
        store.put(&second).unwrap();
        drop(store);
        let pack = pack_path(dir.path(), 1);
        let half = [fs::read(&pack).unwrap(), record(b"third").head().to_vec()].concat();
        fs::write(&pack, half).unwrap();

        // When the store is opened again, then two are there, and what follows does not disturb
        // them
        let store = PieceStore::open(dir.path()).unwrap();
        store.put(&record(b"fourth")).unwrap();
        store.commit().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        for bytes in [&b"first"[..], b"second", b"fourth"] {
            let kept = store.get(&digest_of(bytes)).unwrap().unwrap();
            assert_eq!(&*kept.open().unwrap(), bytes);
        }
        assert_eq!(store.missing(&[digest_of(b"third"), digest_of(b"first")]).unwrap(), [true, false]);
    }

    #[test]
    fn a_rotten_piece_is_forgotten_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        let piece = record(b"pixels");
        store.put(&piece).unwrap();
        store.commit().unwrap();
        let pack = pack_path(dir.path(), 1);
        let mut bytes = fs::read(&pack).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&pack, bytes).unwrap();
        assert!(store.get(&piece.piece.digest).unwrap().is_none());
        assert_eq!(store.missing(&[piece.piece.digest]).unwrap(), [true]);
        store.put(&piece).unwrap();
        assert!(store.get(&piece.piece.digest).unwrap().is_some());
    }

    #[test]
    fn only_what_its_name_says_gets_in() {
        let dir = tempfile::tempdir().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        let wrong = Record::plain(record(b"pixels").piece, Bytes::from_static(b"pixelz"));
        assert!(matches!(store.put(&wrong), Err(PieceError::Record(RecordError::WrongDigest { .. }))));
        assert_eq!(store.missing(&[wrong.piece.digest]).unwrap(), [true]);
    }
}
