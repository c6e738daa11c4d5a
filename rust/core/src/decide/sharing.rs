//! Commands about frames that several slaves render together: parts handed in, merged, stopped
//! early, continued later.

use crate::{
    decide::{
        command::{Decided, Reply, answer, events},
        eligibility::other_build,
        leases, lookup,
        refusal::Refusal,
        retry,
    },
    model::{
        cut::{Span, Unit},
        event::Event,
        farm::Farm,
        frames::FrameList,
        ids::{Frame, JobId, LeaseId, Timestamp},
        job::JobState,
        lease::LeaseEnd,
        result::{Failure, TaskError},
        retry::RetryPolicy,
        sharing::{Merged, Part},
        spec::MAX_SAMPLES,
        task::{Remaining, Task, TaskState},
    },
};

pub(super) fn hand_in_part(farm: &Farm, id: JobId, frame: Frame, lease: LeaseId, mut part: Box<Part>) -> Decided {
    let job = lookup::job(farm, id)?;
    let task = lookup::task(job, frame)?;
    // The build that the lease was granted to counts: the slave may run another Blender by now.
    let leased = farm.leases.get(&lease).filter(|lease| lease.slave == part.result.slave);
    let known = || farm.slaves.get(&part.result.slave).map(|slave| slave.info.build());
    part.build = leased.and_then(|lease| lease.build.clone()).or_else(known);
    let is_fresh = job.state != JobState::Canceled
        && part.build.as_ref().is_none_or(|build| other_build(farm, job, task, build).is_none())
        && match &task.state {
            TaskState::Sharing(sharing) => sharing.accepts(lease, part.share),
            _ => task.sharing(&job.spec).is_some_and(|sharing| sharing.is_free(part.share)),
        };
    answer(is_fresh.then_some(Event::ShareDone { job: id, frame, lease, part }), Reply::HandedIn(is_fresh))
}

pub(super) fn reject_part(
    farm: &Farm,
    now: Timestamp,
    policy: RetryPolicy,
    id: JobId,
    frame: Frame,
    share: Span,
    error: TaskError,
) -> Decided {
    let job = lookup::job(farm, id)?;
    let task = lookup::task(job, frame)?;
    let TaskState::Sharing(sharing) = &task.state else { return events([]) };
    let Some(part) = sharing.parts.iter().find(|part| part.share == share) else { return events([]) };
    let slave = part.result.slave;
    let failure = Box::new(Failure { slave, at: now, error, log: part.result.log });
    let retry = policy.tries_again(task);
    let mut all = vec![Event::PartRejected { job: id, frame, share, failure, retry }];
    if retry::gives_up_on(policy, farm, job, slave) {
        all.extend(leases::blacklist(farm, id, slave));
    }
    events(all)
}

/// A merge of other parts than there are now is outdated: it is dropped, and the frame is merged
/// again.
pub(super) fn merge(farm: &Farm, id: JobId, frame: Frame, merged: Box<Merged>) -> Decided {
    let job = lookup::job(farm, id)?;
    let task = lookup::task(job, frame)?;
    let is_fresh = job.state != JobState::Canceled
        && matches!(&task.state, TaskState::Sharing(sharing)
            if sharing.is_complete() && sharing.done() == merged.spans);
    if !is_fresh {
        return answer([], Reply::HandedIn(false));
    }
    let finishes = job.spec.cut.as_ref().is_some_and(|plan| plan.finishes);
    let result = Box::new(merged.result.clone());
    let done = (!finishes).then_some(Event::TaskDone { job: id, frame, result });
    answer([Event::FrameMerged { job: id, frame, merged }].into_iter().chain(done), Reply::HandedIn(true))
}

