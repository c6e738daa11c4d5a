//! Output of Blender on the slaves for the frames they render now: the last 256 KiB of each slave,
//! in memory only. Whole logs are blobs that come with the results.

use netrender_core::{
    model::ids::{Frame, JobId, SlaveId},
    wire::{LogNews, Progress},
};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// Bytes kept of each slave's log.
const KEPT: usize = 256 << 10;
/// Bytes of it that a slave's details show.
const END: usize = 4 << 10;

/// The logs of frames that are being rendered, by slave.
#[derive(Debug, Default)]
pub struct SlaveLogs(Mutex<BTreeMap<SlaveId, Log>>);

#[derive(Debug)]
struct Log {
    job: JobId,
    frame: Frame,
    /// The number of the part that comes next.
    next: u64,
    /// Bytes dropped at the beginning.
    dropped: u64,
    text: VecDeque<u8>,
}

/// A part of a log, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct LogPart {
    /// Begins at the byte asked for, or at the first that is kept.
    pub text: Vec<u8>,
    /// The byte of the log at which `text` begins.
    pub at: u64,
    /// Bytes printed so far.
    pub size: u64,
}

impl SlaveLogs {
    /// Appends the news of a slave's heartbeat, or drops its log if it renders another frame by
    /// now.
    pub fn append(&self, slave: SlaveId, now: Option<&Progress>, news: Option<LogNews>) {
        let mut logs = self.0.lock();
        let Some(LogNews { job, frame, part, text }) = news else {
            // No news of the same frame does not mean that it ended.
            if logs.get(&slave).is_some_and(|log| now.is_none_or(|now| (now.job, now.frame) != (log.job, log.frame))) {
                logs.remove(&slave);
            }
            return;
        };
        let known = logs.get_mut(&slave).filter(|log| (log.job, log.frame) == (job, frame) && part > 0);
        match known {
            // Sent twice, because the reply was lost.
            Some(log) if part < log.next => {}
            Some(log) => log.push(part, &text),
            None => {
                let mut log = Log { job, frame, next: part, dropped: 0, text: VecDeque::new() };
                log.push(part, &text);
                logs.insert(slave, log);
            }
        }
    }

    /// Drops the log of a slave that left.
    pub fn forget(&self, slave: SlaveId) {
        self.0.lock().remove(&slave);
    }

    /// The last whole lines that a slave printed for the frame it renders, 4 KiB at most.
    pub fn last_lines(&self, slave: SlaveId) -> String {
        let logs = self.0.lock();
        let Some(log) = logs.get(&slave) else { return String::new() };
        let bytes: Vec<u8> = log.text.iter().skip(log.text.len().saturating_sub(END)).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        match text.split_once('\n') {
            Some((_, whole)) if bytes.len() == END => whole.to_owned(),
            _ => text.into_owned(),
        }
    }

    /// The log of a frame from a byte on: of slave `by`, or of the first of those that render it.
    pub fn read(&self, job: JobId, frame: Frame, by: Option<SlaveId>, from: u64) -> Option<LogPart> {
        let logs = self.0.lock();
        let is =
            |(slave, log): &(&SlaveId, &Log)| (log.job, log.frame) == (job, frame) && by.is_none_or(|by| by == **slave);
        let (_, log) = logs.iter().find(is)?;
        let size = log.dropped + log.text.len() as u64;
        let at = from.clamp(log.dropped, size);
        let text = log.text.iter().skip((at - log.dropped) as usize).copied().collect();
        Some(LogPart { text, at, size })
    }
}

impl Log {
    fn push(&mut self, part: u64, text: &str) {
        self.next = part + 1;
        self.text.extend(text.as_bytes());
        let over = self.text.len().saturating_sub(KEPT);
        self.text.drain(..over);
        self.dropped += over as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLAVE: SlaveId = SlaveId(3);
    const JOB: JobId = JobId(1);

    fn news(frame: i32, part: u64, text: &str) -> Option<LogNews> {
        Some(LogNews { job: JOB, frame: Frame(frame), part, text: text.into() })
    }

    fn at(frame: i32) -> Progress {
        Progress { job: JOB, frame: Frame(frame), text: String::new() }
    }

    fn text(logs: &SlaveLogs, frame: i32, from: u64) -> Option<String> {
        logs.read(JOB, Frame(frame), None, from).map(|seen| String::from_utf8(seen.text).unwrap())
    }

    #[test]
    fn parts_are_joined_and_one_that_is_sent_twice_counts_once() {
        let logs = SlaveLogs::default();
        logs.append(SLAVE, Some(&at(7)), news(7, 0, "Fra:7 "));
        logs.append(SLAVE, Some(&at(7)), news(7, 1, "Sample 1\n"));
        logs.append(SLAVE, Some(&at(7)), news(7, 1, "Sample 1\n"));
        logs.append(SLAVE, Some(&at(7)), None);
        assert_eq!(text(&logs, 7, 0).as_deref(), Some("Fra:7 Sample 1\n"));
        assert_eq!(text(&logs, 7, 6).as_deref(), Some("Sample 1\n"));
        assert_eq!(text(&logs, 7, 99).as_deref(), Some(""));
        assert_eq!(logs.read(JOB, Frame(7), Some(SlaveId(4)), 0), None);
        // Begun again after a failure
        logs.append(SLAVE, Some(&at(7)), news(7, 0, "Again\n"));
        assert_eq!(text(&logs, 7, 0).as_deref(), Some("Again\n"));
        // The next frame, of which there is no output yet
        logs.append(SLAVE, Some(&at(8)), None);
        assert_eq!(text(&logs, 7, 0), None);
        // A master that was restarted gets the rest only
        logs.append(SLAVE, Some(&at(8)), news(8, 5, "the rest\n"));
        assert_eq!(text(&logs, 8, 0).as_deref(), Some("the rest\n"));
        logs.forget(SLAVE);
        assert_eq!(text(&logs, 8, 0), None);
    }

    #[test]
    fn the_end_of_a_long_log_is_kept() {
        let logs = SlaveLogs::default();
        for part in 0..100 {
            logs.append(SLAVE, Some(&at(1)), news(1, part, &"x".repeat(10_000)));
        }
        let seen = logs.read(JOB, Frame(1), None, 0).unwrap();
        assert_eq!((seen.text.len(), seen.at, seen.size), (KEPT, 1_000_000 - KEPT as u64, 1_000_000));
        logs.append(SLAVE, Some(&at(1)), news(1, 100, &"Sample\n".repeat(1000)));
        let end = logs.last_lines(SLAVE);
        assert!(end.len() < END && end.starts_with("Sample\n") && end.ends_with("Sample\n"), "{end}");
        assert_eq!(logs.last_lines(SlaveId(4)), "");
    }
}
