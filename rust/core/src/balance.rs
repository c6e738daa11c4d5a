//! Which job's tasks go to a slave next, and why a job waits.
//!
//! The rules ([`crate::rules`] has what people can change of them): higher priority first; among equals a job nobody has
//! touched yet first (a small job need not wait for a long queue: it gets a slave after that slave's current chunk); then
//! the oldest.

use crate::{
    farm::Farm,
    ids::{Frame, JobId, SlaveId},
    job::{Job, JobState, Split},
    rules::in_order,
    share::{Share, Unit},
    slave::{Build, Duty, Slave, SlaveState},
    task::Task,
};

/// What a polling slave wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Nothing; it only listens for what it must drop.
    #[default]
    Nothing,
    /// The chunk after the one it renders now, so that no second is lost between the two.
    Ahead,
    /// Work at once: it is idle.
    Now,
}

/// What a slave gets next: some frames of a job, or some samples of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Of which job.
    pub job: JobId,
    /// Which frames; one when it is a share.
    pub frames: Vec<Frame>,
    /// Only these samples of the frame.
    pub share: Option<Share>,
}

/// A share shall not take less than this unless the slave's owner wants it so, or the work around it would be felt.
const LEAST_SHARE_S: u32 = 1;
/// The part of a frame a slave of unknown speed begins with.
const FIRST_PART: u32 = 32;
/// A tile has at least so many lines, or the work around it would be felt.
const LEAST_LINES: u32 = 16;
/// And so many times those that are rendered around its own.
const LEAST_OVERLAPS: u32 = 4;
/// The largest part of a frame in one tile.
const LARGEST_TILE: u32 = 4;

/// What this slave gets next.
pub fn next_chunk(farm: &Farm, slave: &Slave, want: Want) -> Option<Chunk> {
    let something = |job: &&Job| !(job.waiting.is_empty() && job.open_shares.is_empty());
    let open =
        farm.jobs.values().filter(|job| job.state == JobState::Active && unfit(job, slave).is_none()).filter(something);
    in_order(farm, open, slave.id).into_iter().find_map(|job| {
        if let Some(chunk) = next_finish(farm, job, slave, want).or_else(|| next_share(farm, job, slave, want)) {
            return Some(chunk);
        }
        if splits(farm, job, slave) {
            return None;
        }
        let spare = match want {
            Want::Nothing => 0,
            Want::Now => job.waiting.len(),
            Want::Ahead => job.waiting.len().saturating_sub(idle_others(farm, job, slave)),
        };
        let frames: Vec<Frame> = job
            .waiting
            .iter()
            .filter(|frame| may_take(farm, job, **frame, slave))
            .filter(|frame| job.tasks.get(frame).is_some_and(Task::may_be_whole))
            .take(spare.min(job.spec.chunk.max(1) as usize))
            .copied()
            .collect();
        (!frames.is_empty()).then_some(Chunk { job: job.id, frames, share: None })
    })
}

/// Whether the job's next frame is shared out: always, or while there are fewer frames than slaves for them and sharing pays.
fn splits(farm: &Farm, job: &Job, slave: &Slave) -> bool {
    if job.spec.samples.as_ref().is_none_or(|split| split.samples < 2) {
        return false;
    }
    match job.spec.split {
        Split::Off => false,
        Split::Samples | Split::Tiles => true,
        Split::Auto => {
            let fit =
                farm.slaves.values().filter(|slave| slave.state == SlaveState::Ready && unfit(job, slave).is_none());
            job.waiting.len() < fit.count() && !takes_a_moment(job, slave)
        }
    }
}

/// Whether the slave alone would render a frame in no more time than two shares take at least.
fn takes_a_moment(job: &Job, slave: &Slave) -> bool {
    if job.spec.unit() == Unit::Lines {
        return false; // by the last tile's speed nobody knows
    }
    let own = job.speeds.get(&slave.id).map(|speed| u64::from(*speed));
    own.is_some_and(|own| u64::from(job.spec.frame_samples()) * 1000 < own * u64::from(2 * LEAST_SHARE_S))
}

