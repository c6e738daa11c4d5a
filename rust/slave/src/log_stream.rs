//! The log of the frame that is being rendered, while it grows. Each heartbeat carries the part
//! that the master does not have yet, for people who watch. The complete log is handed in at the
//! end.

use super::worker::LogBook;
use netrender_core::{
    model::ids::{Frame, JobId},
    wire::LogNews,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Upper bound of the text in one heartbeat, in bytes. Older text is left out.
const MAX_BYTES: usize = 64 << 10;

/// The log of the frame that is being rendered, and how much of it the master has.
#[derive(Debug, Default)]
pub struct LogStream(Mutex<Option<Current>>);

#[derive(Debug)]
struct Current {
    job: JobId,
    frame: Frame,
    book: Arc<LogBook>,
    sent_bytes: u64,
    sent_parts: u64,
}

/// Position in a log after one more part. Confirms that part once the master has it.
#[derive(Debug)]
pub struct Position {
    book: Arc<LogBook>,
    parts: u64,
    bytes: u64,
}

impl LogStream {
    /// A frame begins.
    pub fn begin(&self, job: JobId, frame: Frame, book: Arc<LogBook>) {
        *self.0.lock() = Some(Current { job, frame, book, sent_bytes: 0, sent_parts: 0 });
    }

    /// The frame has ended.
    pub fn end(&self) {
        *self.0.lock() = None;
    }

    /// The text that the master does not have yet; `None` if there is none.
    pub fn unsent(&self) -> Option<(LogNews, Position)> {
        let current = self.0.lock();
        let Current { job, frame, book, sent_bytes, sent_parts } = current.as_ref()?;
        let (text, bytes) = book.since(*sent_bytes, MAX_BYTES)?;
        let position = Position { book: Arc::clone(book), parts: sent_parts + 1, bytes };
        Some((LogNews { job: *job, frame: *frame, part: *sent_parts, text }, position))
    }

    /// The master has the text up to this position.
    pub fn confirm(&self, position: Position) {
        let mut current = self.0.lock();
        let current = current
            .as_mut()
            .filter(|current| Arc::ptr_eq(&current.book, &position.book) && current.sent_parts + 1 == position.parts);
        if let Some(current) = current {
            (current.sent_bytes, current.sent_parts) = (position.bytes, position.parts);
        }
    }
}
