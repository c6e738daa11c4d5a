//! Invariants of a farm, true after every event. Tests check it after each step, the master once
//! after replay.

use crate::model::{
    farm::Farm,
    ids::{Frame, JobId},
    job::{Counts, Job, JobState},
    lease::Lease,
    sharing::Sharing,
    slave::SlaveState,
    task::{Remaining, Task, TaskState},
};

impl Farm {
    /// Returns the first invariant that is broken, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        for (id, job) in &self.jobs {
            self.check_job(*id, job).map_err(|what| format!("job {id}: {what}"))?;
        }
        for (id, lease) in &self.leases {
            if id.0 > self.last_lease || lease.id != *id {
                return Err(format!("lease {id}: its number was never given"));
            }
            self.check_lease(lease).map_err(|what| format!("lease {id}: {what}"))?;
        }
        let mut keys: Vec<_> = self.slaves.values().map(|slave| &slave.key).collect();
        keys.sort();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two slaves have one key".into());
        }
        Ok(())
    }

    fn check_job(&self, id: JobId, job: &Job) -> Result<(), String> {
        if id.0 > self.last_job || job.id != id {
            return Err("its number was never given".into());
        }
        let mut counts = Counts::default();
        let mut spent_ms = 0;
        for (frame, task) in &job.tasks {
            *counts.slot(&task.state) += 1;
            spent_ms += task.state.spent_ms();
            self.check_task(job, *frame, task).map_err(|what| format!("frame {frame}: {what}"))?;
        }
        if counts != job.counts {
            return Err(format!("counted {counts:?}, kept {:?}", job.counts));
        }
        if spent_ms != job.spent_ms {
            return Err(format!("its frames took {spent_ms} ms, kept {}", job.spent_ms));
        }
        let settled = counts.done + counts.failed == counts.total();
        let right = match job.state {
            JobState::Finished => settled && counts.failed == 0,
            JobState::Failed => settled && counts.failed > 0,
            JobState::Active | JobState::Paused => !settled,
            JobState::Canceled | JobState::Deleted => self.leases.values().all(|lease| lease.job != id),
        };
        if right { Ok(()) } else { Err(format!("{:?} with {counts:?}", job.state)) }
    }

    fn check_task(&self, job: &Job, frame: Frame, task: &Task) -> Result<(), String> {
        if job.waiting.contains(&frame) != task.state.is_waiting() {
            return Err("the queue and its state disagree".into());
        }
        let is_to_finish = matches!(task.state, TaskState::Waiting(Remaining::Finish(_)));
        if job.finishing.contains(&frame) != is_to_finish {
            return Err("its finish and the job disagree".into());
        }
        let is_open = matches!(&task.state, TaskState::Sharing(sharing) if sharing.is_open());
        if job.open_shares.contains(&frame) != is_open {
            return Err("its free units and the job disagree".into());
        }
        if task.strikes as usize > task.failures.len() {
            return Err("more strikes than failures".into());
        }
        match &task.state {
            TaskState::Leased { lease } | TaskState::Finishing { lease, .. } => {
                let held = self.leases.get(lease).is_some_and(|l| l.job == job.id && l.frames.contains(&frame));
                if held { Ok(()) } else { Err(format!("leased by {lease}, which does not hold it")) }
            }
            TaskState::Sharing(sharing) => self.check_sharing(job, frame, sharing, task.units(&job.spec)),
            TaskState::Waiting(_) | TaskState::Done { .. } | TaskState::Failed(_) => Ok(()),
        }
    }

    fn check_sharing(&self, job: &Job, frame: Frame, sharing: &Sharing, total: u32) -> Result<(), String> {
        sharing.check(total)?;
        if sharing.is_untouched() {
            return Err("shared by nobody".into());
        }
        for (lease, share) in &sharing.leased {
            let held = self
                .leases
                .get(lease)
                .is_some_and(|l| l.job == job.id && l.frames.contains(&frame) && l.share == Some(*share));
            if !held {
                return Err(format!("units leased by {lease}, which does not hold them"));
            }
        }
        Ok(())
    }

    fn check_lease(&self, lease: &Lease) -> Result<(), String> {
        if lease.frames.is_empty() {
            return Err("it is empty".into());
        }
        if self.slaves.get(&lease.slave).is_none_or(|slave| slave.state != SlaveState::Ready) {
            return Err("its slave is not there".into());
        }
        let job = self.jobs.get(&lease.job).ok_or("its job is not there")?;
        if lease.bake {
            let others = self.leases.values().filter(|other| other.bake && other.job == lease.job).count() - 1;
            if !job.needs_bake() || others > 0 || lease.frames.len() > 1 {
                return Err(format!("it is to bake, with {others} others for it and {} frames", lease.frames.len()));
            }
        }
        let holds = |frame| {
            job.tasks.get(frame).is_some_and(|task| match (&task.state, lease.share) {
                (TaskState::Leased { lease: of } | TaskState::Finishing { lease: of, .. }, None) => *of == lease.id,
                (TaskState::Sharing(sharing), Some(share)) => sharing.leased.get(&lease.id) == Some(&share),
                _ => false,
            })
        };
        if lease.frames.iter().all(holds) { Ok(()) } else { Err("a frame of it does not know it".into()) }
    }
}