/// Whether a slave that would have to load the scene first could still be of help with this frame and those that wait: the
/// others, as fast as they proved to be, would be at it for longer. Unless that is known, it could.
fn comes_too_late(farm: &Farm, job: &Job, slave: &Slave, left: u32) -> bool {
    let is_there = |of: &&SlaveId| {
        farm.slaves.get(of).is_some_and(|slave| slave.state == SlaveState::Ready && unfit(job, slave).is_none())
    };
    let team: u64 = job.speeds.iter().filter(|(of, _)| is_there(of)).map(|(_, speed)| u64::from(*speed)).sum();
    let frames = (job.waiting.len() - job.finishing.len()) as u64;
    let samples = u64::from(left) + frames * u64::from(job.spec.frame_samples());
    // A sample in a thousandth of a second and a time in milliseconds: a million.
    job.spec.split == Split::Auto
        && job.spec.unit() == Unit::Samples
        && !job.speeds.contains_key(&slave.id)
        && samples * 1_000_000 < team * u64::from(job.warm_up_ms)
}

/// A frame of which all samples are there: somebody waits for the picture, and its parts take room.
fn next_finish(farm: &Farm, job: &Job, slave: &Slave, want: Want) -> Option<Chunk> {
    let frame = job.finishing.iter().find(|frame| may_take(farm, job, **frame, slave))?;
    let busy = want == Want::Nothing || want == Want::Ahead && idle_others(farm, job, slave) > 0;
    (!busy).then(|| Chunk { job: job.id, frames: vec![*frame], share: None })
}

/// Samples of a frame that others work at, or of a new one.
fn next_share(farm: &Farm, job: &Job, slave: &Slave, want: Want) -> Option<Chunk> {
    job.spec.samples.as_ref()?;
    if want == Want::Nothing {
        return None;
    }
    let build = slave.info.build();
    let fits = |frame: &Frame| job.tasks.get(frame).is_some_and(|task| other_build(farm, job, task, &build).is_none());
    let may = |frame: &&Frame| may_take(farm, job, **frame, slave) && fits(frame);
    let open = job.open_shares.iter().find(may);
    let untouched = |frame: &&Frame| job.is_untouched(**frame) && may(frame);
    // A frame that was given more samples is shared even when nobody else would help.
    let shared = |frame: &&Frame| job.tasks.get(frame).is_some_and(|task| !task.may_be_whole());
    let splits = splits(farm, job, slave);
    let new = || job.waiting.iter().filter(|frame| splits || shared(frame)).find(untouched);
    let frame = open.or_else(new)?;
    let task = job.tasks.get(frame)?;
    let sharing = task.sharing(&job.spec);
    let left = sharing.free_samples();
    if comes_too_late(farm, job, slave, left) {
        return None;
    }
    if job.spec.unit() == Unit::Lines {
        let share = next_tile(farm, job, task, want)?;
        return Some(Chunk { job: job.id, frames: vec![*frame], share: Some(share) });
    }
    let most = match job.speeds.get(&slave.id) {
        None => (task.samples(&job.spec) / FIRST_PART).max(1),
        Some(own) => {
            // Towards the end all get less, so that all end together.
            let team: u64 = job.speeds.values().map(|speed| u64::from(*speed)).sum();
            let fair = u64::from(left) * u64::from(*own) / team.max(1) / 2;
            let in_seconds = |seconds: u32| u64::from(*own) * u64::from(seconds) / 1000;
            let interval = slave.upload_interval_s();
            let most = in_seconds(interval).min(fair.max(in_seconds(LEAST_SHARE_S)));
            u32::try_from(most).unwrap_or(u32::MAX).max(1)
        }
    };
    let share = sharing.next(most)?;
    Some(Chunk { job: job.id, frames: vec![*frame], share: Some(share) })
}

/// The next lines of a frame. Of samples one takes as long as the next, but a line of sky says nothing of the ground: no speed
/// counts. Tiles shrink as the lines get fewer, and nobody has one for later that another could render now.
fn next_tile(farm: &Farm, job: &Job, task: &Task, want: Want) -> Option<Share> {
    let sharing = task.sharing(&job.spec);
    let least = LEAST_LINES.max(LEAST_OVERLAPS * job.spec.samples.as_ref()?.overlap);
    let left = sharing.free_samples();
    let team = farm.slaves.values().filter(|other| other.state == SlaveState::Ready && unfit(job, other).is_none());
    let team = (team.count() as u32).max(1);
    if want == Want::Ahead && team > 1 {
        return None;
    }
    let most = (left / team / 2).min(task.samples(&job.spec) / LARGEST_TILE).max(least);
    // What would be left of it for another is no tile.
    let first = sharing.free.first()?.samples;
    sharing.next(if first < most + least { first } else { most })
}

