//! Polls of slaves: master and slave agree again on what the slave holds, whatever got lost between
//! them, and the slave gets its next work.

use crate::{
    decide::{
        command::{Decided, Reply, answer},
        eligibility::other_build,
        leases::end_all,
        lookup,
        queue::{self, Chunk},
        refusal::Refusal,
    },
    model::{
        cut::Span,
        event::Event,
        farm::Farm,
        ids::{Frame, JobId, LeaseId, SlaveId},
        job::{Job, JobState},
        lease::{Lease, LeaseEnd},
        slave::{Duty, Slave, SlaveState},
        task::TaskState,
    },
    wire::{HeldLease, LeaseGrant, PollReply, Want},
};
use std::collections::{BTreeMap, BTreeSet};

/// `edits` is the revision of its remote settings that the slave knows.
pub(super) fn poll(farm: &Farm, id: SlaveId, held: Vec<HeldLease>, want: Want, edits: Option<u32>) -> Decided {
    let slave = lookup::slave(farm, id)?;
    let is_empty_handed = held.is_empty();
    let mut events = Vec::new();
    if slave.state != SlaveState::Ready {
        events.push(Event::SlaveReturned { slave: id });
    }
    events.extend(give_back(farm, id, &held));
    let drop = adopt(farm, slave, held, &mut events);
    // Work is granted from a farm in which the events so far are applied: with any of them, the
    // caller applies them and decides the poll again.
    let mut granted = None;
    if want != Want::Nothing
        && drop.is_empty()
        && events.is_empty()
        && let Some(chunk) = queue::next_chunk(farm, slave, want)
    {
        let (event, lease) = grant(farm, id, chunk)?;
        events.push(event);
        granted = Some(Box::new(lease));
    }
    let stop = match slave.duty {
        Duty::Work | Duty::Pause => false,
        Duty::Drain => is_empty_handed && events.is_empty(),
        Duty::Stop => true,
    };
    let settings = edits.filter(|known| *known != slave.edits.count).map(|_| Box::new(slave.update()));
    answer(events, Reply::Poll(PollReply { drop, grant: granted, stop, settings }))
}

/// Leases to the slave again what it holds without a lease, as far as that is free. Returns what
/// the slave must drop.
fn adopt(farm: &Farm, slave: &Slave, held: Vec<HeldLease>, events: &mut Vec<Event>) -> Vec<HeldLease> {
    let mut adopted = Adopted::default();
    let mut drop: BTreeMap<LeaseId, HeldLease> = BTreeMap::new();
    for theirs in held {
        let HeldLease { lease, job, ref frames, share, bake } = theirs;
        let lost: Vec<Frame> = match farm.leases.get(&lease) {
            Some(ours) if same(ours, slave.id, &theirs) => {
                frames.iter().filter(|frame| !ours.frames.contains(frame)).copied().collect()
            }
            Some(_) => frames.clone(),
            None => {
                let is_known = lease.0 <= farm.last_lease && slave.duty != Duty::Stop;
                let is_known = is_known && (!bake || may_bake_again(farm, job) && adopted.bakes.insert(job));
                let is_free = |frame: &Frame| is_known && is_free(farm, slave, job, *frame, share);
                let (keep, lost): (Vec<Frame>, Vec<Frame>) =
                    frames.iter().partition(|frame| is_free(frame) && adopted.take(job, **frame, share));
                if !keep.is_empty() {
                    events.push(lease_event(lease, slave.id, job, &keep, share, bake));
                }
                lost
            }
        };
        if !lost.is_empty() {
            drop.insert(lease, HeldLease { lease, job, frames: lost, share, bake });
        }
    }
    drop.into_values().collect()
}

/// Leases a chunk to a slave.
fn grant(
    farm: &Farm,
    slave: SlaveId,
    Chunk { job: id, frames, share, bake }: Chunk,
) -> Result<(Event, LeaseGrant), Refusal> {
    let job = lookup::job(farm, id)?;
    let lease = LeaseId(farm.last_lease + 1);
    let mut spec = job.spec.clone();
    // The slave must know of how many samples its share is a part.
    let goal = share.and(frames.first()).and_then(|frame| job.tasks.get(frame)?.goal());
    if let (Some(plan), Some(goal)) = (&mut spec.cut, goal) {
        plan.total = goal;
    }
    let film = |frame: &Frame| Some((*frame, job.tasks.get(frame)?.unfinished()?.merged.result.film));
    let merged = frames.iter().filter_map(film).collect();
    let event = lease_event(lease, slave, id, &frames, share, bake);
    let baked = job.baked.as_ref().map(|baked| baked.blend);
    // The farm's setting is no part of the durable state: the HTTP handler adds it.
    Ok((event, LeaseGrant { lease, job: id, frames, share, merged, bake, baked, spec, scripts: false }))
}

