//! Who was heard of when. Not part of the durable state: after a restart every slave gets a full timeout anew.

use crate::ids::SlaveId;
use std::{collections::BTreeMap, time::Duration};

/// A reading of the master's monotonic clock, since any fixed moment. Wall-clock jumps do not touch it.
pub type Monotonic = Duration;

/// The last sign of life of each slave.
#[derive(Debug, Default)]
pub struct Liveness {
    heard: BTreeMap<SlaveId, Monotonic>,
}

impl Liveness {
    /// A sign of life. Time does not run backwards.
    pub fn heard(&mut self, slave: SlaveId, now: Monotonic) {
        let last = self.heard.entry(slave).or_insert(now);
        *last = now.max(*last);
    }

    /// No longer expected to be heard of.
    pub fn forget(&mut self, slave: SlaveId) {
        self.heard.remove(&slave);
    }

    /// Slaves that were silent for longer than `timeout`.
    pub fn silent(&self, now: Monotonic, timeout: Duration) -> Vec<SlaveId> {
        self.heard.iter().filter(|(_, last)| now.saturating_sub(**last) > timeout).map(|(slave, _)| *slave).collect()
    }
}
