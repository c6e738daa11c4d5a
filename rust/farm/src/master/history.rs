//! What happened, kept beside the farm in the same database: who rendered what when, and the farm's story. Written in the
//! transaction of the events it follows from; read by connections of its own, so that nobody waits for a reader. Rings:
//! the oldest rows go.

use netrender_core::{
    chronicle::{Happening, Kind, Notes, Span},
    ids::{Frame, JobId, SlaveId, Timestamp},
};
use rusqlite::{Connection, OpenFlags, Row, ToSql, Transaction, params};
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

/// Rows of each kind that are kept.
const SPANS: i64 = 100_000;
const HAPPENINGS: i64 = 20_000;
/// The rings are cut after so many rows more.
const CUT_EVERY: i64 = 1_000;
/// Longest detail kept of a failure; the whole log is a file of its own.
const DETAIL_CHARS: usize = 4_000;

pub fn write(transaction: &Transaction<'_>, notes: &Notes) -> rusqlite::Result<()> {
    for span in &notes.spans {
        let Span { slave, job, frame, from_ms, to_ms, ok, samples } = span;
        transaction.prepare_cached("INSERT INTO span VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
            slave.0,
            job.0,
            frame.0,
            ms(*from_ms),
            ms(*to_ms),
            ok,
            samples
        ])?;
        cut(transaction, "DELETE FROM span WHERE seq <= ?1", SPANS)?;
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

/// The end of a log is what explains.
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

/// Reads it.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
}

impl History {
    /// Of the database at `path`.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Everything that was rendered, in part or whole, between two times; the latest `most`, in order of their ends.
    pub fn spans(
        &self,
        from: Timestamp,
        to: Timestamp,
        slave: Option<SlaveId>,
        most: u32,
    ) -> rusqlite::Result<Vec<Span>> {
        let select = "SELECT slave, job, frame, from_ms, to_ms, ok, samples FROM span
            WHERE to_ms >= ?1 AND from_ms <= ?2 AND (?3 IS NULL OR slave = ?3) ORDER BY to_ms DESC LIMIT ?4";
        let read = |row: &Row<'_>| {
            Ok(Span {
                slave: SlaveId(row.get(0)?),
                job: JobId(row.get(1)?),
                frame: Frame(row.get(2)?),
                from_ms: time(row, 3)?,
                to_ms: time(row, 4)?,
                ok: row.get(5)?,
                samples: row.get(6)?,
            })
        };
        let mut spans = self.read(select, params![ms(from), ms(to), slave.map(|slave| slave.0), most], read)?;
        spans.reverse();
        Ok(spans)
    }

    /// The latest of the story, newest first.
    pub fn happenings(&self, most: u32) -> rusqlite::Result<Vec<Happening>> {
        let select = "SELECT at_ms, kind, text, job, frame, slave, detail FROM happening ORDER BY seq DESC LIMIT ?1";
        self.read(select, params![most], read_happening)
    }

    /// What failed since then, newest first.
    pub fn failures(&self, since: Timestamp, most: u32) -> rusqlite::Result<Vec<Happening>> {
        let select = "SELECT at_ms, kind, text, job, frame, slave, detail FROM happening
            WHERE kind = 'failure' AND at_ms >= ?1 ORDER BY seq DESC LIMIT ?2";
        self.read(select, params![ms(since), most], read_happening)
    }

    fn read<T>(
        &self,
        select: &str,
        values: &[&dyn ToSql],
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags)?;
        db.busy_timeout(Duration::from_secs(5))?;
        db.prepare(select)?.query_map(values, each)?.collect()
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

    fn span(at: u64) -> Span {
        let (slave, job, frame) = (SlaveId(1 + (at % 2) as u32), JobId(1), Frame(at as i32));
        Span { slave, job, frame, from_ms: Timestamp(at), to_ms: Timestamp(at + 5), ok: true, samples: None }
    }

    #[test]
    fn what_was_written_is_read_and_the_oldest_goes() {
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
        let more = (SPANS + CUT_EVERY) as u64;
        let notes = Notes { spans: (1..=more).map(span).collect(), happenings: vec![failure(7), failure(9)] };
        write(&transaction, &notes).unwrap();
        transaction.commit().unwrap();
        let history = History::at(&path);
        let all = history.spans(Timestamp(0), Timestamp(u64::MAX), None, u32::MAX).unwrap();
        assert_eq!(all.len() as i64, SPANS);
        assert_eq!(all.last(), Some(&span(more)));
        let some = history.spans(Timestamp(5_000), Timestamp(5_010), Some(SlaveId(1)), 100).unwrap();
        assert!(some.iter().all(|span| span.slave == SlaveId(1) && span.frame.0 >= 4_995 && span.frame.0 <= 5_010));
        assert_eq!(some.len(), 8);
        assert_eq!(history.failures(Timestamp(8), 10).unwrap().len(), 1);
        let last = history.happenings(1).unwrap().remove(0);
        assert!(last.detail.as_ref().unwrap().ends_with("end"));
        assert_eq!(last.detail.as_ref().unwrap().chars().count(), DETAIL_CHARS);
        assert_eq!(Happening { detail: None, ..last }, Happening { detail: None, ..failure(9) });
    }
}
