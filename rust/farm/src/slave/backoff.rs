//! How long to wait before trying again, and when trying again makes sense.

use crate::api::ApiError;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from 0.2 s to 5 s, with a random part so that a hundred slaves do not come back in the same moment.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Starts with the shortest wait.
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// Waits.
    pub async fn wait(&mut self) {
        let chance = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        let wait = self.next.mul_f64(0.5 + 0.5 * chance);
        self.next = (self.next * 2).min(LONGEST);
        tokio::time::sleep(wait).await;
    }
}

/// Whether the same call may work later. Not so when the master understood and said no; an answer that is not a
/// master's is a proxy's or a stranger's on its port while it is away.
pub fn may_work_later(error: &ApiError) -> bool {
    match error {
        ApiError::Refused { status, code, .. } => {
            *status >= 500 || matches!(*status, 408 | 429) || code == "unknown_slave"
        }
        ApiError::Unreachable { .. } | ApiError::NotAMaster { .. } | ApiError::OtherProtocol { .. } => true,
        ApiError::BadAddress(_) | ApiError::Blob(_) => false,
    }
}
