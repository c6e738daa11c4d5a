//! Commands about jobs: sent, paused, canceled, edited, rendered again, deleted.

use crate::{
    decide::{
        command::{Decided, Reply, answer, events},
        leases, lookup,
        refusal::Refusal,
    },
    model::{
        event::Event,
        farm::Farm,
        frames::{FrameList, MAX_FRAMES_OF_FARM},
        ids::{JobId, SlaveId},
        job::JobState,
        job_settings::JobEdit,
        spec::JobSpec,
    },
};

/// A submission is idempotent by [`JobSpec::key`]: repeated, it is answered with the job it made
/// before.
pub(super) fn submit(farm: &Farm, spec: Box<JobSpec>) -> Decided {
    spec.check().map_err(Refusal::BadSpec)?;
    let known = farm.jobs.values().find(|job| !spec.key.is_empty() && job.spec.key == spec.key);
    if let Some(job) = known {
        return answer([], Reply::Accepted(job.id));
    }
    let kept: usize = farm.jobs.values().map(|job| job.counts.total() as usize).sum();
    if kept + spec.frames.at_most() > MAX_FRAMES_OF_FARM {
        return Err(Refusal::BadSpec(format!(
            "the farm's jobs have {kept} frames, and with this one would have more than {MAX_FRAMES_OF_FARM}: delete \
             jobs that have ended, then send it again"
        )));
    }
    let job = JobId(farm.last_job + 1);
    answer([Event::JobAccepted { job, spec }], Reply::Accepted(job))
}

pub(super) fn pause(farm: &Farm, id: JobId) -> Decided {
    let job = lookup::job(farm, id)?;
    match job.state {
        JobState::Active => events([Event::JobPaused { job: id }]),
        JobState::Paused => events([]),
        _ => Err(Refusal::wrong_state(job, "paused")),
    }
}

pub(super) fn resume(farm: &Farm, id: JobId) -> Decided {
    let job = lookup::job(farm, id)?;
    match job.state {
        JobState::Paused => events([Event::JobResumed { job: id }]),
        JobState::Active => events([]),
        _ => Err(Refusal::wrong_state(job, "resumed")),
    }
}

pub(super) fn cancel(farm: &Farm, id: JobId) -> Decided {
    let job = lookup::job(farm, id)?;
    match job.state {
        JobState::Active | JobState::Paused => {
            events(leases::revoke_job(farm, id).into_iter().chain([Event::JobCanceled { job: id }]))
        }
        JobState::Canceled => events([]),
        JobState::Finished | JobState::Failed | JobState::Deleted => Err(Refusal::wrong_state(job, "canceled")),
    }
}

pub(super) fn requeue(farm: &Farm, id: JobId) -> Decided {
    let job = lookup::job(farm, id)?;
    let is_open = job.counts.done < job.counts.total();
    events(is_open.then_some(Event::JobRequeued { job: id }))
}

pub(super) fn requeue_frames(farm: &Farm, id: JobId, frames: FrameList) -> Decided {
    let job = lookup::job(farm, id)?;
    lookup::tasks(job, &frames)?;
    // The event would make the job active, and its other frames would be rendered, too.
    if job.state == JobState::Canceled {
        return Err(Refusal::wrong_state(job, "rendered again in part; requeue it as a whole first"));
    }
    let has_ended = !job.ended(&frames).is_empty();
    events(has_ended.then_some(Event::FramesRequeued { job: id, frames }))
}

pub(super) fn edit(farm: &Farm, id: JobId, edit: JobEdit, seen: Option<u32>) -> Decided {
    let job = lookup::job(farm, id)?;
    if let Some(newer) = job.edits.newer_than(seen) {
        let words = newer.into_iter().map(|setting| setting.in_words(&job.spec)).collect();
        return Err(Refusal::edited_meanwhile(format!("job {id}"), words));
    }
    let edit = edit.new_in(&job.spec);
    if edit == JobEdit::default() {
        return answer([], Reply::Edited(job.edits.count));
    }
    let mut spec = job.spec.clone();
    edit.apply_to(&mut spec);
    spec.check().map_err(Refusal::BadSetting)?;
    answer([Event::JobEdited { job: id, edit: Box::new(edit) }], Reply::Edited(job.edits.count + 1))
}

pub(super) fn delete(farm: &Farm, id: JobId) -> Decided {
    lookup::job(farm, id)?;
    events(leases::revoke_job(farm, id).into_iter().chain([Event::JobDeleted { job: id }]))
}

pub(super) fn forget(farm: &Farm, id: JobId) -> Decided {
    let is_deleted = farm.jobs.get(&id).is_some_and(|job| job.state == JobState::Deleted);
    events(is_deleted.then_some(Event::JobForgotten { job: id }))
}

pub(super) fn blacklist(farm: &Farm, id: JobId, slave: SlaveId, listed: bool) -> Decided {
    let was_listed = lookup::job(farm, id)?.blacklist.contains(&slave);
    lookup::slave(farm, slave)?;
    match (was_listed, listed) {
        (false, true) => events(leases::blacklist(farm, id, slave)),
        (true, false) => events([Event::BlacklistChanged { job: id, slave, listed }]),
        _ => events([]),
    }
}
