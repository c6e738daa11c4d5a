//! What Blender prints for the frame that is being rendered, while it grows: the part that the master has not heard of goes
//! with each sign of life, for those who watch. The whole log is handed in at the end.

use super::worker::LogBook;
use netrender_core::{
    ids::{Frame, JobId},
    wire::LogNews,
};
use std::sync::{Arc, Mutex, PoisonError};

/// Most sent at a time. What was printed before is left out.
const MOST: usize = 64 << 10;

/// The frame that is being rendered, and how much of its log the master has.
#[derive(Debug, Default)]
pub struct Tail(Mutex<Option<Now>>);

#[derive(Debug)]
struct Now {
    job: JobId,
    frame: Frame,
    book: Arc<LogBook>,
    /// Bytes and parts that were sent.
    sent: u64,
    parts: u64,
}

/// What is to be remembered once the master has the news.
#[derive(Debug)]
pub struct Sent {
    book: Arc<LogBook>,
    parts: u64,
    until: u64,
}

impl Tail {
    /// A frame is begun.
    pub fn begin(&self, job: JobId, frame: Frame, book: Arc<LogBook>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Now { job, frame, book, sent: 0, parts: 0 });
    }

    /// It is rendered or failed.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What was printed since; None when that is nothing.
    pub fn news(&self) -> Option<(LogNews, Sent)> {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Now { job, frame, book, sent, parts } = now.as_ref()?;
        let (text, until) = book.since(*sent, MOST)?;
        let told = Sent { book: Arc::clone(book), parts: parts + 1, until };
        Some((LogNews { job: *job, frame: *frame, part: *parts, text }, told))
    }

    /// The master has it.
    pub fn told(&self, told: Sent) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = now.as_mut().filter(|now| Arc::ptr_eq(&now.book, &told.book) && now.parts + 1 == told.parts)
        {
            (now.sent, now.parts) = (told.until, told.parts);
        }
    }
}
