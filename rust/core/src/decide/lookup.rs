//! Jobs, frames and slaves by number, or the refusal that names the unknown one.

use crate::{
    decide::refusal::Refusal,
    model::{
        farm::Farm,
        frames::FrameList,
        ids::{Frame, JobId, SlaveId},
        job::{Job, JobState},
        lease::Lease,
        slave::Slave,
        task::Task,
    },
};

/// The job, unless it is unknown or deleted.
pub(super) fn job(farm: &Farm, id: JobId) -> Result<&Job, Refusal> {
    farm.jobs.get(&id).filter(|job| job.state != JobState::Deleted).ok_or(Refusal::UnknownJob(id))
}

pub(super) fn task(job: &Job, frame: Frame) -> Result<&Task, Refusal> {
    job.tasks.get(&frame).ok_or(Refusal::UnknownFrame(job.id, frame))
}

/// The tasks of all these frames; one unknown frame refuses them all.
pub(super) fn tasks<'a>(job: &'a Job, frames: &FrameList) -> Result<Vec<(Frame, &'a Task)>, Refusal> {
    frames.frames().into_iter().map(|frame| Ok((frame, task(job, frame)?))).collect()
}

pub(super) fn slave(farm: &Farm, id: SlaveId) -> Result<&Slave, Refusal> {
    farm.slaves.get(&id).ok_or(Refusal::UnknownSlave(id))
}

/// The lease under which the job is being baked.
pub(super) fn bake_lease(farm: &Farm, job: JobId) -> Option<&Lease> {
    farm.leases.values().find(|lease| lease.bake && lease.job == job)
}
