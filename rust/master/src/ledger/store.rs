//! The farm on disk, in SQLite in the working folder: a log of events since the last snapshot, each
//! a row of JSON with the version it was written in, and the snapshot, a row for every job, slave
//! and task that is done or failed. `append` and `snapshot` return once what they wrote survives
//! power loss.

use super::history;
use crate::error::MasterError;
use netrender_core::{
    durable::{
        chronicle::Notes,
        snapshot::{Rest, Restore, Touched},
        task_row::{RowKind, TaskRow},
    },
    model::{
        digest::Digest,
        event::{EVENT_VERSION, Record},
        farm::Farm,
        ids::{Frame, JobId, SlaveId},
        job::JobHead,
        result::TaskResult,
        slave::Slave,
    },
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Format of the file, raised when tables change. Older files are migrated after a copy was made,
/// newer ones are refused. 2: snapshots beside the log. 3: merged parts of shared frames and their
/// goals. 4: files of File Output nodes.
const SCHEMA_VERSION: i64 = 4;

/// A task's row has about 130 bytes: three digests and a few numbers. Failures, parts of shared
/// frames and files of File Output nodes are rare, and JSON.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS farm (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY, head TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS slave (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS task (job INTEGER NOT NULL, frame INTEGER NOT NULL, state INTEGER NOT NULL,
        slave INTEGER, film BLOB, film_bytes INTEGER, preview BLOB, log BLOB, seconds REAL,
        strikes INTEGER NOT NULL, failures TEXT, parts TEXT, outputs TEXT, PRIMARY KEY (job, frame)) WITHOUT ROWID;";

/// Columns of a task before format 4.
const OLD_TASK_COLUMNS: i64 = 12;

/// Values of a task's column `state`.
const WAITING: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;
const SHARING: u8 = 3;

/// Reason why the event log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The file was written by a newer netrender.
    #[error("{} was written by a newer netrender (format {found}): update netrender on this machine", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// The format of the database or of an event in it.
        found: i64,
    },
    /// A row can't be parsed.
    #[error("{}: {what} can't be read ({why}): restore the folder from a backup, or start on an empty one", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// The row, in words.
        what: String,
        /// The parser's error.
        why: String,
    },
    /// The system gave no thread for the farm.
    #[error("the thread that keeps the farm can't be started: {0}")]
    Thread(std::io::Error),
}

impl From<StoreError> for MasterError {
    fn from(error: StoreError) -> Self {
        if error.is_disk_full() { Self::DiskFull } else { Self::Disk }
    }
}

