//! Time of each slave's last sign of life. In memory only: times of a monotonic clock mean nothing
//! after a restart, so every slave then gets a full timeout again.

use crate::model::ids::SlaveId;
use std::{collections::BTreeMap, time::Duration};

/// Reading of the master's monotonic clock: the time since some fixed moment. Changes of the wall
/// clock do not touch it.
pub type Monotonic = Duration;

/// The time between two signs of life of a slave that counts as lost after a silence of `timeout`.
/// Several fit in, for a slave must not be given up because one of them was lost.
pub fn heartbeat(timeout: Duration) -> Duration {
    (timeout / 4).clamp(Duration::from_millis(250), Duration::from_secs(5))
}

/// The last sign of life of each slave that is expected to give some.
#[derive(Debug, Default)]
pub struct Liveness {
    heard: BTreeMap<SlaveId, Monotonic>,
}

impl Liveness {
    /// Notes a sign of life. One that is reported late does not turn the time back.
    pub fn heard(&mut self, slave: SlaveId, now: Monotonic) {
        let last = self.heard.entry(slave).or_insert(now);
        *last = now.max(*last);
    }

    /// Stops expecting signs of life from a slave.
    pub fn forget(&mut self, slave: SlaveId) {
        self.heard.remove(&slave);
    }

    /// The slaves that were silent for longer than `timeout`.
    pub fn silent(&self, now: Monotonic, timeout: Duration) -> Vec<SlaveId> {
        self.heard.iter().filter(|(_, last)| now.saturating_sub(**last) > timeout).map(|(slave, _)| *slave).collect()
    }
}
