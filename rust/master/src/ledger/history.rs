//! The history of the farm, in the same database: activities (which slave rendered what when) and
//! happenings (entries for people). It is written in the transaction of the events it follows from,
//! and read by connections of its own, so that nobody waits for a reader. Both tables are rings:
//! the oldest rows go.

use crate::{blocking::blocking, error::MasterError};
use netrender_core::{
    durable::chronicle::{Activity, Happening, Kind, Notes},
    model::ids::{Frame, JobId, SlaveId, Timestamp},
};
use rusqlite::{Connection, OpenFlags, Params, Row, Transaction, params};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS span (seq INTEGER PRIMARY KEY, slave INTEGER NOT NULL, job INTEGER NOT NULL,
        frame INTEGER NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, ok INTEGER NOT NULL, samples INTEGER);
    CREATE INDEX IF NOT EXISTS span_to ON span (to_ms);
    CREATE TABLE IF NOT EXISTS happening (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,
        text TEXT NOT NULL, job INTEGER, frame INTEGER, slave INTEGER, detail TEXT);";

/// Spans and happenings that are kept.
const ACTIVITIES: i64 = 100_000;
const HAPPENINGS: i64 = 20_000;
/// Number of new rows after which the oldest are deleted.
const CUT_EVERY: i64 = 1_000;
/// Characters kept of a failure's detail; the whole log is a blob of its own.
const DETAIL_CHARS: usize = 4_000;

/// Adds what followed from a group of events.
pub fn write(transaction: &Transaction<'_>, notes: &Notes) -> rusqlite::Result<()> {
    for activity in &notes.activities {
        let Activity { slave, job, frame, from_ms, to_ms, ok, samples } = activity;
        transaction.prepare_cached("INSERT INTO span VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
            slave.0,
            job.0,
            frame.0,
            ms(*from_ms),
            ms(*to_ms),
            ok,
            samples
        ])?;
        cut(transaction, "DELETE FROM span WHERE seq <= ?1", ACTIVITIES)?;
    }
    for happening in &notes.happenings {
        let Happening { at_ms, kind, text, job, frame, slave, detail } = happening;
        let detail = detail.as_ref().map(|detail| last_chars(detail, DETAIL_CHARS));
        let (job, frame, slave) = (job.map(|job| job.0), frame.map(|frame| frame.0), slave.map(|slave| slave.0));
        transaction
            .prepare_cached("INSERT INTO happening VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![ms(*at_ms), word(*kind), text, job, frame, slave, detail])?;
        cut(transaction, "DELETE FROM happening WHERE seq <= ?1", HAPPENINGS)?;
    }
    Ok(())
}

fn cut(transaction: &Transaction<'_>, delete: &str, kept: i64) -> rusqlite::Result<()> {
    let last = transaction.last_insert_rowid();
    if last % CUT_EVERY == 0 && last > kept {
        transaction.execute(delete, [last - kept])?;
    }
    Ok(())
}

/// The last characters: the end of a log is what explains.
fn last_chars(text: &str, most: usize) -> &str {
    match text.char_indices().rev().nth(most.saturating_sub(1)) {
        Some((at, _)) => &text[at..],
        None => text,
    }
}

fn ms(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Job => "job",
        Kind::JobEnded => "job_ended",
        Kind::Slave => "slave",
        Kind::Farm => "farm",
        Kind::Failure => "failure",
    }
}

/// A reader of the history.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
}

