//! What must be true of a farm after every step. Tests call it; the master calls it once after replay.

use crate::{
    farm::Farm,
    job::{Counts, JobState},
    slave::SlaveState,
    task::TaskState,
};

impl Farm {
    /// Says the first thing that is not as it must be.
    pub fn check_invariants(&self) -> Result<(), String> {
        for (id, job) in &self.jobs {
            let fail = |what: String| Err(format!("job {id}: {what}"));
            if id.0 > self.last_job || job.id != *id {
                return fail("its number was never given".into());
            }
            let mut counts = Counts::default();
            let mut spent_ms = 0;
            for (frame, task) in &job.tasks {
                *counts.slot(&task.state) += 1;
                spent_ms += task.state.spent_ms();
                if job.waiting.contains(frame) != (task.state == TaskState::Waiting) {
                    return fail(format!("frame {frame}: the queue and its state disagree"));
                }
                let finishing = task.lacks_finish() && task.state == TaskState::Waiting;
                if job.finishing.contains(frame) != finishing {
                    return fail(format!("frame {frame}: its finish and the job disagree"));
                }
                if task.lacks_finish() && matches!(task.state, TaskState::Sharing(_)) {
                    return fail(format!("frame {frame}: merged, and shared out all the same"));
                }
                if task.is_growing && (task.merged.is_none() || task.goal.is_none()) {
                    return fail(format!("frame {frame}: it is to have more, but more than what?"));
                }
                if let TaskState::Leased { lease } = task.state {
                    let held = self.leases.get(&lease).is_some_and(|l| l.job == *id && l.frames.contains(frame));
                    if !held {
                        return fail(format!("frame {frame}: leased by {lease}, which does not hold it"));
                    }
                }
                if let TaskState::Sharing(sharing) = &task.state {
                    let samples = task.samples(&job.spec);
                    let before =
                        task.merged.as_ref().filter(|_| task.is_growing).map_or(&[][..], |merged| &merged.shares);
                    if sharing.merged != before {
                        return fail(format!("frame {frame}: what was merged of it and its samples disagree"));
                    }
                    if let Err(why) = sharing.check(samples) {
                        return fail(format!("frame {frame}: {why}"));
                    }
                    if sharing.is_untouched() {
                        return fail(format!("frame {frame}: shared by nobody"));
                    }
                    for (lease, share) in &sharing.leased {
                        let ours = self.leases.get(lease);
                        let held =
                            ours.is_some_and(|l| l.job == *id && l.frames.contains(frame) && l.share == Some(*share));
                        if !held {
                            return fail(format!("frame {frame}: samples leased by {lease}, which does not hold them"));
                        }
                    }
                }
                let open = matches!(&task.state, TaskState::Sharing(sharing) if sharing.is_open());
                if open != job.open_shares.contains(frame) {
                    return fail(format!("frame {frame}: its free samples and the job disagree"));
                }
                if matches!(task.state, TaskState::Leased { .. }) && !task.may_be_whole() {
                    return fail(format!("frame {frame}: leased as a whole, but it has samples of its own"));
                }
                if task.strikes as usize > task.failures.len() {
                    return fail(format!("frame {frame}: more strikes than failures"));
                }
            }
            if counts != job.counts {
                return fail(format!("counted {counts:?}, kept {:?}", job.counts));
            }
            if spent_ms != job.spent_ms {
                return fail(format!("its frames took {spent_ms} ms, kept {}", job.spent_ms));
            }
            let settled = counts.done + counts.failed == counts.total();
            let right = match job.state {
                JobState::Finished => settled && counts.failed == 0,
                JobState::Failed => settled && counts.failed > 0,
                JobState::Active | JobState::Paused => !settled,
                JobState::Canceled | JobState::Deleted => self.leases.values().all(|lease| lease.job != *id),
            };
            if !right {
                return fail(format!("{:?} with {counts:?}", job.state));
            }
        }
        for (id, lease) in &self.leases {
            let fail = |what: &str| Err(format!("lease {id}: {what}"));
            if id.0 > self.last_lease || lease.id != *id {
                return fail("its number was never given");
            }
            if lease.frames.is_empty() {
                return fail("it is empty");
            }
            if self.slaves.get(&lease.slave).is_none_or(|slave| slave.state != SlaveState::Ready) {
                return fail("its slave is not there");
            }
            let Some(job) = self.jobs.get(&lease.job) else { return fail("its job is not there") };
            let held = |frame| {
                job.tasks.get(frame).is_some_and(|task| match (&task.state, lease.share) {
                    (TaskState::Leased { lease: of }, None) => of == id,
                    (TaskState::Sharing(sharing), Some(share)) => sharing.leased.get(id) == Some(&share),
                    _ => false,
                })
            };
            if !lease.frames.iter().all(held) {
                return fail("a frame of it does not know it");
            }
        }
        let mut keys: Vec<_> = self.slaves.values().map(|slave| &slave.key).collect();
        keys.sort();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two slaves have one key".into());
        }
        Ok(())
    }
}