impl StoreError {
    /// True if the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Sqlite { source, .. }
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

/// The farm's durable store. Another database can be put behind this trait.
pub trait Store: Send {
    /// Makes the records durable with the entries of the history that follow from them, all or
    /// none.
    fn append(&mut self, records: &[Record], notes: &Notes) -> Result<(), StoreError>;
    /// Writes the rows that were touched into the snapshot and empties the log, all or none.
    fn snapshot(&mut self, farm: &Farm, touched: &Touched) -> Result<(), StoreError>;
    /// The farm, and the rows of the snapshot that the log touches.
    fn load(&mut self) -> Result<(Farm, Touched), StoreError>;
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
        if (1..SCHEMA_VERSION).contains(&found) {
            let copy = path.with_extension(format!("format{found}.db"));
            tracing::warn!(copy = %copy.display(), "the farm was kept by an older netrender: it is brought up to date, and a copy kept");
            let _ = std::fs::remove_file(&copy);
            db.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map_err(failed)?;
        }
        // Tables of format 2 and 3; older files have no such table yet.
        let columns: i64 =
            db.query_row("SELECT count(*) FROM pragma_table_info('task')", [], |row| row.get(0)).map_err(failed)?;
        let widen = if columns == OLD_TASK_COLUMNS { "ALTER TABLE task ADD COLUMN outputs TEXT;" } else { "" };
        // Setting the version writes, even to the same one: a file that is up to date is left
        // alone.
        let version =
            if found == SCHEMA_VERSION { String::new() } else { format!("PRAGMA user_version = {SCHEMA_VERSION};") };
        db.execute_batch(&format!("BEGIN; {TABLES} {widen} {} {version} COMMIT;", history::TABLES)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), db })
    }

    /// The farm's random id, made at the first call.
    pub fn farm_id(&mut self) -> Result<String, StoreError> {
        let fresh = netrender_net::random_hex();
        self.db
            .execute("INSERT OR IGNORE INTO farm (name, value) VALUES ('id', ?1)", [fresh])
            .and_then(|_| self.db.query_row("SELECT value FROM farm WHERE name = 'id'", [], |row| row.get(0)))
            .map_err(|source| self.sqlite(source))
    }

    /// Damage that SQLite finds in the file, in its words.
    pub fn integrity(&self) -> Result<Option<String>, StoreError> {
        let said: String = self
            .db
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|source| self.sqlite(source))?;
        Ok((said != "ok").then(|| format!("farm.db is damaged: {said}")))
    }

    fn sqlite(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), source }
    }

    fn parse<T: DeserializeOwned>(&self, what: impl FnOnce() -> String, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
            path: self.path.clone(),
            what: what(),
            why: error.to_string(),
        })
    }

    /// Calls `each` for every row.
    fn rows(
        &self,
        select: &str,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let mut select = self.db.prepare(select).map_err(|source| self.sqlite(source))?;
        let mut rows = select.query([]).map_err(|source| self.sqlite(source))?;
        while let Some(row) = rows.next().map_err(|source| self.sqlite(source))? {
            each(row).map_err(|source| self.sqlite(source))??;
        }
        Ok(())
    }

    fn load_snapshot(&self) -> Result<Farm, StoreError> {
        let mut restore = Restore::default();
        self.rows("SELECT id, head FROM job", |row| {
            let (id, head): (u32, String) = (row.get(0)?, row.get(1)?);
            Ok(self.parse(|| format!("job {id}"), &head).map(|head: JobHead| restore.job(head)))
        })?;
        self.rows("SELECT id, body FROM slave", |row| {
            let (id, body): (u32, String) = (row.get(0)?, row.get(1)?);
            Ok(self.parse(|| format!("slave {id}"), &body).map(|slave: Slave| restore.slave(slave)))
        })?;
        let select =
            "SELECT job, frame, state, slave, film, film_bytes, preview, log, seconds, strikes, failures, parts, outputs
            FROM task";
        self.rows(select, |row| {
            let (job, frame) = (JobId(row.get(0)?), Frame(row.get(1)?));
            let kind = match row.get(2)? {
                DONE => RowKind::Done(Box::new(read_result(row)?)),
                FAILED => RowKind::Failed,
                SHARING => RowKind::Sharing,
                _ => RowKind::Waiting,
            };
            let strikes = row.get(9)?;
            let (failures, shared): (Option<String>, Option<String>) = (row.get(10)?, row.get(11)?);
            let outputs: Option<String> = row.get(12)?;
            let what = || format!("frame {frame} of job {job}");
            let mut kind = kind;
            let parse = || {
                if let (RowKind::Done(result), Some(text)) = (&mut kind, outputs) {
                    result.outputs = self.parse(what, &text)?;
                }
                let failures = failures.map_or(Ok(Vec::new()), |text| self.parse(what, &text))?;
                let shared = shared.map(|text| self.parse(what, &text)).transpose()?;
                Ok(TaskRow { kind, failures, strikes, shared })
            };
            Ok(parse().map(|row| restore.task(job, frame, row)))
        })?;
        let rest: Option<String> = self
            .db
            .query_row("SELECT value FROM farm WHERE name = 'rest'", [], |row| row.get(0))
            .optional()
            .map_err(|source| self.sqlite(source))?;
        let rest = rest.map(|text| self.parse(|| "the list of leases".into(), &text)).transpose()?;
        Ok(restore.finish(rest.unwrap_or_default()))
    }
}

