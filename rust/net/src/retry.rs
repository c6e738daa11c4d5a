//! Repeating a call to the master: when it makes sense, and how long to wait in between.

use std::time::Duration;

/// Shortest wait.
const FIRST: Duration = Duration::from_millis(200);
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Prospects of repeating a call that failed.
///
/// Clients and slaves differ in one case only, [`Retry::AnotherServer`]. A client stops there: a
/// person waits for it and may have mistyped the address. A slave goes on: it runs unattended for
/// weeks, and its master may be down for an update while a proxy or another program answers in its
/// place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call may succeed later: the master can't be reached, or is in trouble itself.
    Later,
    /// The server that answers is no master of this protocol.
    AnotherServer,
    /// The same call will fail again: the master understood and refused it, or the fault is on this
    /// side.
    Never,
}

/// Waits between tries, doubling from 0.2 s to 5 s. Half of each wait is random, so that a hundred
/// slaves do not come back in the same moment.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// Waits before the next try.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.step()).await;
    }

    fn step(&mut self) -> Duration {
        let chance = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        let wait = self.next.mul_f64(0.5 + 0.5 * chance);
        self.next = (self.next * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let mut expected = FIRST;
        for _ in 0..10 {
            let wait = backoff.step();
            assert!(expected / 2 <= wait && wait <= expected, "{wait:?} for {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        assert_eq!(expected, LONGEST);
    }
}
