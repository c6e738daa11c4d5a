//! What Blender prints on the slaves right now, as far as they told: the last of it for each, in memory only. Whole logs are
//! blobs that come with the results.

use netrender_core::{
    ids::{Frame, JobId, SlaveId},
    wire::{LogNews, Progress},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

/// Kept of each slave's log.
const KEPT: usize = 256 << 10;
/// Of that, what is shown of a slave.
const END: usize = 4 << 10;

/// The logs of frames on their way, by slave.
#[derive(Debug, Default)]
pub struct Live(Mutex<BTreeMap<SlaveId, Log>>);

#[derive(Debug)]
struct Log {
    job: JobId,
    frame: Frame,
    /// The part that comes next.
    next: u64,
    /// How many bytes were dropped at the beginning.
    dropped: u64,
    text: VecDeque<u8>,
}

/// A part of a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// From the byte asked for, or from the first that is kept.
    pub text: Vec<u8>,
    /// Where `text` begins.
    pub at: u64,
    /// How many bytes were printed so far.
    pub size: u64,
}

impl Live {
    /// A slave gave a sign of life.
    pub fn hear(&self, slave: SlaveId, now: Option<&Progress>, news: Option<LogNews>) {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(LogNews { job, frame, part, text }) = news else {
            // Nothing new of the same frame is no end of it.
            if logs.get(&slave).is_some_and(|log| now.is_none_or(|now| (now.job, now.frame) != (log.job, log.frame))) {
                logs.remove(&slave);
            }
            return;
        };
        let known = logs.get_mut(&slave).filter(|log| (log.job, log.frame) == (job, frame) && part > 0);
        match known {
            // Said twice, because the answer was lost.
            Some(log) if part < log.next => {}
            Some(log) => log.push(part, &text),
            None => {
                let mut log = Log { job, frame, next: part, dropped: 0, text: VecDeque::new() };
                log.push(part, &text);
                logs.insert(slave, log);
            }
        }
    }

    /// A slave went.
    pub fn forget(&self, slave: SlaveId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&slave);
    }

    /// The end of what a slave printed for the frame it renders, in whole lines.
    pub fn end(&self, slave: SlaveId) -> String {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = logs.get(&slave) else { return String::new() };
        let bytes: Vec<u8> = log.text.iter().skip(log.text.len().saturating_sub(END)).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        match text.split_once('\n') {
            Some((_, whole)) if bytes.len() == END => whole.to_owned(),
            _ => text.into_owned(),
        }
    }

    /// What is printed for a frame, from some byte on: by this slave, or by the first of those that render it.
    pub fn see(&self, job: JobId, frame: Frame, by: Option<SlaveId>, from: u64) -> Option<Seen> {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is =
            |(slave, log): &(&SlaveId, &Log)| (log.job, log.frame) == (job, frame) && by.is_none_or(|by| by == **slave);
        let (_, log) = logs.iter().find(is)?;
        let size = log.dropped + log.text.len() as u64;
        let at = from.clamp(log.dropped, size);
        let text = log.text.iter().skip((at - log.dropped) as usize).copied().collect();
        Some(Seen { text, at, size })
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

    fn text(live: &Live, frame: i32, from: u64) -> Option<String> {
        live.see(JOB, Frame(frame), None, from).map(|seen| String::from_utf8(seen.text).unwrap())
    }

    #[test]
    fn parts_are_put_together_and_what_is_said_twice_counts_once() {
        let live = Live::default();
        live.hear(SLAVE, Some(&at(7)), news(7, 0, "Fra:7 "));
        live.hear(SLAVE, Some(&at(7)), news(7, 1, "Sample 1\n"));
        live.hear(SLAVE, Some(&at(7)), news(7, 1, "Sample 1\n"));
        live.hear(SLAVE, Some(&at(7)), None);
        assert_eq!(text(&live, 7, 0).as_deref(), Some("Fra:7 Sample 1\n"));
        assert_eq!(text(&live, 7, 6).as_deref(), Some("Sample 1\n"));
        assert_eq!(text(&live, 7, 99).as_deref(), Some(""));
        assert_eq!(live.see(JOB, Frame(7), Some(SlaveId(4)), 0), None);
        // Begun anew after a failure
        live.hear(SLAVE, Some(&at(7)), news(7, 0, "Again\n"));
        assert_eq!(text(&live, 7, 0).as_deref(), Some("Again\n"));
        // The next frame, of which nothing is said yet
        live.hear(SLAVE, Some(&at(8)), None);
        assert_eq!(text(&live, 7, 0), None);
        // A master that was restarted hears the rest only
        live.hear(SLAVE, Some(&at(8)), news(8, 5, "the rest\n"));
        assert_eq!(text(&live, 8, 0).as_deref(), Some("the rest\n"));
        live.forget(SLAVE);
        assert_eq!(text(&live, 8, 0), None);
    }

    #[test]
    fn the_end_of_a_long_log_is_kept() {
        let live = Live::default();
        for part in 0..100 {
            live.hear(SLAVE, Some(&at(1)), news(1, part, &"x".repeat(10_000)));
        }
        let seen = live.see(JOB, Frame(1), None, 0).unwrap();
        assert_eq!((seen.text.len(), seen.at, seen.size), (KEPT, 1_000_000 - KEPT as u64, 1_000_000));
        live.hear(SLAVE, Some(&at(1)), news(1, 100, &"Sample\n".repeat(1000)));
        let end = live.end(SLAVE);
        assert!(end.len() < END && end.starts_with("Sample\n") && end.ends_with("Sample\n"), "{end}");
        assert_eq!(live.end(SlaveId(4)), "");
    }
}
