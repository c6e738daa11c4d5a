//! The farm in parts small enough to be written one by one, so that a snapshot costs what changed and not what there is.
//!
//! [`Touched`] follows the events; what it names is written over what the last snapshot had, together with
//! [`Rest`], which is small. [`Restore`] puts the parts together again.

use crate::{
    event::Event,
    farm::Farm,
    ids::{Frame, JobId, SlaveId},
    job::{Job, JobHead, JobState},
    lease::Lease,
    rules::Rules,
    slave::Slave,
    task::{Task, TaskState},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What differs from the last snapshot. A job named here that is no more was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Their heads.
    pub jobs: BTreeSet<JobId>,
    /// Tasks that are done, in part or whole or but for their finish, or failed at least once.
    pub tasks: BTreeSet<(JobId, Frame)>,
    /// By number.
    pub slaves: BTreeSet<SlaveId>,
}

impl Touched {
    /// Follows an event that was just applied.
    pub fn note(&mut self, farm: &Farm, event: &Event) {
        match event {
            Event::JobAccepted { job, .. }
            | Event::JobPaused { job }
            | Event::JobResumed { job }
            | Event::JobCanceled { job }
            | Event::JobEdited { job, .. }
            | Event::JobDeleted { job }
            | Event::JobForgotten { job }
            | Event::BlacklistChanged { job, .. } => {
                self.jobs.insert(*job);
            }
            Event::JobRequeued { job } => {
                self.jobs.insert(*job);
                let tasks = farm.jobs.get(job).into_iter().flat_map(|job| &job.tasks);
                self.tasks.extend(tasks.filter(|(_, task)| !task.failures.is_empty()).map(|(frame, _)| (*job, *frame)));
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
            // Leases and rules are part of the rest.
            Event::LeaseGranted { .. }
            | Event::ShareGranted { .. }
            | Event::LeaseEnded { .. }
            | Event::RulesChanged { .. } => {}
        }
    }

    /// How much there is to write.
    pub fn len(&self) -> usize {
        self.jobs.len() + self.tasks.len() + self.slaves.len()
    }

    /// Whether the last snapshot is up to date but for what every snapshot has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is written with every snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rest {
    last_job: u32,
    last_slave: u32,
    last_lease: u64,
    /// Every lease there is: as many as slaves, about.
    leases: Vec<Lease>,
    #[serde(default)]
    rules: Rules,
    #[serde(default)]
    rule_edits: u32,
}

impl Rest {
    /// Of this farm as it is.
    pub fn of(farm: &Farm) -> Self {
        Self {
            last_job: farm.last_job,
            last_slave: farm.last_slave,
            last_lease: farm.last_lease,
            leases: farm.leases.values().cloned().collect(),
            rules: farm.rules,
            rule_edits: farm.rule_edits,
        }
    }
}

/// A farm being put together: jobs and slaves first, then tasks, then [`Self::finish`].
#[derive(Debug, Default)]
pub struct Restore {
    farm: Farm,
    states: BTreeMap<JobId, JobState>,
}

impl Restore {
    /// A job of which nothing is done so far.
    pub fn job(&mut self, head: JobHead) {
        self.states.insert(head.id, head.state);
        let mut job = Job::new(head.id, head.spec, head.created);
        (job.blacklist, job.failing) = (head.blacklist, head.failing);
        (job.speeds, job.warm_up_ms, job.edits) = (head.speeds, head.warm_up_ms, head.edits);
        self.farm.jobs.insert(job.id, job);
    }

    /// A slave.
    pub fn slave(&mut self, slave: Slave) {
        self.farm.slaves.insert(slave.id, slave);
    }

    /// A task of a job that is here; a leased one counts as waiting until the leases come.
    pub fn task(&mut self, job: JobId, frame: Frame, task: Task) {
        let Some(job) = self.farm.jobs.get_mut(&job) else { return };
        let Some(slot) = job.tasks.get_mut(&frame) else { return };
        (slot.failures, slot.strikes, slot.merged) = (task.failures, task.strikes, task.merged);
        (slot.goal, slot.is_growing) = (task.goal, task.is_growing);
        let slot_is_merged = slot.merged.is_some();
        let state = match task.state {
            TaskState::Leased { .. } => TaskState::Waiting,
            // Only the parts count; what is leased comes with the leases, and the rest is free.
            TaskState::Sharing(saved) => {
                let mut sharing = slot.sharing(&job.spec);
                sharing.parts = saved.parts.into_iter().filter(|part| sharing.take(part.share)).collect();
                sharing.is_stopped = saved.is_stopped;
                if sharing.is_untouched() { TaskState::Waiting } else { TaskState::Sharing(Box::new(sharing)) }
            }
            state => state,
        };
        if state != TaskState::Waiting || slot_is_merged {
            job.set_task(frame, state);
        }
    }

    /// The farm.
    pub fn finish(self, rest: Rest) -> Farm {
        let Self { mut farm, states } = self;
        for lease in rest.leases {
            if let Some(job) = farm.jobs.get_mut(&lease.job) {
                for frame in &lease.frames {
                    match lease.share {
                        None => job.set_task(*frame, TaskState::Leased { lease: lease.id }),
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
        (farm.rules, farm.rule_edits) = (rest.rules, rest.rule_edits);
        (farm.last_job, farm.last_slave, farm.last_lease) = (rest.last_job, rest.last_slave, rest.last_lease);
        farm
    }
}