impl History {
    /// Reads the database at `path`.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The activities that lie, in part or whole, between two times; the latest `most`, in order of
    /// their ends.
    pub async fn activities(
        &self,
        from: Timestamp,
        to: Timestamp,
        slave: Option<SlaveId>,
        most: u32,
    ) -> Result<Vec<Activity>, MasterError> {
        let select = "SELECT slave, job, frame, from_ms, to_ms, ok, samples FROM span
            WHERE to_ms >= ?1 AND from_ms <= ?2 AND (?3 IS NULL OR slave = ?3) ORDER BY to_ms DESC LIMIT ?4";
        let read = |row: &Row<'_>| {
            Ok(Activity {
                slave: SlaveId(row.get(0)?),
                job: JobId(row.get(1)?),
                frame: Frame(row.get(2)?),
                from_ms: time(row, 3)?,
                to_ms: time(row, 4)?,
                ok: row.get(5)?,
                samples: row.get(6)?,
            })
        };
        let values = (ms(from), ms(to), slave.map(|slave| slave.0), most);
        let mut activities = self.read(select, values, read).await?;
        activities.reverse();
        Ok(activities)
    }

    /// The latest happenings, newest first.
    pub async fn happenings(&self, most: u32) -> Result<Vec<Happening>, MasterError> {
        let select = "SELECT at_ms, kind, text, job, frame, slave, detail FROM happening ORDER BY seq DESC LIMIT ?1";
        self.read(select, (most,), read_happening).await
    }

    /// The failures since then, newest first.
    pub async fn failures(&self, since: Timestamp, most: u32) -> Result<Vec<Happening>, MasterError> {
        let select = "SELECT at_ms, kind, text, job, frame, slave, detail FROM happening
            WHERE kind = 'failure' AND at_ms >= ?1 ORDER BY seq DESC LIMIT ?2";
        self.read(select, (ms(since), most), read_happening).await
    }

    async fn read<T: Send + 'static>(
        &self,
        select: &'static str,
        values: impl Params + Send + 'static,
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Vec<T>, MasterError> {
        let path = self.path.clone();
        let read = blocking(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&path, flags)?;
            db.busy_timeout(Duration::from_secs(5))?;
            db.prepare(select)?.query_map(values, each)?.collect::<rusqlite::Result<Vec<T>>>()
        });
        read.await?.map_err(|error: rusqlite::Error| {
            tracing::error!("the history can't be read: {error}");
            MasterError::Disk
        })
    }
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0)))
}

fn read_happening(row: &Row<'_>) -> rusqlite::Result<Happening> {
    let kind: String = row.get(1)?;
    Ok(Happening {
        at_ms: time(row, 0)?,
        kind: match kind.as_str() {
            "job_ended" => Kind::JobEnded,
            "slave" => Kind::Slave,
            "farm" => Kind::Farm,
            "failure" => Kind::Failure,
            _ => Kind::Job,
        },
        text: row.get(2)?,
        job: row.get::<_, Option<u32>>(3)?.map(JobId),
        frame: row.get::<_, Option<i32>>(4)?.map(Frame),
        slave: row.get::<_, Option<u32>>(5)?.map(SlaveId),
        detail: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(at: u64) -> Activity {
        let (slave, job, frame) = (SlaveId(1 + (at % 2) as u32), JobId(1), Frame(at as i32));
        Activity { slave, job, frame, from_ms: Timestamp(at), to_ms: Timestamp(at + 5), ok: true, samples: None }
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("farm.db");
        let mut db = Connection::open(&path).unwrap();
        db.execute_batch(TABLES).unwrap();
        let transaction = db.transaction().unwrap();
        let failure = |at: u64| Happening {
            at_ms: Timestamp(at),
            kind: Kind::Failure,
            text: "it's gone".into(),
            job: Some(JobId(1)),
            frame: Some(Frame(-3)),
            slave: None,
            detail: Some("ä".repeat(DETAIL_CHARS + 1) + "end"),
        };
        let more = (ACTIVITIES + CUT_EVERY) as u64;
        let notes = Notes { activities: (1..=more).map(activity).collect(), happenings: vec![failure(7), failure(9)] };
        write(&transaction, &notes).unwrap();
        transaction.commit().unwrap();
        let history = History::at(&path);
        let all = history.activities(Timestamp(0), Timestamp(u64::MAX), None, u32::MAX).await.unwrap();
        assert_eq!(all.len() as i64, ACTIVITIES);
        assert_eq!(all.last(), Some(&activity(more)));
        let some = history.activities(Timestamp(5_000), Timestamp(5_010), Some(SlaveId(1)), 100).await.unwrap();
        assert!(
            some.iter()
                .all(|activity| activity.slave == SlaveId(1) && activity.frame.0 >= 4_995 && activity.frame.0 <= 5_010)
        );
        assert_eq!(some.len(), 8);
        assert_eq!(history.failures(Timestamp(8), 10).await.unwrap().len(), 1);
        let last = history.happenings(1).await.unwrap().remove(0);
        assert!(last.detail.as_ref().unwrap().ends_with("end"));
        assert_eq!(last.detail.as_ref().unwrap().chars().count(), DETAIL_CHARS);
        assert_eq!(Happening { detail: None, ..last }, Happening { detail: None, ..failure(9) });
    }
}