/// Why this slave gets nothing of this job whatever else there is to do, in words; None when it can.
pub fn unfit(job: &Job, slave: &Slave) -> Option<String> {
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
    if let Some(tag) = spec.tags.iter().find(|tag| !slave.tags().contains(*tag)) {
        return Some(format!("it lacks the tag {tag}"));
    }
    None
}

/// What drew the samples a shared frame has, if that is something else than this and the job wants it to be one and the same.
pub(crate) fn other_build<'a>(farm: &'a Farm, job: &Job, task: &'a Task, own: &Build) -> Option<&'a Build> {
    farm.build_of(task).filter(|build| !job.spec.mixed && *build != own)
}

/// Why a slave that could do the job gets nothing of it: its frames with free samples were begun with something else. None when
/// that is not so.
pub fn kept_out(farm: &Farm, job: &Job, slave: &Slave) -> Option<String> {
    let own = slave.info.build();
    let mut first = None;
    for frame in job.open_shares.iter().chain(&job.waiting) {
        let build = other_build(farm, job, job.tasks.get(frame)?, &own)?;
        first.get_or_insert((*frame, build));
    }
    let (frame, build) = first?;
    Some(format!("frame {frame} was begun with {build}, and slave {} has {own}", slave.name()))
}

/// Why nothing of the job is rendering, in words; empty when that needs no words.
pub fn why_waiting(farm: &Farm, job: &Job) -> String {
    let is_at_it = || farm.leases.values().any(|lease| lease.job == job.id);
    if job.state != JobState::Active || job.counts.leased > 0 && is_at_it() {
        return String::new();
    }
    let ready: Vec<&Slave> = farm.slaves.values().filter(|slave| slave.state == SlaveState::Ready).collect();
    let fit = || ready.iter().filter(|slave| unfit(job, slave).is_none());
    let first_fit = fit().next();
    if let Some(why) = first_fit.and_then(|slave| kept_out(farm, job, slave))
        && fit().all(|slave| kept_out(farm, job, slave).is_some())
    {
        return format!("{why}: start a slave like that, or hand the frame over with what it has");
    }
    match ready.as_slice() {
        [] => "no slave is there: start one".into(),
        slaves if first_fit.is_none() => {
            let reasons: Vec<_> = slaves
                .iter()
                .take(3)
                .filter_map(|slave| unfit(job, slave).map(|why| format!("{}: {why}", slave.name())))
                .collect();
            format!("no slave can do it ({})", reasons.join("; "))
        }
        slaves if job.finishing.iter().any(|frame| !slaves.iter().any(|slave| may_take(farm, job, *frame, slave))) => {
            "a frame is merged and no slave can denoise it: start one with Blender 4.0 or later".into()
        }
        _ => "waits for its turn".into(),
    }
}

/// A slave does not get a frame again that it failed, unless no other slave could have it.
fn may_take(farm: &Farm, job: &Job, frame: Frame, slave: &Slave) -> bool {
    let Some(task) = job.tasks.get(&frame) else { return false };
    let untried = |other: &Slave| {
        other.state == SlaveState::Ready
            && !task.failed_by(other.id)
            && unfit(job, other).is_none()
            && can_finish(job, task, other)
    };
    can_finish(job, task, slave) && (!task.failed_by(slave.id) || !farm.slaves.values().any(untried))
}

/// Whether the slave can do what is left of a merged frame.
fn can_finish(job: &Job, task: &Task, slave: &Slave) -> bool {
    let denoises = job.spec.samples.as_ref().is_some_and(|split| split.denoises);
    !task.lacks_finish() || !denoises || slave.info.denoises
}

/// Slaves with nothing in their hands that this job's last frames are better kept for.
fn idle_others(farm: &Farm, job: &Job, slave: &Slave) -> usize {
    let busy: std::collections::BTreeSet<_> = farm.leases.values().map(|lease| lease.slave).collect();
    farm.slaves
        .values()
        .filter(|other| {
            other.id != slave.id
                && other.state == SlaveState::Ready
                && !busy.contains(&other.id)
                && unfit(job, other).is_none()
        })
        .count()
}