impl Store for SqliteStore {
    fn append(&mut self, records: &[Record], notes: &Notes) -> Result<(), StoreError> {
        let append = |transaction: Transaction<'_>| {
            {
                let mut insert = transaction.prepare_cached("INSERT INTO event (version, body) VALUES (?1, ?2)")?;
                for record in records {
                    insert.execute(params![EVENT_VERSION, json(record)?])?;
                }
            }
            history::write(&transaction, notes)?;
            transaction.commit()
        };
        let done = self.db.transaction().and_then(append);
        done.map_err(|source| self.sqlite(source))
    }

    fn snapshot(&mut self, farm: &Farm, touched: &Touched) -> Result<(), StoreError> {
        let write = |transaction: Transaction<'_>| {
            write_jobs(&transaction, farm, touched)?;
            write_tasks(&transaction, farm, touched)?;
            for slave in touched.slaves.iter().filter_map(|id| farm.slaves.get(id)) {
                transaction
                    .execute("INSERT OR REPLACE INTO slave VALUES (?1, ?2)", params![slave.id.0, json(slave)?])?;
            }
            transaction.execute("INSERT OR REPLACE INTO farm VALUES ('rest', ?1)", [json(&Rest::of(farm))?])?;
            transaction.execute("DELETE FROM event", [])?;
            transaction.commit()
        };
        let done = self.db.transaction().and_then(write);
        done.map_err(|source| self.sqlite(source))
    }

    fn load(&mut self) -> Result<(Farm, Touched), StoreError> {
        let mut farm = self.load_snapshot()?;
        let mut touched = Touched::default();
        self.rows("SELECT seq, version, body FROM event ORDER BY seq", |row| {
            let (seq, version, body): (i64, u32, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if version > EVENT_VERSION {
                return Ok(Err(StoreError::Newer { path: self.path.clone(), found: i64::from(version) }));
            }
            Ok(self.parse(|| format!("event {seq}"), &body).map(|record: Record| {
                farm.apply(&record);
                touched.note(&farm, &record.event);
            }))
        })?;
        Ok((farm, touched))
    }
}

fn write_jobs(transaction: &Transaction<'_>, farm: &Farm, touched: &Touched) -> rusqlite::Result<()> {
    for id in &touched.jobs {
        if let Some(job) = farm.jobs.get(id) {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO job VALUES (?1, ?2)")?
                .execute(params![id.0, json(&job.head())?])?;
        } else {
            transaction.execute("DELETE FROM job WHERE id = ?1", [id.0])?;
            transaction.execute("DELETE FROM task WHERE job = ?1", [id.0])?;
        }
    }
    Ok(())
}

fn write_tasks(transaction: &Transaction<'_>, farm: &Farm, touched: &Touched) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO task VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for (id, frame) in &touched.tasks {
        let Some(task) = farm.jobs.get(id).and_then(|job| job.tasks.get(frame)) else { continue };
        let TaskRow { kind, failures, strikes, shared } = TaskRow::of(task);
        let (state, result) = match kind {
            RowKind::Waiting => (WAITING, None),
            RowKind::Done(result) => (DONE, Some(result)),
            RowKind::Failed => (FAILED, None),
            RowKind::Sharing => (SHARING, None),
        };
        let result = result.as_deref();
        let shared = shared.map(|shared| json(&shared)).transpose()?;
        let outputs = result.map(|result| &result.outputs).filter(|outputs| !outputs.is_empty());
        let outputs = outputs.map(json).transpose()?;
        let failures = if failures.is_empty() { None } else { Some(json(&failures)?) };
        insert.execute(params![
            id.0,
            frame.0,
            state,
            result.map(|result| result.slave.0),
            result.map(|result| result.film.0),
            result.map(|result| result.film_bytes.cast_signed()),
            result.and_then(|result| result.preview).map(|digest| digest.0),
            result.and_then(|result| result.log).map(|digest| digest.0),
            result.map(|result| result.seconds),
            strikes,
            failures,
            shared,
            outputs,
        ])?;
    }
    Ok(())
}

