//! Eligibility: which slave may render which frames of a job, and why a job waits.

use crate::{
    decide::lookup::bake_lease,
    model::{
        build::Build,
        farm::Farm,
        ids::Frame,
        job::{Job, JobState},
        slave::{Duty, Slave, SlaveState},
        task::Task,
    },
};

/// Reason why `slave` can never render `job`, in words, or `None` if it can.
pub fn why_unfit(job: &Job, slave: &Slave) -> Option<String> {
    let spec = &job.spec;
    match slave.duty {
        Duty::Work => {}
        Duty::Pause => return Some("it is paused".into()),
        Duty::Drain | Duty::Stop => return Some("it is about to stop".into()),
    }
    if job.blacklist.contains(&slave.id) {
        return Some("it is on the job's blacklist".into());
    }
    if !spec.fits_blender(slave.info.blender) {
        let [major, minor] = spec.blender;
        return Some(format!("it has Blender {}, the job needs {major}.{minor}", slave.info.blender));
    }
    if !slave.info.engines.contains(&spec.engine) {
        return Some(format!("its Blender has no render engine {}", spec.engine));
    }
    if spec.draws && slave.info.cannot_draw {
        return Some("its Blender can't draw without a display: give it one, or EGL, and start it again".into());
    }
    if let Some(tag) = spec.tags.iter().find(|tag| !slave.tags().contains(*tag)) {
        return Some(format!("it lacks the tag {tag}"));
    }
    None
}

/// The slaves that are there and may render the job.
pub(super) fn fit_slaves<'a>(farm: &'a Farm, job: &'a Job) -> impl Iterator<Item = &'a Slave> {
    farm.slaves.values().filter(move |slave| slave.state == SlaveState::Ready && why_unfit(job, slave).is_none())
}

/// The build that a shared frame was begun with, if it is another one than `own` and the job does
/// not allow the mixture.
pub(super) fn other_build<'a>(farm: &'a Farm, job: &Job, task: &'a Task, own: &Build) -> Option<&'a Build> {
    farm.build_of(task).filter(|build| !job.spec.mixed && *build != own)
}

/// Reason why a slave that could render the job gets nothing of it: all its frames with free units
/// were begun with other builds. `None` if that is not so.
pub fn why_kept_out(farm: &Farm, job: &Job, slave: &Slave) -> Option<String> {
    let own = slave.info.build();
    let mut first = None;
    for frame in job.open_shares.iter().chain(&job.waiting) {
        let build = other_build(farm, job, job.tasks.get(frame)?, &own)?;
        first.get_or_insert((*frame, build));
    }
    let (frame, build) = first?;
    Some(format!("frame {frame} was begun with {build}, and slave {} has {own}", slave.name()))
}

/// True if the slave may get the frame. One that failed it gets it again only if no other slave
/// could have it.
pub(super) fn may_take(farm: &Farm, job: &Job, frame: Frame, slave: &Slave) -> bool {
    let Some(task) = job.tasks.get(&frame) else { return false };
    let untried = |other: &Slave| !task.failed_by(other.id) && can_finish(job, task, other);
    can_finish(job, task, slave) && (!task.failed_by(slave.id) || !fit_slaves(farm, job).any(untried))
}

/// True if the slave can denoise a merged frame, if that is what it lacks.
fn can_finish(job: &Job, task: &Task, slave: &Slave) -> bool {
    let denoises = job.spec.cut.as_ref().is_some_and(|plan| plan.denoises);
    task.unfinished().is_none() || !denoises || slave.info.denoises
}

/// Reason why nothing of the job is being rendered, in words; empty if that needs no words.
pub fn why_waiting(farm: &Farm, job: &Job) -> String {
    let is_at_it = || farm.leases.values().any(|lease| lease.job == job.id);
    if job.needs_bake()
        && let Some(lease) = bake_lease(farm, job.id)
    {
        let name = farm.slaves.get(&lease.slave).map_or("a slave", |slave| slave.name());
        return format!("{name} bakes its simulations first");
    }
    if job.state != JobState::Active || job.counts.leased > 0 && is_at_it() {
        return String::new();
    }
    let ready: Vec<&Slave> = farm.slaves.values().filter(|slave| slave.state == SlaveState::Ready).collect();
    let first_fit = fit_slaves(farm, job).next();
    if let Some(why) = first_fit.and_then(|slave| why_kept_out(farm, job, slave))
        && fit_slaves(farm, job).all(|slave| why_kept_out(farm, job, slave).is_some())
    {
        return format!("{why}: start a slave like that, or hand the frame over with what it has");
    }
    match ready.as_slice() {
        [] => "no slave is there: start one".into(),
        slaves if first_fit.is_none() => {
            let reasons: Vec<_> = slaves
                .iter()
                .take(3)
                .filter_map(|slave| why_unfit(job, slave).map(|why| format!("{}: {why}", slave.name())))
                .collect();
            format!("no slave can do it ({})", reasons.join("; "))
        }
        slaves if job.finishing.iter().any(|frame| !slaves.iter().any(|slave| may_take(farm, job, *frame, slave))) => {
            "a frame is merged and no slave can denoise it: start one with Blender 4.0 or later".into()
        }
        _ => "waits for its turn".into(),
    }
}
