//! Garbage collection of packs: pieces that no job needs are removed from the index, empty packs
//! are deleted, and sparse ones rewritten. A crash at any point leaves a consistent store: a
//! piece's new place is durable before its old one is deleted.

use super::{HEAD, PieceError, PieceStore, open_pack, pack_path};
use netrender_core::model::digest::Digest;
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::Path,
    time::Duration,
};

/// A pack is rewritten when at most one of this many bytes is still needed.
const SPARSE: u64 = 2;
/// Number of rows in one transaction.
const AT_ONCE: usize = 4096;

impl PieceStore {
    /// Removes these pieces from the index. They are missing at once; [`Self::compact`] frees their
    /// space.
    pub fn forget(&self, digests: &[Digest]) -> Result<(), PieceError> {
        let _one = self.tidying.lock();
        // Pieces that are not indexed yet must be, before they can be removed.
        self.commit()?;
        let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
        for some in digests.chunks(AT_ONCE) {
            let mut inner = self.inner.lock();
            let transaction = inner.db.transaction().map_err(failed)?;
            {
                let mut delete = transaction.prepare_cached("DELETE FROM piece WHERE digest = ?1").map_err(failed)?;
                for digest in some {
                    delete.execute([digest.0]).map_err(failed)?;
                }
            }
            transaction.commit().map_err(failed)?;
        }
        Ok(())
    }

    /// Calls `each` for every indexed piece in packs to which nothing was appended for this long.
    pub fn each_older_than(&self, age: Duration, mut each: impl FnMut(Digest)) -> Result<(), PieceError> {
        let is_old = |number: &u32| {
            let modified = fs::metadata(pack_path(&self.dir, *number)).and_then(|meta| meta.modified());
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|passed| passed >= age))
        };
        let old: HashSet<u32> = pack_numbers(&self.dir)?.into_iter().filter(is_old).collect();
        if old.is_empty() {
            return Ok(());
        }
        let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
        let db = self.reader()?;
        let mut select = db.prepare("SELECT digest, pack FROM piece").map_err(failed)?;
        let mut rows = select.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if old.contains(&row.get(1).map_err(failed)?) {
                each(Digest(row.get(0).map_err(failed)?));
            }
        }
        Ok(())
    }

    /// Frees the space of removed pieces. Returns the number of bytes.
    pub fn compact(&self) -> Result<u64, PieceError> {
        let _one = self.tidying.lock();
        self.commit()?;
        let needed = self.needed()?;
        let mut freed = 0;
        for number in pack_numbers(&self.dir)? {
            let path = pack_path(&self.dir, number);
            let length = fs::metadata(&path).map_or(0, |meta| meta.len());
            let needed = needed.get(&number).copied().unwrap_or(0);
            if length == 0 || needed * SPARSE > length || !self.step_past(number)? {
                continue;
            }
            self.move_out(number)?;
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(PieceError::Io { path, source: error });
                }
                _ => freed += length - needed,
            }
            let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
            self.inner.lock().db.execute("DELETE FROM pack WHERE number = ?1", [number]).map_err(failed)?;
        }
        Ok(freed)
    }

    /// Number of needed bytes in each pack. Uses a connection of its own, because the index may
    /// have millions of rows.
    fn needed(&self) -> Result<BTreeMap<u32, u64>, PieceError> {
        let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
        let db = self.reader()?;
        let mut select = db.prepare("SELECT pack, SUM(stored + ?1) FROM piece GROUP BY pack").map_err(failed)?;
        let rows = select
            .query_map([HEAD as i64], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?.unsigned_abs())))
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    fn reader(&self) -> Result<Connection, PieceError> {
        let path = self.dir.join("index.db");
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|source| PieceError::Index { path, source })
    }

    /// Begins a new pack if records are appended to this one. False while it holds records that are
    /// not indexed yet.
    fn step_past(&self, number: u32) -> Result<bool, PieceError> {
        let mut pack = self.pack.lock();
        if pack.number != number {
            return Ok(true);
        }
        if self.inner.lock().received.values().any(|at| at.pack == number) {
            return Ok(false);
        }
        *pack = open_pack(&self.dir, number + 1)?;
        Ok(true)
    }

    /// Appends the needed pieces of a pack to the packs.
    fn move_out(&self, number: u32) -> Result<(), PieceError> {
        let failed = |source| PieceError::Index { path: self.dir.join("index.db"), source };
        let needed: Vec<Digest> = {
            let db = self.reader()?;
            let mut select = db.prepare("SELECT digest FROM piece WHERE pack = ?1 ORDER BY offset").map_err(failed)?;
            let rows = select.query_map([number], |row| row.get(0).map(Digest)).map_err(failed)?;
            rows.collect::<Result<_, _>>().map_err(failed)?
        };
        for some in needed.chunks(AT_ONCE) {
            for digest in some {
                // Reading removes a damaged piece.
                let Some(record) = self.get(digest)? else { continue };
                let mut pack = self.pack.lock();
                let at = self.append(&mut pack, &record)?;
                self.inner.lock().received.insert(*digest, at);
            }
            self.commit()?;
        }
        Ok(())
    }
}

