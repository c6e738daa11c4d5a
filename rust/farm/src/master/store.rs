//! The event log on disk: SQLite in the working folder. Each record is a row of JSON with the version it was written in.
//! `append` returns once its rows survive power loss.

use netrender_core::event::{EVENT_VERSION, Record};
use rusqlite::{Connection, params};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Raised when tables change; older files are migrated, newer ones refused.
const SCHEMA_VERSION: i64 = 1;

/// Why the log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own words.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// Written by a newer build.
    #[error("{} was written by a newer netrender (format {found}): update netrender on this machine", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// A row that is not what we wrote.
    #[error("{}: event {row} can't be read ({why}): restore the folder from a backup, or start on an empty one", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// Which row.
        row: i64,
        /// Why.
        why: String,
    },
}

impl StoreError {
    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Sqlite { source, .. }
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

/// Where records are kept. The seam behind which another database can stand.
pub trait Store: Send {
    /// Makes the records durable, all or none.
    fn append(&mut self, records: &[Record]) -> Result<(), StoreError>;
    /// Every record in order.
    fn load(&mut self, each: &mut dyn FnMut(Record)) -> Result<(), StoreError>;
}

/// [`Store`] in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    db: Connection,
}

impl SqliteStore {
    /// Opens or makes the database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let db = Connection::open(path).map_err(failed)?;
        db.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer { path: path.to_owned(), found });
        }
        db.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS farm (name TEXT PRIMARY KEY, value TEXT NOT NULL);
             PRAGMA user_version = {SCHEMA_VERSION};
             COMMIT;"
        ))
        .map_err(failed)?;
        Ok(Self { path: path.to_owned(), db })
    }

    /// The farm's random id, made at the first call.
    pub fn farm_id(&mut self) -> Result<String, StoreError> {
        let failed = |source| StoreError::Sqlite { path: self.path.clone(), source };
        let fresh = crate::random_hex();
        self.db
            .execute("INSERT OR IGNORE INTO farm (name, value) VALUES ('id', ?1)", [fresh])
            .and_then(|_| self.db.query_row("SELECT value FROM farm WHERE name = 'id'", [], |row| row.get(0)))
            .map_err(failed)
    }
}

impl Store for SqliteStore {
    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let path = self.path.clone();
        let failed = |source| StoreError::Sqlite { path: path.clone(), source };
        let transaction = self.db.transaction().map_err(failed)?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO event (version, body) VALUES (?1, ?2)").map_err(failed)?;
            for record in records {
                let body = serde_json::to_string(record).map_err(|error| StoreError::Unreadable {
                    path: path.clone(),
                    row: 0,
                    why: error.to_string(),
                })?;
                insert.execute(params![EVENT_VERSION, body]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    fn load(&mut self, each: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
        let failed = |source| StoreError::Sqlite { path: self.path.clone(), source };
        let mut select = self.db.prepare("SELECT seq, version, body FROM event ORDER BY seq").map_err(failed)?;
        let mut rows = select.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (seq, version, body): (i64, u32, String) =
                row.get(0).and_then(|seq| Ok((seq, row.get(1)?, row.get(2)?))).map_err(failed)?;
            if version > EVENT_VERSION {
                return Err(StoreError::Newer { path: self.path.clone(), found: i64::from(version) });
            }
            each(serde_json::from_str(&body).map_err(|error| StoreError::Unreadable {
                path: self.path.clone(),
                row: seq,
                why: error.to_string(),
            })?);
        }
        Ok(())
    }
}