fn read_result(row: &Row<'_>) -> rusqlite::Result<TaskResult> {
    let digest = |at| row.get::<_, Option<[u8; 32]>>(at).map(|digest| digest.map(Digest));
    Ok(TaskResult {
        slave: SlaveId(row.get(3)?),
        film: Digest(row.get(4)?),
        film_bytes: row.get::<_, i64>(5)?.cast_unsigned(),
        preview: digest(6)?,
        log: digest(7)?,
        seconds: row.get(8)?,
        outputs: Vec::new(),
    })
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::{
        decide::{Command, decide},
        model::{
            cut::Span,
            ids::{LeaseId, Timestamp},
            job_settings::JobEdit,
            policy::Policy,
            result::{FailureKind, OutputFile, TaskError},
            retry::RetryPolicy,
            sharing::{Merged, Part},
            slave::{Duty, SlaveInfo},
            spec::{JobSpec, Split},
        },
        wire::Want,
    };
    use serde_json::json;

    fn spec(frames: &str) -> Box<JobSpec> {
        let spec = json!({
            "name": "n", "frames": frames, "engine": "CYCLES", "blender": [3, 4], "width": 1, "height": 1,
            "manifest": "0".repeat(64),
        });
        serde_json::from_value(spec).unwrap()
    }

    fn info() -> Box<SlaveInfo> {
        let info = json!({
            "host": "h", "os": "linux", "blender": [3, 4, 1], "engines": ["CYCLES"], "threads": 1, "memory_bytes": 1,
        });
        serde_json::from_value(info).unwrap()
    }

    /// A history with every kind of event, as groups that were answered together.
    fn history() -> Vec<Vec<Record>> {
        let slave = SlaveId(1);
        let register = || Command::Register { key: "key".into(), name: "anna".into(), info: info(), started: true };
        let poll = || Command::Poll { slave, held: vec![], want: Want::Now, edits: Some(0) };
        let edit_slave = |edit| Command::EditSlave { slave, edit: serde_json::from_str(edit).unwrap(), seen: None };
        let hand_in = |frame: i32, preview| Command::HandIn {
            job: JobId(1),
            frame: Frame(frame),
            result: Box::new(TaskResult {
                slave,
                film: Digest([7; 32]),
                film_bytes: u64::MAX,
                preview,
                log: preview,
                seconds: 0.25,
                outputs: preview
                    .map(|digest| OutputFile { path: "a/b.png".into(), digest, bytes: 3 })
                    .into_iter()
                    .collect(),
            }),
        };
        let fail = |lease: u64, frame: i32| Command::Fail {
            slave,
            lease: LeaseId(lease),
            job: JobId(1),
            frame: Frame(frame),
            error: TaskError { kind: FailureKind::WorkerCrashed, message: "it's \"gone\"".into() },
            log: Some(Digest([8; 32])),
        };
        let part = || {
            let Command::HandIn { result, .. } = hand_in(5, None) else { unreachable!("a hand-in is one") };
            Box::new(Part {
                share: Span { start: 0, count: 4 },
                result: *result,
                view: Some(Digest([6; 32])),
                build: None,
                warm_up_s: 1.5,
                at: Timestamp(0),
            })
        };
        let merge = |job: u32, frame: i32, spans| {
            let Command::HandIn { result, .. } = hand_in(5, None) else { unreachable!("a hand-in is one") };
            let merged = Box::new(Merged { spans, result: *result, view: None, build: None });
            Command::Merge { job: JobId(job), frame: Frame(frame), merged }
        };
        let shared = |frames: &str, samples: u32, finishes: bool| {
            let mut shared = spec(frames);
            shared.split = Split::Samples;
            let split = json!({
                "samples": samples, "layers": {}, "is_subset": true, "finishes": finishes, "can_grow_to": 16,
            });
            shared.cut = serde_json::from_value(split).unwrap();
            Command::Submit(shared)
        };
        let some = |start, count| Span { start, count };
        let more_part = |frame: i32, share| {
            let part = Box::new(Part { share, ..*part() });
            Command::HandInPart { job: JobId(4), frame: Frame(frame), lease: LeaseId(0), part }
        };
        let mut farm = Farm::default();
        let commands = [
            Command::Submit(spec("-2-3")),
            register(),
            poll(),
            fail(1, -2),
            poll(),
            fail(2, -2),
            poll(),
            fail(3, -2),
            hand_in(3, Some(Digest([9; 32]))),
            Command::Requeue(JobId(1)),
            hand_in(-2, None),
            Command::Submit(spec("1")),
            poll(),
            Command::Pause(JobId(1)),
            Command::Resume(JobId(1)),
            Command::Edit { job: JobId(1), edit: JobEdit { priority: Some(99), ..JobEdit::default() }, seen: None },
            Command::RequeueFrames { job: JobId(1), frames: "3".parse().unwrap() },
            hand_in(3, Some(Digest([9; 32]))),
            edit_slave(r#"{"name": "big anna", "cache_limit_gb": 0.1}"#),
            edit_slave(r#"{"name": null, "threads": 2}"#),
            Command::ChangePolicy { policy: Policy { hour: 0.1, ..Policy::default() }, seen: None },
            Command::Order { slave, duty: Duty::Pause },
            Command::Order { slave, duty: Duty::Work },
            Command::Blacklist { job: JobId(2), slave, listed: true },
            Command::Blacklist { job: JobId(2), slave, listed: false },
            Command::Spoil { job: JobId(1), frame: Frame(3), film: Digest([7; 32]) },
            poll(),
            Command::Lose(slave),
            register(),
            Command::Cancel(JobId(2)),
            Command::Delete(JobId(2)),
            shared("5", 4, true),
            Command::HandInPart { job: JobId(3), frame: Frame(5), lease: LeaseId(99), part: part() },
            merge(3, 5, vec![some(0, 4)]),
            poll(),
            shared("1-2", 8, false),
            more_part(1, some(0, 2)),
            more_part(1, some(6, 2)),
            more_part(2, some(1, 2)),
            Command::Stop { job: JobId(4), frames: Some("1".parse().unwrap()) },
            merge(4, 1, vec![some(0, 2), some(6, 2)]),
            Command::More { job: JobId(4), samples: 12, frames: None },
            more_part(1, some(9, 4)),
            Command::Spoil { job: JobId(4), frame: Frame(1), film: Digest([7; 32]) },
            Command::Stop { job: JobId(4), frames: None },
            Command::Leave(slave),
        ];
        let mut history = Vec::new();
        for (at, command) in commands.into_iter().enumerate() {
            let now = Timestamp(at as u64);
            let events = decide(&farm, now, RetryPolicy::default(), command).unwrap().events;
            let records: Vec<Record> = events.into_iter().map(|event| Farm::record(now, event)).collect();
            records.iter().for_each(|record| farm.apply(record));
            history.push(records);
        }
        history
    }

    /// Opens the store without waiting for the disk. Power loss is tried by
    /// `tests/farm/test_power_loss.py`.
    fn open(path: &Path) -> SqliteStore {
        let store = SqliteStore::open(path).unwrap();
        store.db.pragma_update(None, "synchronous", "OFF").unwrap();
        store
    }

    #[test]
    fn whenever_snapshots_are_made_the_same_farm_comes_back() {
        let history = history();
        for every in 1..=history.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("farm.db");
            let (mut farm, mut touched) = open(&path).load().unwrap();
            for (at, records) in history.iter().enumerate() {
                let mut store = open(&path);
                store.append(records, &Notes::default()).unwrap();
                for record in records {
                    farm.apply(record);
                    touched.note(&farm, &record.event);
                }
                if at % every == every - 1 {
                    store.snapshot(&farm, &touched).unwrap();
                    touched = Touched::default();
                }
                let (again, left) = open(&path).load().unwrap();
                assert_eq!(again, farm, "a snapshot every {every}, after step {at}");
                assert_eq!(left, touched);
            }
        }
    }

    #[test]
    fn an_older_file_is_brought_up_to_date_and_a_copy_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("farm.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "CREATE TABLE event (seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);
             CREATE TABLE farm (name TEXT PRIMARY KEY, value TEXT NOT NULL);
             PRAGMA user_version = 1;",
        )
        .unwrap();
        let event = r#"{"at":5,"event":{"type":"job_accepted","job":4,"spec":{"name":"n","frames":"1-2","engine":"CYCLES",
            "blender":[3,4],"width":1,"height":1,"manifest":"0000000000000000000000000000000000000000000000000000000000000000"}}}"#;
        old.execute("INSERT INTO event (version, body) VALUES (1, ?1)", [event]).unwrap();
        drop(old);
        let (farm, _) = SqliteStore::open(&path).unwrap().load().unwrap();
        assert_eq!(farm.jobs[&JobId(4)].counts.waiting, 2);
        let copy = Connection::open(dir.path().join("farm.format1.db")).unwrap();
        let kept: i64 = copy.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 1);
    }

    #[test]
    fn frames_of_a_file_without_outputs_are_read_and_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("farm.db");
        let mut store = SqliteStore::open(&path).unwrap();
        for group in history() {
            store.append(&group, &Notes::default()).unwrap();
        }
        let (farm, touched) = store.load().unwrap();
        store.snapshot(&farm, &touched).unwrap();
        store.db.execute_batch("ALTER TABLE task DROP COLUMN outputs; PRAGMA user_version = 3").unwrap();
        drop(store);
        let mut store = SqliteStore::open(&path).unwrap();
        let (older, _) = store.load().unwrap();
        assert_eq!(older.jobs.len(), farm.jobs.len());
        store.snapshot(&farm, &touched).unwrap();
        assert_eq!(store.load().unwrap().0, farm);
    }

    #[test]
    fn a_newer_file_or_event_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("farm.db");
        let mut store = SqliteStore::open(&path).unwrap();
        store.db.execute("INSERT INTO event (version, body) VALUES (?1, '{}')", [EVENT_VERSION + 1]).unwrap();
        let refused = store.load().unwrap_err().to_string();
        assert!(refused.contains("newer netrender"), "{refused}");
        store.db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        let Err(refused) = SqliteStore::open(&path) else { panic!("it was opened") };
        assert!(refused.to_string().contains("newer netrender"), "{refused}");
    }
}
