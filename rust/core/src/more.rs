//! Shared frames are stopped early and continued later: what that takes, and when it is refused.

use crate::{
    error::Refusal,
    event::Event,
    farm::Farm,
    frames::FrameList,
    ids::Frame,
    job::{Job, JobState},
    lease::LeaseEnd,
    scheduler::{Decision, MAX_SAMPLES, Reply, wrong_state},
    share::Unit,
    task::{Task, TaskState},
};

/// Frames are handed over with the samples, or lines, they have. When nobody says which, none is begun any more: the job pauses if
/// there are others.
pub(crate) fn stop(farm: &Farm, job: &Job, frames: Option<FrameList>) -> Result<Decision, Refusal> {
    if !matches!(job.state, JobState::Active | JobState::Paused) {
        return Err(wrong_state(job, "stopped"));
    }
    let has_samples = |task: &Task| match &task.state {
        TaskState::Sharing(sharing) => sharing.done_samples() > 0,
        TaskState::Waiting => task.is_growing,
        _ => false,
    };
    let chosen: Vec<Frame> = match &frames {
        Some(frames) => {
            for (frame, task) in named(job, frames)? {
                if !has_samples(task) {
                    return Err(Refusal::NothingToStop(format!(
                        "frame {frame} of job {} has no {} that could be handed over",
                        job.id,
                        job.spec.unit().word()
                    )));
                }
            }
            frames.frames().into_iter().collect()
        }
        None => job.tasks.iter().filter(|(_, task)| has_samples(task)).map(|(frame, _)| *frame).collect(),
    };
    if chosen.is_empty() {
        let word = job.spec.unit().word();
        let why = format!("no frame of job {} has {word} that could be handed over", job.id);
        return Err(Refusal::NothingToStop(why));
    }
    let mut events = Vec::new();
    for frame in &chosen {
        if let Some(TaskState::Sharing(sharing)) = job.tasks.get(frame).map(|task| &task.state) {
            let leases = sharing.leased.keys().filter(|lease| farm.leases.contains_key(lease));
            events.extend(leases.map(|lease| Event::LeaseEnded { lease: *lease, end: LeaseEnd::Revoked }));
        }
        events.push(Event::FrameStopped { job: job.id, frame: *frame });
    }
    let left = (job.counts.waiting + job.counts.leased) as usize > chosen.len();
    if frames.is_none() && left && job.state == JobState::Active {
        events.push(Event::JobPaused { job: job.id });
    }
    Decision::new(events, Reply::Ok)
}

/// Finished frames get more samples, where they are then as if they had had all of them from the start.
pub(crate) fn more(job: &Job, samples: u32, frames: Option<FrameList>) -> Result<Decision, Refusal> {
    if job.state == JobState::Canceled {
        return Err(wrong_state(job, "given more samples"));
    }
    let Some(split) = &job.spec.samples else {
        return Err(Refusal::CantGrow(format!("the frames of job {} can't be rendered in parts", job.id)));
    };
    if samples == 0 {
        return Err(Refusal::CantGrow("more samples are at least one".into()));
    }
    let has = |task: &Task| task.merged.as_ref().map_or(0, |merged| merged.samples());
    let has_all_lines = |task: &Task| split.unit == Unit::Lines && has(task) >= split.samples;
    let can_grow = |task: &Task| matches!(task.state, TaskState::Done(_)) && task.merged.is_some();
    let chosen: Vec<(Frame, &Task)> = match &frames {
        Some(frames) => {
            let named = named(job, frames)?;
            if let Some((frame, task)) = named.iter().find(|(_, task)| !can_grow(task)) {
                let why = match task.state {
                    TaskState::Done(_) => {
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
        let word = split.unit.word();
        let why = format!("no finished frame of job {} was rendered in parts to which {word} could be added", job.id);
        return Err(Refusal::CantGrow(why));
    }
    let mut events = Vec::new();
    for (frame, task) in chosen {
        if split.unit == Unit::Lines {
            if has_all_lines(task) {
                return Err(Refusal::CantGrow(format!(
                    "frame {frame} was rendered in tiles and has all of them: send the scene again with more samples"
                )));
            }
            events.push(Event::FrameGrown { job: job.id, frame, samples: split.samples });
            continue;
        }
        let total = task.samples(&job.spec).max(has(task).saturating_add(samples));
        if total > split.samples.max(split.can_grow_to).min(MAX_SAMPLES) {
            return Err(Refusal::CantGrow(match split.can_grow_to {
                limit if limit > split.samples => format!(
                    "frame {frame} would have {total} samples, and with this Blender and sampling pattern its first ones \
                     are the same only up to {limit} in all"
                ),
                _ => format!(
                    "with this Blender and sampling pattern a frame's first samples depend on how many it has in all, \
                     which was {} from the start: frame {frame} can't have {total}",
                    split.samples
                ),
            }));
        }
        events.push(Event::FrameGrown { job: job.id, frame, samples: total });
    }
    Decision::new(events, Reply::Ok)
}

fn named<'a>(job: &'a Job, frames: &FrameList) -> Result<Vec<(Frame, &'a Task)>, Refusal> {
    let task = |frame: Frame| job.tasks.get(&frame).map(|task| (frame, task));
    frames.frames().into_iter().map(|frame| task(frame).ok_or(Refusal::UnknownFrame(job.id, frame))).collect()
}
