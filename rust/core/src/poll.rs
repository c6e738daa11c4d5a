//! What a slave's poll changes: master and slave agree again on what it holds, whatever got lost between them, and it gets
//! what is next.

use crate::{
    balance::{self, Chunk, Want},
    error::Refusal,
    event::Event,
    farm::Farm,
    ids::{Frame, JobId, LeaseId, SlaveId},
    job::{Job, JobState},
    lease::{Lease, LeaseEnd},
    scheduler::{Decision, Reply, end_all},
    share::Share,
    slave::{Duty, SlaveState},
    task::TaskState,
    wire::{HeldLease, LeaseGrant, PollReply},
};
use std::collections::{BTreeMap, BTreeSet};

/// `edits`: the last edit of its settings that the slave knows.
pub(crate) fn decide(
    farm: &Farm,
    id: SlaveId,
    held: Vec<HeldLease>,
    want: Want,
    edits: Option<u32>,
) -> Result<Decision, Refusal> {
    let slave = farm.slaves.get(&id).ok_or(Refusal::UnknownSlave(id))?;
    let is_empty_handed = held.is_empty();
    let mut events = Vec::new();
    if slave.state != SlaveState::Ready {
        events.push(Event::SlaveReturned { slave: id });
    }
    events.extend(give_back(farm, id, &held));
    let mut adopted = Adopted::default();
    let mut drop: BTreeMap<LeaseId, HeldLease> = BTreeMap::new();
    for theirs in held {
        let HeldLease { lease, job, ref frames, share } = theirs;
        let lost: Vec<Frame> = match farm.leases.get(&lease) {
            Some(ours) if same(ours, id, &theirs) => {
                frames.iter().filter(|frame| !ours.frames.contains(frame)).copied().collect()
            }
            Some(_) => frames.clone(),
            None => {
                let known = lease.0 <= farm.last_lease && slave.duty != Duty::Stop;
                let free = |frame: &Frame| known && is_free(farm, id, job, *frame, share);
                let (keep, lost): (Vec<Frame>, Vec<Frame>) =
                    frames.iter().partition(|frame| free(frame) && adopted.take(job, **frame, share));
                match (share, keep.as_slice()) {
                    (_, []) => {}
                    (None, _) => events.push(Event::LeaseGranted { lease, slave: id, job, frames: keep }),
                    (Some(share), [frame, ..]) => {
                        events.push(Event::ShareGranted { lease, slave: id, job, frame: *frame, share });
                    }
                }
                lost
            }
        };
        if !lost.is_empty() {
            drop.insert(lease, HeldLease { lease, job, frames: lost, share });
        }
    }
    // The balance must see the farm as it is after the above: whoever holds the poll open asks again once it is applied.
    let mut grant = None;
    if want != Want::Nothing
        && drop.is_empty()
        && events.is_empty()
        && let Some(Chunk { job, frames, share }) = balance::next_chunk(farm, slave, want)
    {
        let lease = LeaseId(farm.last_lease + 1);
        events.push(match (share, frames.as_slice()) {
            (Some(share), [frame, ..]) => Event::ShareGranted { lease, slave: id, job, frame: *frame, share },
            _ => Event::LeaseGranted { lease, slave: id, job, frames: frames.clone() },
        });
        let of = farm.jobs.get(&job).ok_or(Refusal::UnknownJob(job))?;
        let mut spec = of.spec.clone();
        // Of how many samples its own are some is what this frame has by now.
        let grown = share.and(frames.first()).and_then(|frame| of.tasks.get(frame)?.goal);
        if let (Some(split), Some(samples)) = (&mut spec.samples, grown) {
            split.samples = samples;
        }
        let film = |frame: &Frame| {
            let task = of.tasks.get(frame).filter(|task| task.lacks_finish())?;
            Some((*frame, task.merged.as_ref()?.result.film))
        };
        let merged = frames.iter().filter_map(film).collect();
        // The farm's setting is not part of the durable state: whoever answers over the network adds it.
        grant = Some(Box::new(LeaseGrant { lease, job, frames, share, merged, spec, scripts: false }));
    }
    let stop = match slave.duty {
        Duty::Work | Duty::Pause => false,
        Duty::Drain => is_empty_handed && events.is_empty(),
        Duty::Stop => true,
    };
    let settings = edits.filter(|known| *known != slave.edits.count).map(|_| Box::new(slave.update()));
    Decision::new(events, Reply::Poll(PollReply { drop: drop.into_values().collect(), grant, stop, settings }))
}

fn same(ours: &Lease, slave: SlaveId, theirs: &HeldLease) -> bool {
    ours.slave == slave && ours.job == theirs.job && ours.share == theirs.share
}

/// What we think it has and it does not: the grant was lost on the way, or it restarted and saved only a part.
fn give_back(farm: &Farm, id: SlaveId, held: &[HeldLease]) -> Vec<Event> {
    let mut events = Vec::new();
    for ours in farm.leases_of(id) {
        let theirs = held.iter().find(|theirs| theirs.lease == ours.id && same(ours, id, theirs));
        let has = |frame: &&Frame| theirs.is_some_and(|theirs| theirs.frames.contains(frame));
        let kept: Vec<Frame> = ours.frames.iter().filter(has).copied().collect();
        if kept.len() < ours.frames.len() {
            events.extend(end_all([ours].into_iter(), LeaseEnd::Released));
            // A lease of samples has one frame: of it there is all or nothing.
            if !kept.is_empty() {
                events.push(Event::LeaseGranted { lease: ours.id, slave: id, job: ours.job, frames: kept });
            }
        }
    }
    events
}

/// Whether what a slave has and we do not think so can be taken back.
fn is_free(farm: &Farm, slave: SlaveId, job: JobId, frame: Frame, share: Option<Share>) -> bool {
    let open = |job: &&Job| matches!(job.state, JobState::Active | JobState::Paused) && !job.blacklist.contains(&slave);
    let Some(job) = farm.jobs.get(&job).filter(open) else { return false };
    let Some(task) = job.tasks.get(&frame) else { return false };
    let free = match (&task.state, share) {
        // Of a frame that was given more samples it may be the finish of what it was before.
        (TaskState::Waiting, None) => task.goal.is_none(),
        (TaskState::Waiting, Some(share)) => !task.lacks_finish() && task.sharing(&job.spec).is_free(share),
        (TaskState::Sharing(sharing), Some(share)) => !sharing.is_stopped && sharing.is_free(share),
        _ => false,
    };
    let own = farm.slaves.get(&slave).map(|slave| slave.info.build());
    let one_build = || share.is_none() || own.is_some_and(|own| balance::other_build(farm, job, task, &own).is_none());
    // A frame it failed is not taken back: that poll was sent before the failure was known.
    free && one_build() && !task.failed_by(slave)
}

/// What one poll takes back, so that it does not take anything back twice.
#[derive(Default)]
struct Adopted {
    whole: BTreeSet<(JobId, Frame)>,
    shares: Vec<(JobId, Frame, Share)>,
}

impl Adopted {
    fn take(&mut self, job: JobId, frame: Frame, share: Option<Share>) -> bool {
        let apart =
            |taken: &Share| share.is_some_and(|share| share.end() <= taken.offset || taken.end() <= share.offset);
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
