//! Cache of how files were cut, so that sending a scene again does not read everything again. A
//! file counts as unchanged while its size, time and inode are the same. Losing the cache only
//! costs time, so its errors are logged and never stop a transfer.

use super::cut::CUT_VERSION;
use netrender_core::files::recipe::{self, Piece};
use netrender_store::private_folder;
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    fs::Metadata,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const FILES: &str = "files.db";
/// Age below which a file may change again within the same tick of its file system's clock.
const SETTLED: Duration = Duration::from_secs(2);
/// Upper bound of cached files; the least recently sent go first.
const MAX_FILES: u32 = 200_000;
/// Time to wait for another client that is writing.
const BUSY: Duration = Duration::from_secs(2);

/// Distinguishes versions of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Size of the file.
    pub bytes: u64,
    modified_ns: i64,
    inode: i64,
}

impl Stamp {
    /// Stamp of a file as it is now.
    pub fn of(meta: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(meta).cast_signed();
        // Windows tells the number of open files only; size and time must do.
        #[cfg(not(unix))]
        let inode = 0;
        Self { bytes: meta.len(), modified_ns: nanoseconds(meta.modified().unwrap_or(UNIX_EPOCH)), inode }
    }

    fn is_settled(&self) -> bool {
        let age = nanoseconds(SystemTime::now()).saturating_sub(self.modified_ns);
        age > i64::try_from(SETTLED.as_nanos()).unwrap_or(i64::MAX)
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// An open cache. One that can't be opened stays empty.
pub struct CutCache(Option<Connection>);

impl CutCache {
    /// Opens the user's own cache.
    pub fn open() -> Self {
        let Some(folder) = netrender_net::folders::cache() else { return Self(None) };
        Self::open_in(&folder)
    }

    fn open_in(folder: &Path) -> Self {
        let opened = private_folder::make(folder, FILES)
            .map_err(|error| error.to_string())
            .and_then(|()| open(&folder.join(FILES)).map_err(|error| error.to_string()));
        if let Err(error) = &opened {
            tracing::warn!(folder = %folder.display(), "files are read again, what was remembered of them can't be: {error}");
        }
        Self(opened.ok())
    }

    /// Pieces of the file if this version of it was cut.
    pub fn get(&self, path: &str, stamp: &Stamp) -> Option<Vec<Piece>> {
        let db = self.0.as_ref()?;
        let (count, list): (u32, Vec<u8>) = logged(
            db.query_row(
                "SELECT pieces, list FROM file WHERE path = ?1 AND bytes = ?2 AND modified_ns = ?3 AND inode = ?4",
                params![path, stamp.bytes.cast_signed(), stamp.modified_ns, stamp.inode],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional(),
        )??;
        recipe::decode(&list, count, stamp.bytes).ok()
    }

    /// Adds a file that was cut. Files that changed a moment ago are left out.
    fn put(&self, path: &str, stamp: &Stamp, pieces: &[Piece]) {
        let Some(db) = self.0.as_ref().filter(|_| stamp.is_settled()) else { return };
        let now = nanoseconds(SystemTime::now());
        logged(db.execute(
            "INSERT OR REPLACE INTO file (path, bytes, modified_ns, inode, pieces, list, used_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                path,
                stamp.bytes.cast_signed(),
                stamp.modified_ns,
                stamp.inode,
                u32::try_from(pieces.len()).unwrap_or(u32::MAX),
                recipe::encode(pieces),
                now
            ],
        ));
    }

    /// Adds files in one transaction: a hundred thousand small files would otherwise be as many
    /// writes to the disk.
    pub fn put_all<'a>(&mut self, files: impl Iterator<Item = (&'a str, Stamp, &'a [Piece])>) {
        if let Some(db) = &self.0 {
            logged(db.execute_batch("BEGIN"));
            for (path, stamp, pieces) in files {
                self.put(path, &stamp, pieces);
            }
            logged(db.execute(
                "DELETE FROM file WHERE path IN (SELECT path FROM file ORDER BY used_ns DESC LIMIT -1 OFFSET ?1)",
                [MAX_FILES],
            ));
            logged(db.execute_batch("COMMIT"));
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != CUT_VERSION {
        db.execute_batch("DROP TABLE IF EXISTS file")?;
    }
    db.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
            inode INTEGER NOT NULL, pieces INTEGER NOT NULL, list BLOB NOT NULL, used_ns INTEGER NOT NULL) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS file_used ON file (used_ns);
         PRAGMA user_version = {CUT_VERSION};"
    ))?;
    Ok(db)
}

/// Logs an error and drops it.
fn logged<T>(result: rusqlite::Result<T>) -> Option<T> {
    result.inspect_err(|error| tracing::debug!("the memory of files: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::model::digest::Digest;

    #[test]
    fn a_file_is_known_again_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.png");
        std::fs::write(&file, "12345").unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        let stamp = Stamp::of(&std::fs::metadata(&file).unwrap());
        let pieces = [Piece { digest: Digest([7; 32]), bytes: 5 }];
        let mut cache = CutCache::open_in(dir.path());
        assert_eq!(cache.get("a.png", &stamp), None);
        cache.put_all([("a.png", stamp, &pieces[..])].into_iter());
        assert_eq!(CutCache::open_in(dir.path()).get("a.png", &stamp).as_deref(), Some(&pieces[..]));

        std::fs::write(&file, "54321").unwrap();
        let changed = Stamp::of(&std::fs::metadata(&file).unwrap());
        assert_eq!(cache.get("a.png", &changed), None);
        cache.put_all([("a.png", changed, &pieces[..])].into_iter());
        assert_eq!(cache.get("a.png", &changed), None, "it may change again within the same tick");
    }

    #[test]
    fn a_cache_that_cannot_be_opened_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("files.db"), "this is no database at all, it is a text").unwrap();
        let cache = CutCache::open_in(dir.path());
        let stamp = Stamp { bytes: 0, modified_ns: 0, inode: 0 };
        cache.put("a", &stamp, &[]);
        assert_eq!(cache.get("a", &stamp), None);
    }
}
