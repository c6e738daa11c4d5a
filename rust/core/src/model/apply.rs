//! Application of events: how each one changes the farm.
//!
//! **Invariant:** a farm changes nowhere else, neither in live work nor in replay.

use crate::model::{
    cut::Span,
    event::{Event, Record},
    farm::Farm,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    job::{Job, JobState},
    lease::Lease,
    result::{Failure, TaskResult},
    sharing::{Merged, Part, Sharing, learn},
    slave::{Duty, Slave, SlaveInfo, SlaveState},
    task::{Remaining, TaskState, Unfinished},
};

impl Farm {
    /// Applies one record. Never fails: an event that does not fit the farm, which `decide` never
    /// makes, changes nothing.
    pub fn apply(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::JobAccepted { job, spec } => {
                self.last_job = self.last_job.max(job.0);
                self.jobs.insert(*job, Job::new(*job, (**spec).clone(), at));
            }
            Event::JobPaused { job } => self.set_job_state(*job, JobState::Paused),
            Event::JobResumed { job } => self.set_job_state(*job, JobState::Active),
            Event::JobCanceled { job } => self.set_job_state(*job, JobState::Canceled),
            Event::JobDeleted { job } => self.set_job_state(*job, JobState::Deleted),
            Event::JobForgotten { job } => _ = self.jobs.remove(job),
            Event::JobRequeued { job } => self.change_job(*job, Job::requeue),
            Event::FramesRequeued { job, frames } => self.change_job(*job, |job| job.render_again(frames)),
            Event::JobEdited { job, edit } => self.change_job(*job, |job| job.edit(edit)),
            Event::BlacklistChanged { job, slave, listed } => {
                self.change_job(*job, |job| job.set_blacklisted(*slave, *listed));
            }

            Event::SlaveJoined { slave, key, name, info, started } => {
                self.slave_joined(at, *slave, key, name, info, *started);
            }
            Event::SlaveEdited { slave, edit } => self.change_slave(*slave, |slave| slave.edit(edit)),
            Event::SlaveOrdered { slave, duty } => self.change_slave(*slave, |slave| slave.duty = *duty),
            Event::SlaveReturned { slave } => self.change_slave(*slave, |slave| slave.state = SlaveState::Ready),
            Event::SlaveLost { slave } => self.change_slave(*slave, |slave| slave.state = SlaveState::Lost),
            Event::SlaveLeft { slave } => self.change_slave(*slave, |slave| {
                slave.state = SlaveState::Gone;
                slave.duty = slave.duty.of_the_next_start();
            }),
            Event::PolicyChanged { policy } => {
                self.policy = *policy;
                self.policy_edits += 1;
            }

            Event::LeaseGranted { lease, slave, job, frames, bake } => {
                self.lease_granted(at, *lease, *slave, *job, frames, *bake);
            }
            Event::ShareGranted { lease, slave, job, frame, share, bake } => {
                self.share_granted(at, *lease, *slave, *job, (*frame, *share), *bake);
            }
            Event::LeaseEnded { lease, end: _ } => self.lease_ended(*lease),

            Event::TaskDone { job, frame, result } => self.task_done(*job, *frame, result),
            Event::TaskFailed { job, frame, failure, retry } => self.task_failed(*job, *frame, failure, *retry),
            Event::TaskSpoiled { job, frame } => self.task_spoiled(*job, *frame),

            Event::ShareDone { job, frame, lease, part } => self.share_done(at, *job, *frame, *lease, part),
            Event::PartRejected { job, frame, share, failure, retry } => {
                self.part_rejected(*job, *frame, *share, failure, *retry);
            }
            Event::FrameMerged { job, frame, merged } => self.frame_merged(*job, *frame, merged),
            Event::FrameStopped { job, frame } => self.change_job(*job, |job| {
                job.begin_sharing(*frame);
                job.change_sharing(*frame, |sharing| sharing.is_stopped = true);
            }),
            Event::FrameGrown { job, frame, goal } => self.change_job(*job, |job| job.grow(*frame, *goal)),
            Event::MergedSpoiled { job, frame } => self.merged_spoiled(*job, *frame),

            Event::JobBaked { job, baked } => self.change_job(*job, |job| {
                job.baked = Some(baked.clone());
                job.bake_failures.clear();
                job.failing.remove(&baked.slave);
            }),
            Event::BakeFailed { job, failure, retry } => self.change_job(*job, |job| job.bake_failed(failure, *retry)),
            Event::BakeSpoiled { job } => self.change_job(*job, |job| job.baked = None),
        }
    }

    fn change_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.get_mut(&id) {
            change(job);
        }
    }

    fn change_slave(&mut self, id: SlaveId, change: impl FnOnce(&mut Slave)) {
        if let Some(slave) = self.slaves.get_mut(&id) {
            change(slave);
        }
    }

    fn set_job_state(&mut self, id: JobId, state: JobState) {
        self.change_job(id, |job| job.state = state);
    }

    fn slave_joined(&mut self, at: Timestamp, id: SlaveId, key: &str, name: &str, info: &SlaveInfo, started: bool) {
        self.last_slave = self.last_slave.max(id.0);
        let known = self.slaves.get(&id);
        let joined = known.map_or(at, |known| known.joined);
        let duty = known.map_or(Duty::Work, |known| known.duty);
        let duty = if started { duty.of_the_next_start() } else { duty };
        let (set, edits) = known.map(|known| (known.set.clone(), known.edits.clone())).unwrap_or_default();
        let (key, own_name, info) = (key.to_owned(), name.to_owned(), info.clone());
        let state = SlaveState::Ready;
        self.slaves.insert(id, Slave { id, key, own_name, info, set, edits, state, duty, joined });
    }

    fn lease_granted(
        &mut self,
        granted: Timestamp,
        id: LeaseId,
        slave: SlaveId,
        job: JobId,
        frames: &[Frame],
        bake: bool,
    ) {
        self.last_lease = self.last_lease.max(id.0);
        let Some(owner) = self.jobs.get_mut(&job) else { return };
        for frame in frames {
            owner.lease_whole(*frame, id);
        }
        let frames = frames.iter().copied().collect();
        self.leases.insert(id, Lease { id, slave, job, frames, share: None, bake, build: None, granted });
    }

    fn share_granted(
        &mut self,
        granted: Timestamp,
        id: LeaseId,
        slave: SlaveId,
        job: JobId,
        (frame, share): (Frame, Span),
        bake: bool,
    ) {
        self.last_lease = self.last_lease.max(id.0);
        let Some(owner) = self.jobs.get_mut(&job) else { return };
        owner.lease_share(frame, id, share);
        let frames = [frame].into();
        let build = self.slaves.get(&slave).map(|slave| slave.info.build());
        self.leases.insert(id, Lease { id, slave, job, frames, share: Some(share), bake, build, granted });
    }

    /// Ends a lease and puts what it still had back into the queue.
    fn lease_ended(&mut self, lease: LeaseId) {
        let Some(Lease { id, job, frames, share, .. }) = self.leases.remove(&lease) else { return };
        let Some(job) = self.jobs.get_mut(&job) else { return };
        for frame in frames {
            match share {
                None => job.put_back(frame),
                Some(_) => job.change_sharing(frame, |sharing| sharing.end_lease(id)),
            }
        }
    }

    fn task_done(&mut self, id: JobId, frame: Frame, result: &TaskResult) {
        self.unlease(id, frame);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.failing.remove(&result.slave);
        let Some(task) = job.tasks.get(&frame) else { return };
        let (merged, goal) = (task.merged().cloned().map(Box::new), task.goal());
        job.set_task(frame, TaskState::Done { result: Box::new(result.clone()), merged, goal });
    }

    fn task_failed(&mut self, job: JobId, frame: Frame, failure: &Failure, retry: bool) {
        // If the frame is shared, only one lease failed, and an event before this one ended it.
        if self.shares_of(job, frame).next().is_none() {
            self.unlease(job, frame);
        }
        self.count_failure(job, frame, failure, retry);
    }

    /// Sends a frame whose picture is lost back into the queue.
    fn task_spoiled(&mut self, job: JobId, frame: Frame) {
        self.change_job(job, |job| {
            if job.tasks.get(&frame).is_some_and(|task| matches!(task.state, TaskState::Done { .. })) {
                job.put_back(frame);
            }
        });
    }

    fn share_done(&mut self, at: Timestamp, job: JobId, frame: Frame, lease: LeaseId, part: &Part) {
        let Some(owner) = self.jobs.get_mut(&job) else { return };
        let part = Part { at, ..part.clone() };
        let slave = part.result.slave;
        owner.failing.remove(&slave);
        learn(&mut owner.speeds, slave, owner.spec.unit(), part.share.count, part.result.seconds);
        owner.warm_up_ms = owner.warm_up_ms.max((part.warm_up_s * 1000.0) as u32);
        // A late part may be the first one of a frame that waits again.
        owner.begin_sharing(frame);
        let mut was_leased = false;
        owner.change_sharing(frame, |sharing| was_leased = sharing.add_part(lease, part));
        if was_leased {
            self.leases.remove(&lease);
        }
    }

    fn part_rejected(&mut self, job: JobId, frame: Frame, share: Span, failure: &Failure, retry: bool) {
        let Some(owner) = self.jobs.get_mut(&job) else { return };
        owner.change_sharing(frame, |sharing| sharing.reject_part(share));
        self.count_failure(job, frame, failure, retry);
    }

    fn frame_merged(&mut self, id: JobId, frame: Frame, merged: &Merged) {
        self.unlease(id, frame);
        self.change_job(id, |job| {
            let Some(task) = job.tasks.get(&frame) else { return };
            let unfinished = Unfinished { merged: Box::new(merged.clone()), goal: task.goal() };
            job.set_task(frame, TaskState::Waiting(Remaining::Finish(unfinished)));
        });
    }

    /// Forgets the merged film of a frame. Its samples are rendered again unless its picture is
    /// there.
    fn merged_spoiled(&mut self, id: JobId, frame: Frame) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(task) = job.tasks.get(&frame) else { return };
        let remaining = Remaining::of(None, task.goal());
        let state = match &task.state {
            TaskState::Sharing(_) => {
                job.change_sharing(frame, Sharing::forget_merged);
                return;
            }
            TaskState::Done { result, goal, .. } => {
                TaskState::Done { result: result.clone(), merged: None, goal: *goal }
            }
            TaskState::Failed(_) => TaskState::Failed(remaining),
            TaskState::Waiting(_) | TaskState::Leased { .. } | TaskState::Finishing { .. } => {
                TaskState::Waiting(remaining)
            }
        };
        self.unlease(id, frame);
        self.change_job(id, |job| job.set_task(frame, state));
    }

    /// Counts a failed attempt. The frame is given up, or it waits again, or it stays shared.
    fn count_failure(&mut self, id: JobId, frame: Frame, failure: &Failure, retry: bool) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(task) = job.tasks.get_mut(&frame) {
            task.failures.push(failure.clone());
            task.strikes += 1;
            *job.failing.entry(failure.slave).or_default() += 1;
        }
        if !retry {
            self.unlease(id, frame);
        }
        self.change_job(id, |job| match job.tasks.get(&frame).map(|task| &task.state) {
            Some(state) if !retry => job.set_task(frame, TaskState::Failed(state.remaining())),
            Some(TaskState::Sharing(_)) | None => {}
            Some(_) => job.put_back(frame),
        });
    }

    /// The leases that have parts of the frame.
    fn shares_of(&self, job: JobId, frame: Frame) -> impl Iterator<Item = LeaseId> {
        let task = self.jobs.get(&job).and_then(|job| job.tasks.get(&frame));
        let sharing =
            task.and_then(|task| if let TaskState::Sharing(sharing) = &task.state { Some(sharing) } else { None });
        sharing.into_iter().flat_map(|sharing| sharing.leased.keys().copied())
    }

    /// Removes a frame from the lease that has all of it, and ends the leases of its parts.
    fn unlease(&mut self, job: JobId, frame: Frame) {
        for lease in self.shares_of(job, frame).collect::<Vec<_>>() {
            self.leases.remove(&lease);
        }
        let task = self.jobs.get(&job).and_then(|job| job.tasks.get(&frame));
        let Some(TaskState::Leased { lease: id } | TaskState::Finishing { lease: id, .. }) =
            task.map(|task| &task.state)
        else {
            return;
        };
        let Some(lease) = self.leases.get_mut(id) else { return };
        lease.frames.remove(&frame);
        if lease.frames.is_empty() {
            let id = *id;
            self.leases.remove(&id);
        }
    }
}
