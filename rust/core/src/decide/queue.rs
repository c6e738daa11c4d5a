//! The queue: the next chunk of work for a slave that polls.
//!
//! Jobs come in the order of their points (see [`Policy`](crate::model::policy::Policy)). By
//! default that is: higher priority first; among equals a job of which nothing was begun, so that a
//! small job need not wait for a long queue; then the oldest.

use crate::{
    decide::{
        bake::may_bake,
        eligibility::{fit_slaves, may_take, other_build, why_unfit},
        policy::in_order,
    },
    model::{
        cut::{Span, Unit},
        farm::Farm,
        ids::{Frame, JobId},
        job::{Job, JobState},
        slave::Slave,
        spec::{Simulations, Split},
        task::Task,
    },
    wire::Want,
};
use std::collections::BTreeSet;

/// Work for one lease: whole frames of a job, or a share of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub job: JobId,
    /// The frames, in order of rendering; a single one if `share` is set.
    pub frames: Vec<Frame>,
    /// The units of the single frame; `None` for whole frames.
    pub share: Option<Span>,
    /// True if the job's simulations are to be baked. The single frame only holds the place.
    pub bake: bool,
}

/// Lower bound of a share's duration, in seconds; below it the overhead of a share dominates.
const LEAST_SHARE_S: u32 = 1;
/// Fraction of a frame, as a divisor, that a slave of unknown speed begins with.
const FIRST_PART: u32 = 32;
/// Fewest lines of a tile; below it the overhead of a tile dominates.
const LEAST_LINES: u32 = 16;
/// Fewest lines of a tile, as a multiple of its overlap.
const LEAST_OVERLAPS: u32 = 4;
/// Largest tile, as a divisor of the frame's lines.
const LARGEST_TILE: u32 = 4;

/// Returns the next work for a slave, or `None` if there is none for it now.
pub fn next_chunk(farm: &Farm, slave: &Slave, want: Want) -> Option<Chunk> {
    let something = |job: &&Job| !(job.waiting.is_empty() && job.open_shares.is_empty());
    let open = farm
        .jobs
        .values()
        .filter(|job| job.state == JobState::Active && why_unfit(job, slave).is_none())
        .filter(something);
    in_order(farm, open, slave.id).into_iter().find_map(|job| {
        if job.needs_bake() {
            return next_bake(farm, job, slave, want);
        }
        let goes_in_order = job.spec.simulations == Simulations::InOrder;
        if goes_in_order && farm.leases.values().any(|lease| lease.job == job.id && lease.slave != slave.id) {
            return None;
        }
        if let Some(chunk) = next_finish(farm, job, slave, want).or_else(|| next_share(farm, job, slave, want)) {
            return Some(chunk);
        }
        if splits(farm, job, slave) {
            return None;
        }
        let spare = match want {
            Want::Nothing => 0,
            Want::Now => job.waiting.len(),
            Want::Ahead if goes_in_order => job.waiting.len(),
            Want::Ahead => job.waiting.len().saturating_sub(idle_others(farm, job, slave)),
        };
        let frames: Vec<Frame> = job
            .waiting
            .iter()
            .filter(|frame| may_take(farm, job, **frame, slave))
            .filter(|frame| job.tasks.get(frame).is_some_and(|task| !task.must_be_shared()))
            .take(spare.min(job.spec.chunk.max(1) as usize))
            .copied()
            .collect();
        (!frames.is_empty()).then_some(Chunk { job: job.id, frames, share: None, bake: false })
    })
}

/// True if the job's next frame is shared out: always, or with [`Split::Auto`] while there are
/// fewer frames than slaves for them and sharing pays.
fn splits(farm: &Farm, job: &Job, slave: &Slave) -> bool {
    if job.spec.cut.as_ref().is_none_or(|plan| plan.total < 2) {
        return false;
    }
    match job.spec.split {
        Split::Off => false,
        Split::Samples | Split::Tiles => true,
        Split::Auto => job.waiting.len() < fit_slaves(farm, job).count() && !takes_a_moment(job, slave),
    }
}

/// True if the slave alone would render a frame in the time of two shortest shares.
fn takes_a_moment(job: &Job, slave: &Slave) -> bool {
    if job.spec.unit() == Unit::Lines {
        return false; // the speed of the last tile says nothing of the frame
    }
    let own = job.speeds.get(&slave.id).map(|speed| u64::from(*speed));
    own.is_some_and(|own| u64::from(job.spec.frame_units()) * 1000 < own * u64::from(2 * LEAST_SHARE_S))
}

/// True if a slave that must load the scene first comes too late to help with this frame and those
/// that wait: the others, as fast as they have been, would need less time than loading took
/// elsewhere. False as long as speeds are unknown.
fn comes_too_late(farm: &Farm, job: &Job, slave: &Slave, left: u32) -> bool {
    let speeds = fit_slaves(farm, job).filter_map(|other| job.speeds.get(&other.id));
    let team: u64 = speeds.map(|speed| u64::from(*speed)).sum();
    let frames = (job.waiting.len() - job.finishing.len()) as u64;
    let units = u64::from(left) + frames * u64::from(job.spec.frame_units());
    // Speeds are in thousandths of a unit per second, times in milliseconds: a factor of a million.
    job.spec.split == Split::Auto
        && job.spec.unit() == Unit::Samples
        && !job.speeds.contains_key(&slave.id)
        && units * 1_000_000 < team * u64::from(job.warm_up_ms)
}

