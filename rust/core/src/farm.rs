//! The whole durable state of a farm, and the only place where it changes.

use crate::{
    event::{Event, Record},
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    job::{Job, JobState},
    lease::Lease,
    rules::Rules,
    share::{Part, learn},
    slave::{Build, Duty, Slave, SlaveState},
    task::{Failure, Task, TaskState},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Jobs, slaves and leases. The same records applied in the same order give an equal farm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Farm {
    /// By number.
    pub jobs: BTreeMap<JobId, Job>,
    /// By number.
    pub slaves: BTreeMap<SlaveId, Slave>,
    /// By number.
    pub leases: BTreeMap<LeaseId, Lease>,
    /// Who gets the next slave.
    pub rules: Rules,
    /// How often these were changed.
    pub rule_edits: u32,
    /// The highest numbers given so far.
    pub(crate) last_job: u32,
    pub(crate) last_slave: u32,
    pub(crate) last_lease: u64,
}

impl Farm {
    /// Applies one record. Never fails: what does not fit (it can't come from `decide`) changes nothing.
    pub fn apply(&mut self, record: &Record) {
        let Record { at, event } = record;
        match event {
            Event::JobAccepted { job, spec } => {
                self.last_job = self.last_job.max(job.0);
                self.jobs.insert(*job, Job::new(*job, (**spec).clone(), *at));
            }
            Event::JobPaused { job } => self.set_job_state(*job, JobState::Paused),
            Event::JobResumed { job } => self.set_job_state(*job, JobState::Active),
            Event::JobCanceled { job } => self.set_job_state(*job, JobState::Canceled),
            Event::JobRequeued { job } => self.requeue(*job),
            Event::JobDeleted { job } => self.set_job_state(*job, JobState::Deleted),
            Event::JobForgotten { job } => {
                self.jobs.remove(job);
            }
            Event::BlacklistChanged { job, slave, listed } => {
                let Some(job) = self.jobs.get_mut(job) else { return };
                job.failing.remove(slave);
                if *listed {
                    job.blacklist.insert(*slave);
                } else {
                    job.blacklist.remove(slave);
                }
            }
            Event::FramesRequeued { job, frames } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.render_again(frames);
                }
            }
            Event::JobEdited { job, edit } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.edit(edit);
                }
            }
            Event::SlaveJoined { slave, key, name, info, started } => {
                self.last_slave = self.last_slave.max(slave.0);
                let known = self.slaves.get(slave);
                let joined = known.map_or(*at, |known| known.joined);
                let duty = known.map_or(Duty::Work, |known| known.duty);
                let duty = if *started { duty.of_the_next_start() } else { duty };
                let (set, edits) = known.map(|known| (known.set.clone(), known.edits.clone())).unwrap_or_default();
                let (key, own_name, info) = (key.clone(), name.clone(), (**info).clone());
                let state = SlaveState::Ready;
                self.slaves.insert(*slave, Slave { id: *slave, key, own_name, info, set, edits, state, duty, joined });
            }
            Event::SlaveEdited { slave, edit } => {
                if let Some(slave) = self.slaves.get_mut(slave) {
                    slave.edit(edit);
                }
            }
            Event::RulesChanged { rules } => {
                self.rules = *rules;
                self.rule_edits += 1;
            }
            Event::SlaveOrdered { slave, duty } => {
                if let Some(slave) = self.slaves.get_mut(slave) {
                    slave.duty = *duty;
                }
            }
            Event::SlaveReturned { slave } => self.set_slave_state(*slave, SlaveState::Ready),
            Event::SlaveLost { slave } => self.set_slave_state(*slave, SlaveState::Lost),
            Event::SlaveLeft { slave } => {
                self.set_slave_state(*slave, SlaveState::Gone);
                if let Some(slave) = self.slaves.get_mut(slave) {
                    slave.duty = slave.duty.of_the_next_start();
                }
            }
            Event::LeaseGranted { lease, slave, job, frames } => {
                self.last_lease = self.last_lease.max(lease.0);
                let Some(owner) = self.jobs.get_mut(job) else { return };
                for frame in frames {
                    owner.set_task(*frame, TaskState::Leased { lease: *lease });
                }
                let frames = frames.iter().copied().collect();
                let (id, slave, job) = (*lease, *slave, *job);
                let lease = Lease { id, slave, job, frames, share: None, build: None, granted: *at };
                self.leases.insert(lease.id, lease);
            }
            Event::ShareGranted { lease, slave, job, frame, share } => {
                self.last_lease = self.last_lease.max(lease.0);
                let Some(owner) = self.jobs.get_mut(job) else { return };
                owner.lease_share(*frame, *lease, *share);
                let (id, frames) = (*lease, [*frame].into());
                let build = self.slaves.get(slave).map(|slave| slave.info.build());
                let lease = Lease { id, slave: *slave, job: *job, frames, share: Some(*share), build, granted: *at };
                self.leases.insert(id, lease);
            }
            Event::ShareDone { job, frame, lease, part } => {
                let Some(owner) = self.jobs.get_mut(job) else { return };
                let slave = part.result.slave;
                owner.failing.remove(&slave);
                learn(&mut owner.speeds, slave, owner.spec.unit(), part.share.samples, part.result.seconds);
                owner.warm_up_ms = owner.warm_up_ms.max((part.warm_up_s * 1000.0) as u32);
                let mut leased = false;
                let shared = owner.change_sharing(*frame, |sharing| {
                    // Only of the very samples it was given: of others it goes on.
                    leased = sharing.leased.get(lease) == Some(&part.share);
                    if leased {
                        sharing.leased.remove(lease);
                    }
                    if leased || sharing.take(part.share) {
                        sharing.parts.push(Part { at: *at, ..(**part).clone() });
                    }
                });
                if leased {
                    self.leases.remove(lease);
                } else if !shared {
                    // A late part of a frame that nobody had begun again.
                    owner.begin_sharing(*frame);
                    owner.change_sharing(*frame, |sharing| {
                        if sharing.take(part.share) {
                            sharing.parts.push(Part { at: *at, ..(**part).clone() });
                        }
                    });
                }
            }
            Event::PartRejected { job, frame, share, failure, retry } => {
                let Some(owner) = self.jobs.get_mut(job) else { return };
                owner.change_sharing(*frame, |sharing| {
                    let before = sharing.parts.len();
                    sharing.parts.retain(|part| part.share != *share);
                    if sharing.parts.len() < before {
                        sharing.release(*share);
                    }
                });
                self.fail(*job, *frame, failure, *retry);
            }
            Event::LeaseEnded { lease, end: _ } => self.end_lease(*lease),
            Event::TaskDone { job, frame, result } => {
                self.unlease(*job, *frame);
                if let Some(job) = self.jobs.get_mut(job) {
                    job.failing.remove(&result.slave);
                    job.set_task(*frame, TaskState::Done(result.clone()));
                }
            }
            Event::TaskFailed { job, frame, failure, retry } => {
                // Of a shared frame only one lease failed, and ended by an event of its own before this one.
                if self.shares_of(*job, *frame).next().is_none() {
                    self.unlease(*job, *frame);
                }
                self.fail(*job, *frame, failure, *retry);
            }
            Event::FrameMerged { job, frame, merged } => {
                self.unlease(*job, *frame);
                let Some(job) = self.jobs.get_mut(job) else { return };
                let Some(task) = job.tasks.get_mut(frame) else { return };
                (task.merged, task.is_growing) = (Some(merged.clone()), false);
                job.set_task(*frame, TaskState::Waiting);
            }
            Event::FrameStopped { job, frame } => {
                let Some(job) = self.jobs.get_mut(job) else { return };
                job.begin_sharing(*frame);
                job.change_sharing(*frame, |sharing| sharing.is_stopped = true);
            }
            Event::FrameGrown { job, frame, samples } => {
                let Some(job) = self.jobs.get_mut(job) else { return };
                let Some(task) = job.tasks.get_mut(frame) else { return };
                if matches!(task.state, TaskState::Done(_)) && task.merged.is_some() {
                    (task.goal, task.is_growing) = (Some(*samples), true);
                    job.set_task(*frame, TaskState::Waiting);
                }
            }
            Event::MergedSpoiled { job, frame } => {
                let Some(owner) = self.jobs.get_mut(job) else { return };
                let Some(task) = owner.tasks.get_mut(frame) else { return };
                (task.merged, task.is_growing) = (None, false);
                owner.change_sharing(*frame, |sharing| {
                    std::mem::take(&mut sharing.merged).into_iter().for_each(|share| sharing.release(share));
                });
                let state = self.jobs.get(job).and_then(|job| job.tasks.get(frame)).map(|task| &task.state);
                if matches!(state, Some(TaskState::Leased { .. } | TaskState::Waiting)) {
                    self.unlease(*job, *frame);
                    if let Some(job) = self.jobs.get_mut(job) {
                        job.set_task(*frame, TaskState::Waiting);
                    }
                }
            }
            Event::TaskSpoiled { job, frame } => {
                let Some(job) = self.jobs.get_mut(job) else { return };
                if job.tasks.get(frame).is_some_and(|task| matches!(task.state, TaskState::Done(_))) {
                    job.set_task(*frame, TaskState::Waiting);
                }
            }
        }
    }

    /// What the lease still had is in the queue again.
    fn end_lease(&mut self, lease: LeaseId) {
        let Some(Lease { id, job, frames, share, .. }) = self.leases.remove(&lease) else { return };
        let Some(job) = self.jobs.get_mut(&job) else { return };
        for frame in frames {
            match share {
                None => job.set_task(frame, TaskState::Waiting),
                Some(_) => {
                    _ = job.change_sharing(frame, |sharing| {
                        if let Some(share) = sharing.leased.remove(&id) {
                            sharing.release(share);
                        }
                    })
                }
            }
        }
    }

    /// An attempt failed. A shared frame goes on with what it has, unless it is given up.
    fn fail(&mut self, job: JobId, frame: Frame, failure: &Failure, retry: bool) {
        let Some(owner) = self.jobs.get_mut(&job) else { return };
        if let Some(task) = owner.tasks.get_mut(&frame) {
            task.failures.push(failure.clone());
            task.strikes += 1;
            *owner.failing.entry(failure.slave).or_default() += 1;
        }
        if !retry {
            self.unlease(job, frame);
        }
        let Some(owner) = self.jobs.get_mut(&job) else { return };
        let is_shared = owner.tasks.get(&frame).is_some_and(|task| matches!(task.state, TaskState::Sharing(_)));
        if !(retry && is_shared) {
            owner.set_task(frame, if retry { TaskState::Waiting } else { TaskState::Failed });
        }
    }

    fn shares_of(&self, job: JobId, frame: Frame) -> impl Iterator<Item = LeaseId> {
        let task = self.jobs.get(&job).and_then(|job| job.tasks.get(&frame));
        let sharing =
            task.and_then(|task| if let TaskState::Sharing(sharing) = &task.state { Some(sharing) } else { None });
        sharing.into_iter().flat_map(|sharing| sharing.leased.keys().copied())
    }

    /// The leases in this slave's hands.
    pub fn leases_of(&self, slave: SlaveId) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(move |lease| lease.slave == slave)
    }

    /// What drew the samples that a shared frame has or is getting; None while it has none.
    pub fn build_of<'a>(&'a self, task: &'a Task) -> Option<&'a Build> {
        let merged = task.merged.as_ref().filter(|_| task.is_growing).and_then(|merged| merged.build.as_ref());
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

    fn set_job_state(&mut self, job: JobId, state: JobState) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.state = state;
        }
    }

    fn set_slave_state(&mut self, slave: SlaveId, state: SlaveState) {
        if let Some(slave) = self.slaves.get_mut(&slave) {
            slave.state = state;
        }
    }

    fn requeue(&mut self, job: JobId) {
        let Some(job) = self.jobs.get_mut(&job) else { return };
        job.state = JobState::Active;
        let failed: Vec<_> =
            job.tasks.iter().filter(|(_, task)| task.state == TaskState::Failed).map(|(frame, _)| *frame).collect();
        for frame in failed {
            if let Some(task) = job.tasks.get_mut(&frame) {
                task.strikes = 0;
            }
            job.set_task(frame, TaskState::Waiting);
        }
    }

    /// Takes a frame out of the lease that has the whole of it, if any, and ends those that have samples of it.
    fn unlease(&mut self, job: JobId, frame: Frame) {
        for lease in self.shares_of(job, frame).collect::<Vec<_>>() {
            self.leases.remove(&lease);
        }
        let task = self.jobs.get(&job).and_then(|job| job.tasks.get(&frame));
        let Some(TaskState::Leased { lease: id }) = task.map(|task| &task.state) else { return };
        let Some(lease) = self.leases.get_mut(id) else { return };
        lease.frames.remove(&frame);
        if lease.frames.is_empty() {
            let id = *id;
            self.leases.remove(&id);
        }
    }
}
