//! Snapshots: the farm in rows that are written one by one, so that a snapshot costs as much as has
//! changed, not as much as there is.
//!
//! [`Touched`] follows the events. The rows that it names are written over those of the last
//! snapshot, together with [`Rest`], which is small. [`Restore`] makes a farm of the rows.

use crate::{
    durable::task_row::TaskRow,
    model::{
        event::Event,
        farm::Farm,
        ids::{Frame, JobId, SlaveId},
        job::{Job, JobHead, JobState},
        lease::Lease,
        policy::Policy,
        slave::Slave,
        spec::Simulations,
        task::Task,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that differ from the last snapshot. The row of a job that does not exist any more is
/// removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Jobs whose head changed.
    pub jobs: BTreeSet<JobId>,
    /// Frames that changed. A frame has no row as long as it only waited or was leased.
    pub tasks: BTreeSet<(JobId, Frame)>,
    /// Slaves that changed.
    pub slaves: BTreeSet<SlaveId>,
}

impl Touched {
    /// Adds the rows that an event has changed. The event must be applied already.
    pub fn note(&mut self, farm: &Farm, event: &Event) {
        match event {
            Event::JobAccepted { job, .. }
            | Event::JobPaused { job }
            | Event::JobResumed { job }
            | Event::JobCanceled { job }
            | Event::JobEdited { job, .. }
            | Event::JobDeleted { job }
            | Event::JobForgotten { job }
            | Event::BlacklistChanged { job, .. }
            | Event::JobBaked { job, .. }
            | Event::BakeFailed { job, retry: true, .. }
            | Event::BakeSpoiled { job } => {
                self.jobs.insert(*job);
            }
            Event::JobRequeued { job } | Event::BakeFailed { job, retry: false, .. } => {
                self.jobs.insert(*job);
                // A bake that was given up fails frames that have no failure of their own.
                let has_failed =
                    |owner: &Job, task: &Task| owner.spec.simulations == Simulations::Bake || !task.failures.is_empty();
                let owner = farm.jobs.get(job).into_iter();
                let tasks = owner.flat_map(|owner| owner.tasks.iter().filter(|(_, task)| has_failed(owner, task)));
                self.tasks.extend(tasks.map(|(frame, _)| (*job, *frame)));
            }
            Event::FramesRequeued { job, frames } => {
                self.jobs.insert(*job);
                self.tasks.extend(frames.frames().into_iter().map(|frame| (*job, frame)));
            }
            Event::TaskDone { job, frame, .. }
            | Event::ShareDone { job, frame, .. }
            | Event::PartRejected { job, frame, .. }
            | Event::TaskFailed { job, frame, .. }
            | Event::FrameMerged { job, frame, .. }
            | Event::MergedSpoiled { job, frame }
            | Event::FrameStopped { job, frame }
            | Event::FrameGrown { job, frame, .. }
            | Event::TaskSpoiled { job, frame } => {
                self.jobs.insert(*job);
                self.tasks.insert((*job, *frame));
            }
            Event::SlaveJoined { slave, .. }
            | Event::SlaveReturned { slave }
            | Event::SlaveLost { slave }
            | Event::SlaveLeft { slave }
            | Event::SlaveEdited { slave, .. }
            | Event::SlaveOrdered { slave, .. } => {
                self.slaves.insert(*slave);
            }
            // Leases and the policy are part of the rest.
            Event::LeaseGranted { .. }
            | Event::ShareGranted { .. }
            | Event::LeaseEnded { .. }
            | Event::PolicyChanged { .. } => {}
        }
    }

    /// Number of rows to write.
    pub fn len(&self) -> usize {
        self.jobs.len() + self.tasks.len() + self.slaves.len()
    }

    /// True if the rows of the last snapshot are up to date.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The part of a farm that every snapshot writes as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rest {
    last_job: u32,
    last_slave: u32,
    last_lease: u64,
    /// All leases: about as many as slaves.
    leases: Vec<Lease>,
    #[serde(default, rename = "rules")]
    policy: Policy,
    #[serde(default, rename = "rule_edits")]
    policy_edits: u32,
}

impl Rest {
    /// The rest of this farm.
    pub fn of(farm: &Farm) -> Self {
        Self {
            last_job: farm.last_job,
            last_slave: farm.last_slave,
            last_lease: farm.last_lease,
            leases: farm.leases.values().cloned().collect(),
            policy: farm.policy,
            policy_edits: farm.policy_edits,
        }
    }
}

/// A farm that is restored from rows: first jobs and slaves, then frames, then [`Self::finish`].
#[derive(Debug, Default)]
pub struct Restore {
    farm: Farm,
    states: BTreeMap<JobId, JobState>,
}

impl Restore {
    /// Adds a job; its frames wait.
    pub fn job(&mut self, head: JobHead) {
        self.states.insert(head.id, head.state);
        let mut job = Job::new(head.id, head.spec, head.created);
        (job.blacklist, job.failing) = (head.blacklist, head.failing);
        (job.speeds, job.warm_up_ms, job.edits) = (head.speeds, head.warm_up_ms, head.edits);
        (job.baked, job.bake_failures) = (head.baked, head.bake_failures);
        self.farm.jobs.insert(job.id, job);
    }

    /// Adds a slave.
    pub fn slave(&mut self, slave: Slave) {
        self.farm.slaves.insert(slave.id, slave);
    }

    /// Adds the row of a frame, whose job must be there already. A leased frame waits until
    /// [`Self::finish`] brings the leases.
    pub fn task(&mut self, job: JobId, frame: Frame, row: TaskRow) {
        let Some(job) = self.farm.jobs.get_mut(&job) else { return };
        let Some(slot) = job.tasks.get_mut(&frame) else { return };
        (slot.failures, slot.strikes) = (row.failures, row.strikes);
        let state = row.kind.state(row.shared.unwrap_or_default(), &job.spec);
        job.set_task(frame, state);
    }

    /// Adds leases and everything else, and returns the farm.
    pub fn finish(self, rest: Rest) -> Farm {
        let Self { mut farm, states } = self;
        for lease in rest.leases {
            if let Some(job) = farm.jobs.get_mut(&lease.job) {
                for frame in &lease.frames {
                    match lease.share {
                        None => job.lease_whole(*frame, lease.id),
                        Some(share) => job.lease_share(*frame, lease.id, share),
                    }
                }
            }
            farm.leases.insert(lease.id, lease);
        }
        for (id, state) in states {
            if let Some(job) = farm.jobs.get_mut(&id) {
                job.state = state;
            }
        }
        (farm.policy, farm.policy_edits) = (rest.policy, rest.policy_edits);
        (farm.last_job, farm.last_slave, farm.last_lease) = (rest.last_job, rest.last_slave, rest.last_lease);
        farm
    }
}
