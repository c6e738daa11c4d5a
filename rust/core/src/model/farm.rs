//! The whole durable state of a farm.
//!
//! What lives here: the state and look-ups in it. What does not: changes, which are all in
//! `apply.rs`.

use crate::model::{
    build::Build,
    event::{Event, Record},
    ids::{JobId, LeaseId, SlaveId, Timestamp},
    job::Job,
    lease::Lease,
    policy::Policy,
    slave::Slave,
    task::{Task, TaskState},
};
use std::collections::BTreeMap;

/// Jobs, slaves and leases, each by number. The same records applied in the same order give an
/// equal farm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Farm {
    /// Jobs that are not forgotten.
    pub jobs: BTreeMap<JobId, Job>,
    /// Slaves that ever registered.
    pub slaves: BTreeMap<SlaveId, Slave>,
    /// Leases that have not ended.
    pub leases: BTreeMap<LeaseId, Lease>,
    /// The scheduling policy.
    pub policy: Policy,
    /// Revision of the scheduling policy.
    pub policy_edits: u32,
    /// Highest number given to a job so far.
    pub(crate) last_job: u32,
    /// Highest number given to a slave so far.
    pub(crate) last_slave: u32,
    /// Highest number given to a lease so far.
    pub(crate) last_lease: u64,
}

impl Farm {
    /// The leases that a slave holds.
    pub fn leases_of(&self, slave: SlaveId) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(move |lease| lease.slave == slave)
    }

    /// The build of Blender that draws the samples of a shared frame; `None` while it has none.
    pub fn build_of<'a>(&'a self, task: &'a Task) -> Option<&'a Build> {
        let merged = task.growth().and_then(|growth| growth.merged.as_ref()?.build.as_ref());
        let TaskState::Sharing(sharing) = &task.state else { return merged };
        let part = || sharing.parts.iter().find_map(|part| part.build.as_ref());
        let leased = || sharing.leased.keys().find_map(|lease| self.leases.get(lease)?.build.as_ref());
        merged.or_else(part).or_else(leased)
    }

    /// The slave that once registered with this key.
    pub fn slave_by_key(&self, key: &str) -> Option<&Slave> {
        self.slaves.values().find(|slave| slave.key == key)
    }

    /// A record of something that happens now.
    pub fn record(at: Timestamp, event: Event) -> Record {
        Record { at, event }
    }
}