/// The bake of a job's simulations, which no other slave may be at.
fn next_bake(farm: &Farm, job: &Job, slave: &Slave, want: Want) -> Option<Chunk> {
    let busy = want == Want::Nothing || want == Want::Ahead && idle_others(farm, job, slave) > 0;
    if busy || !may_bake(farm, job, slave) {
        return None;
    }
    // After a damage later on, only shared frames may be left. Then some of their units hold the
    // place.
    let is_whole = |frame: &&Frame| job.tasks.get(frame).is_some_and(|task| !task.must_be_shared());
    if let Some(frame) = job.waiting.iter().find(is_whole) {
        return Some(Chunk { job: job.id, frames: vec![*frame], share: None, bake: true });
    }
    let frame = job.open_shares.iter().chain(&job.waiting).next()?;
    let share = job.tasks.get(frame)?.sharing(&job.spec)?.next(1)?;
    Some(Chunk { job: job.id, frames: vec![*frame], share: Some(share), bake: true })
}

/// A merged frame to finish. It comes before other frames of its job: people wait for the picture,
/// and its parts take room on the disk.
fn next_finish(farm: &Farm, job: &Job, slave: &Slave, want: Want) -> Option<Chunk> {
    let frame = job.finishing.iter().find(|frame| may_take(farm, job, **frame, slave))?;
    let busy = want == Want::Nothing || want == Want::Ahead && idle_others(farm, job, slave) > 0;
    (!busy).then(|| Chunk { job: job.id, frames: vec![*frame], share: None, bake: false })
}

/// A share of a frame that is shared already, or of a new one.
fn next_share(farm: &Farm, job: &Job, slave: &Slave, want: Want) -> Option<Chunk> {
    job.spec.cut.as_ref()?;
    if want == Want::Nothing {
        return None;
    }
    let build = slave.info.build();
    let fits = |frame: &Frame| job.tasks.get(frame).is_some_and(|task| other_build(farm, job, task, &build).is_none());
    let may = |frame: &&Frame| may_take(farm, job, **frame, slave) && fits(frame);
    let open = job.open_shares.iter().find(may);
    let unfinished = |frame: &Frame| job.finishing.contains(frame);
    // A frame that was given more samples is shared even if no other slave would help.
    let shared = |frame: &Frame| job.tasks.get(frame).is_some_and(Task::must_be_shared);
    let splits = splits(farm, job, slave);
    let new = || job.waiting.iter().find(|frame| (splits || shared(frame)) && !unfinished(frame) && may(frame));
    let frame = open.or_else(new)?;
    let task = job.tasks.get(frame)?;
    let sharing = task.sharing(&job.spec)?;
    let left = sharing.free_count();
    if comes_too_late(farm, job, slave, left) {
        return None;
    }
    if job.spec.unit() == Unit::Lines {
        let share = next_tile(farm, job, task, want)?;
        return Some(Chunk { job: job.id, frames: vec![*frame], share: Some(share), bake: false });
    }
    let most = match job.speeds.get(&slave.id) {
        None => (task.units(&job.spec) / FIRST_PART).max(1),
        Some(own) => {
            // Shares shrink towards the end, so that all slaves end together.
            let team: u64 = job.speeds.values().map(|speed| u64::from(*speed)).sum();
            let fair = u64::from(left) * u64::from(*own) / team.max(1) / 2;
            let in_seconds = |seconds: u32| u64::from(*own) * u64::from(seconds) / 1000;
            let interval = slave.upload_interval_s();
            let most = in_seconds(interval).min(fair.max(in_seconds(LEAST_SHARE_S)));
            u32::try_from(most).unwrap_or(u32::MAX).max(1)
        }
    };
    let share = sharing.next(most)?;
    Some(Chunk { job: job.id, frames: vec![*frame], share: Some(share), bake: false })
}

/// The next tile of a frame. One sample takes as long as another, but lines differ (sky and
/// ground), so the slave's speed does not count. Tiles shrink as the free lines get fewer, and no
/// slave gets one ahead that another could render now.
fn next_tile(farm: &Farm, job: &Job, task: &Task, want: Want) -> Option<Span> {
    let sharing = task.sharing(&job.spec)?;
    let least = LEAST_LINES.max(LEAST_OVERLAPS * job.spec.cut.as_ref()?.overlap);
    let left = sharing.free_count();
    let team = (fit_slaves(farm, job).count() as u32).max(1);
    if want == Want::Ahead && team > 1 {
        return None;
    }
    let most = (left / team / 2).min(task.units(&job.spec) / LARGEST_TILE).max(least);
    // A rest that is too small for a tile of its own is included.
    let first = sharing.free.first()?.count;
    sharing.next(if first < most + least { first } else { most })
}

/// Number of other slaves that hold nothing and could take this job's last frames.
fn idle_others(farm: &Farm, job: &Job, slave: &Slave) -> usize {
    let busy: BTreeSet<_> = farm.leases.values().map(|lease| lease.slave).collect();
    fit_slaves(farm, job).filter(|other| other.id != slave.id && !busy.contains(&other.id)).count()
}