/// Completes shared frames with the parts they have. Without `frames` no other frame is begun
/// either: the job pauses if it has other open frames.
pub(super) fn stop(farm: &Farm, id: JobId, frames: Option<FrameList>) -> Decided {
    let job = lookup::job(farm, id)?;
    if !matches!(job.state, JobState::Active | JobState::Paused) {
        return Err(Refusal::wrong_state(job, "stopped"));
    }
    let has_units = |task: &Task| match &task.state {
        TaskState::Sharing(sharing) => sharing.done_count() > 0,
        TaskState::Waiting(Remaining::Samples(growth)) => growth.merged.is_some(),
        _ => false,
    };
    let chosen: Vec<Frame> = match &frames {
        Some(frames) => {
            for (frame, task) in lookup::tasks(job, frames)? {
                if !has_units(task) {
                    return Err(Refusal::NothingToStop(format!(
                        "frame {frame} of job {} has no {} that could be handed over",
                        job.id,
                        job.spec.unit().word()
                    )));
                }
            }
            frames.frames().into_iter().collect()
        }
        None => job.tasks.iter().filter(|(_, task)| has_units(task)).map(|(frame, _)| *frame).collect(),
    };
    if chosen.is_empty() {
        let word = job.spec.unit().word();
        let why = format!("no frame of job {} has {word} that could be handed over", job.id);
        return Err(Refusal::NothingToStop(why));
    }
    let mut all = Vec::new();
    for frame in &chosen {
        if let Some(TaskState::Sharing(sharing)) = job.tasks.get(frame).map(|task| &task.state) {
            let leases = sharing.leased.keys().filter(|lease| farm.leases.contains_key(lease));
            all.extend(leases.map(|lease| Event::LeaseEnded { lease: *lease, end: LeaseEnd::Revoked }));
        }
        all.push(Event::FrameStopped { job: job.id, frame: *frame });
    }
    let left = (job.counts.waiting + job.counts.leased) as usize > chosen.len();
    if frames.is_none() && left && job.state == JobState::Active {
        all.push(Event::JobPaused { job: job.id });
    }
    events(all)
}

/// Adds samples to done frames, as far as their pixels are then the same as if they had had all
/// samples from the start.
pub(super) fn more(farm: &Farm, id: JobId, samples: u32, frames: Option<FrameList>) -> Decided {
    let job = lookup::job(farm, id)?;
    if job.state == JobState::Canceled {
        return Err(Refusal::wrong_state(job, "given more samples"));
    }
    let Some(plan) = &job.spec.cut else {
        return Err(Refusal::CantGrow(format!("the frames of job {} can't be rendered in parts", job.id)));
    };
    if samples == 0 {
        return Err(Refusal::CantGrow("more samples are at least one".into()));
    }
    let has = |task: &Task| task.merged().map_or(0, Merged::count);
    let has_all_lines = |task: &Task| plan.unit == Unit::Lines && has(task) >= plan.total;
    let can_grow = |task: &Task| matches!(task.state, TaskState::Done { merged: Some(_), .. });
    let chosen: Vec<(Frame, &Task)> = match &frames {
        Some(frames) => {
            let named = lookup::tasks(job, frames)?;
            if let Some((frame, task)) = named.iter().find(|(_, task)| !can_grow(task)) {
                let why = match task.state {
                    TaskState::Done { .. } => {
                        "was rendered whole, or what was rendered of it is lost: there is nothing to add samples to"
                    }
                    _ => "is not finished",
                };
                return Err(Refusal::CantGrow(format!("frame {frame} of job {} {why}", job.id)));
            }
            named
        }
        None => {
            let open = |task: &Task| can_grow(task) && !has_all_lines(task);
            job.tasks.iter().filter(|(_, task)| open(task)).map(|(frame, task)| (*frame, task)).collect()
        }
    };
    if chosen.is_empty() {
        let word = plan.unit.word();
        let why = format!("no finished frame of job {} was rendered in parts to which {word} could be added", job.id);
        return Err(Refusal::CantGrow(why));
    }
    let mut all = Vec::new();
    for (frame, task) in chosen {
        if plan.unit == Unit::Lines {
            if has_all_lines(task) {
                return Err(Refusal::CantGrow(format!(
                    "frame {frame} was rendered in tiles and has all of them: send the scene again with more samples"
                )));
            }
            all.push(Event::FrameGrown { job: job.id, frame, goal: plan.total });
            continue;
        }
        let total = task.units(&job.spec).max(has(task).saturating_add(samples));
        if total > plan.total.max(plan.can_grow_to).min(MAX_SAMPLES) {
            return Err(Refusal::CantGrow(match plan.can_grow_to {
                limit if limit > plan.total => format!(
                    "frame {frame} would have {total} samples, and with this Blender and sampling pattern its first ones \
                     are the same only up to {limit} in all"
                ),
                _ => format!(
                    "with this Blender and sampling pattern a frame's first samples depend on how many it has in all, \
                     which was {} from the start: frame {frame} can't have {total}",
                    plan.total
                ),
            }));
        }
        all.push(Event::FrameGrown { job: job.id, frame, goal: total });
    }
    events(all)
}