fn pack_numbers(dir: &Path) -> Result<Vec<u32>, PieceError> {
    let listing = |source| PieceError::Io { path: dir.to_owned(), source };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(listing)? {
        let name = entry.map_err(listing)?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".pack")?.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{blobs::digest_of, pieces::Record};
    use bytes::Bytes;
    use netrender_core::files::recipe::Piece;

    fn put(store: &PieceStore, number: u32) -> Digest {
        let bytes = number.to_le_bytes().repeat(5000);
        let piece = Piece { digest: digest_of(&bytes), bytes: bytes.len() as u32 };
        store.put(&Record::plain(piece, Bytes::from(bytes))).unwrap();
        piece.digest
    }

    fn on_disk(dir: &Path) -> u64 {
        pack_numbers(dir).unwrap().iter().map(|number| fs::metadata(pack_path(dir, *number)).unwrap().len()).sum()
    }

    #[test]
    fn what_is_forgotten_is_gone_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        let all: Vec<Digest> = (0..100).map(|number| put(&store, number)).collect();
        store.commit().unwrap();
        let before = on_disk(dir.path());
        let (kept, gone) = all.split_at(20);
        store.forget(gone).unwrap();
        assert_eq!(store.missing(gone).unwrap(), [true; 80]);
        assert!(store.compact().unwrap() >= before * 7 / 10);
        assert!(on_disk(dir.path()) <= before / 4);
        for store in [store, PieceStore::open(dir.path()).unwrap()] {
            assert!(kept.iter().all(|digest| store.get(digest).unwrap().is_some()));
            assert_eq!(store.missing(gone).unwrap(), [true; 80]);
        }
    }

    #[test]
    fn what_is_forgotten_does_not_come_back_by_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        let all: Vec<Digest> = (0..10).map(|number| put(&store, number)).collect();
        // Not made durable yet, and the last ones of their pack.
        store.forget(&all[6..]).unwrap();
        drop(store);
        let store = PieceStore::open(dir.path()).unwrap();
        assert_eq!(store.missing(&all[6..]).unwrap(), [true; 4]);
        assert_eq!(store.missing(&all[..6]).unwrap(), [false; 6]);
        // And what is sent again is there again
        assert_eq!(put(&store, 9), all[9]);
        drop(store);
        assert_eq!(PieceStore::open(dir.path()).unwrap().missing(&all[9..]).unwrap(), [false]);
    }

    #[test]
    fn a_pack_with_nothing_left_goes_and_one_that_is_needed_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        let all: Vec<Digest> = (0..10).map(|number| put(&store, number)).collect();
        store.forget(&all[..4]).unwrap();
        let before = on_disk(dir.path());
        assert_eq!(store.compact().unwrap(), 0);
        assert_eq!(on_disk(dir.path()), before);
        store.forget(&all).unwrap();
        assert_eq!(store.compact().unwrap(), before);
        assert_eq!(on_disk(dir.path()), 0);
    }

    #[test]
    fn pieces_can_be_read_and_come_in_while_their_pack_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        let all: Vec<Digest> = (0..2000).map(|number| put(&store, number)).collect();
        store.commit().unwrap();
        let (kept, gone) = all.split_at(500);
        store.forget(gone).unwrap();
        std::thread::scope(|scope| {
            let reader =
                scope.spawn(|| (0..20).all(|_| kept.iter().all(|digest| store.get(digest).unwrap().is_some())));
            let writer = scope.spawn(|| (5000..5500).map(|number| put(&store, number)).collect::<Vec<_>>());
            for _ in 0..5 {
                store.compact().unwrap();
            }
            assert!(reader.join().unwrap());
            let new = writer.join().unwrap();
            store.compact().unwrap();
            let again = PieceStore::open(dir.path());
            assert!(again.unwrap().missing(&new).unwrap().iter().all(|missing| !missing));
        });
    }
}