fn lease_event(lease: LeaseId, slave: SlaveId, job: JobId, frames: &[Frame], share: Option<Span>, bake: bool) -> Event {
    match (share, frames) {
        (Some(share), [frame, ..]) => Event::ShareGranted { lease, slave, job, frame: *frame, share, bake },
        _ => Event::LeaseGranted { lease, slave, job, frames: frames.to_vec(), bake },
    }
}

/// True if a slave that bakes the job without a lease may continue.
fn may_bake_again(farm: &Farm, job: JobId) -> bool {
    farm.jobs.get(&job).is_some_and(Job::needs_bake) && lookup::bake_lease(farm, job).is_none()
}

/// True if both sides mean the same lease; the slave may have handed in some of its frames.
fn same(ours: &Lease, slave: SlaveId, theirs: &HeldLease) -> bool {
    ours.slave == slave && ours.job == theirs.job && ours.share == theirs.share && ours.bake == theirs.bake
}

/// Ends leases, or parts of them, that the slave does not hold: the grant was lost on the way, or
/// the slave restarted and saved only some frames.
fn give_back(farm: &Farm, id: SlaveId, held: &[HeldLease]) -> Vec<Event> {
    let mut events = Vec::new();
    for ours in farm.leases_of(id) {
        let theirs = held.iter().find(|theirs| theirs.lease == ours.id && same(ours, id, theirs));
        let has = |frame: &&Frame| theirs.is_some_and(|theirs| theirs.frames.contains(frame));
        let kept: Vec<Frame> = ours.frames.iter().filter(has).copied().collect();
        if kept.len() < ours.frames.len() {
            events.extend(end_all([ours].into_iter(), LeaseEnd::Released));
            // A share has a single frame, so something is kept only of a lease of whole frames.
            if !kept.is_empty() {
                let (lease, job, bake) = (ours.id, ours.job, ours.bake);
                events.push(Event::LeaseGranted { lease, slave: id, job, frames: kept, bake });
            }
        }
    }
    events
}

/// True if a frame, or a share of it, that the slave holds without a lease can be leased to it
/// again.
fn is_free(farm: &Farm, slave: &Slave, job: JobId, frame: Frame, share: Option<Span>) -> bool {
    let open =
        |job: &&Job| matches!(job.state, JobState::Active | JobState::Paused) && !job.blacklist.contains(&slave.id);
    let Some(job) = farm.jobs.get(&job).filter(open) else { return false };
    let Some(task) = job.tasks.get(&frame) else { return false };
    let free = match (&task.state, share) {
        // After the frame was given more samples, this may be the finish of its earlier film.
        (TaskState::Waiting(_), None) => task.goal().is_none(),
        (TaskState::Sharing(sharing), Some(_)) if sharing.is_stopped => false,
        (_, Some(share)) => task.sharing(&job.spec).is_some_and(|sharing| sharing.is_free(share)),
        (_, None) => false,
    };
    let one_build = || share.is_none() || other_build(farm, job, task, &slave.info.build()).is_none();
    // A frame that it failed is not leased again: the poll was sent before the failure was known.
    free && one_build() && !task.failed_by(slave.id)
}

/// Frames and shares that this poll leases again, so that none is leased twice.
#[derive(Default)]
struct Adopted {
    bakes: BTreeSet<JobId>,
    whole: BTreeSet<(JobId, Frame)>,
    shares: Vec<(JobId, Frame, Span)>,
}

impl Adopted {
    fn take(&mut self, job: JobId, frame: Frame, share: Option<Span>) -> bool {
        let apart = |taken: &Span| share.is_some_and(|share| share.end() <= taken.start || taken.end() <= share.start);
        let free = !self.whole.contains(&(job, frame))
            && self.shares.iter().all(|(of, at, taken)| (*of, *at) != (job, frame) || apart(taken));
        if free {
            match share {
                None => _ = self.whole.insert((job, frame)),
                Some(share) => self.shares.push((job, frame, share)),
            }
        }
        free
    }
}
