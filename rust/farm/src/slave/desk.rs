//! What lies on the slave's desk: the leases in its hands, frame by frame, and what follows from them for the master
//! (what is held, what is wanted). Pure; the agent fills it, the rendering loop and the hand-ins empty it.

use netrender_core::{
    balance::Want,
    digest::Digest,
    ids::{Frame, JobId, LeaseId},
    job::JobSpec,
    share::Share,
    wire::{HeldLease, LeaseGrant},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// A job of a farm: another farm has other jobs of the same number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobKey {
    /// The farm's random name.
    pub farm: Arc<str>,
    /// The job there.
    pub job: JobId,
}

/// One frame to render.
#[derive(Clone, Debug)]
pub struct Task {
    /// By which lease.
    pub lease: LeaseId,
    /// Of which job.
    pub key: JobKey,
    /// Which frame.
    pub frame: Frame,
    /// Only these samples of it.
    pub share: Option<Share>,
    /// All of its samples, which are there: it is to be finished.
    pub merged: Option<Digest>,
    /// How.
    pub spec: Arc<JobSpec>,
    /// Whether the scene's own Python may run.
    pub scripts: bool,
}

/// A lease in our hands. A frame moves waiting → rendering → settling and off the desk.
#[derive(Debug)]
struct Held {
    lease: LeaseId,
    key: JobKey,
    share: Option<Share>,
    merged: BTreeMap<Frame, Digest>,
    spec: Arc<JobSpec>,
    scripts: bool,
    waiting: VecDeque<Frame>,
    rendering: Option<Frame>,
    /// Rendered or failed, and the master does not know yet.
    settling: BTreeSet<Frame>,
}

impl Held {
    fn frames(&self) -> Vec<Frame> {
        self.rendering.iter().chain(&self.waiting).chain(&self.settling).copied().collect()
    }
}

/// All leases, oldest first.
#[derive(Debug, Default)]
pub struct Desk {
    held: Vec<Held>,
    /// Counts what makes an open poll out of date, failures above all: the master matches an open poll's frames against
    /// its own, and would take a failed frame that is back in its queue for one we still hold.
    given_back: u64,
    /// No more work for now.
    closed: bool,
}

impl Desk {
    /// New work.
    pub fn grant(&mut self, farm: &Arc<str>, grant: LeaseGrant) {
        let LeaseGrant { lease, job, frames, share, merged, spec, scripts } = grant;
        // The master grants a lease once; should an answer come twice, the first is being worked on.
        if self.held.iter().any(|held| held.lease == lease) {
            return;
        }
        let key = JobKey { farm: Arc::clone(farm), job };
        let (spec, waiting) = (Arc::new(spec), frames.into());
        let settling = BTreeSet::new();
        self.held.push(Held { lease, key, share, merged, spec, scripts, waiting, rendering: None, settling });
    }

    /// A frame that was rendered before the slave was started again; the master is to be told.
    pub fn recover(&mut self, task: &Task) {
        if let Some(held) = self.of(task.lease).filter(|held| held.key == task.key) {
            held.settling.insert(task.frame);
            return;
        }
        let Task { lease, key, frame, share, merged: _, spec, scripts } = task.clone();
        let (waiting, settling, merged) = (VecDeque::new(), BTreeSet::from([frame]), BTreeMap::new());
        self.held.push(Held { lease, key, share, merged, spec, scripts, waiting, rendering: None, settling });
    }

    /// Takes no more work until told otherwise; what is not begun goes back to the master.
    pub fn close(&mut self, closed: bool) {
        self.closed = closed;
        if closed {
            self.held.iter_mut().for_each(|held| held.waiting.clear());
            self.held.retain(|held| !held.frames().is_empty());
            self.given_back += 1;
        }
    }

    /// Takes the next frame; it counts as rendering from now on.
    pub fn begin(&mut self) -> Option<Task> {
        let held = self.held.iter_mut().find(|held| !held.waiting.is_empty())?;
        let frame = held.waiting.pop_front()?;
        held.rendering = Some(frame);
        let (lease, key, spec) = (held.lease, held.key.clone(), Arc::clone(&held.spec));
        let merged = held.merged.get(&frame).copied();
        Some(Task { lease, key, frame, share: held.share, merged, spec, scripts: held.scripts })
    }

    /// Rendering it is over, one way or the other; the master is to be told.
    pub fn settle(&mut self, task: &Task) {
        if let Some(held) = self.of(task.lease)
            && held.rendering == Some(task.frame)
        {
            held.rendering = None;
            held.settling.insert(task.frame);
        }
    }

    /// The master knows that it is done.
    pub fn done(&mut self, task: &Task) {
        self.forget(task.lease, &[task.frame]);
    }

    /// The master knows that it failed, or is to learn by the next poll that we do not have it any more.
    pub fn give_back(&mut self, task: &Task) {
        self.given_back += 1;
        self.forget(task.lease, &[task.frame]);
    }

    /// These are no longer our business.
    pub fn drop_frames(&mut self, drop: &[HeldLease]) {
        for lease in drop {
            self.forget(lease.lease, &lease.frames);
        }
    }

    /// Only this farm's leases are our business. True when there were others.
    pub fn keep_only(&mut self, farm: &str) -> bool {
        let before = self.held.len();
        self.held.retain(|held| &*held.key.farm == farm);
        self.held.len() < before
    }

    fn forget(&mut self, lease: LeaseId, frames: &[Frame]) {
        if let Some(held) = self.of(lease) {
            held.waiting.retain(|frame| !frames.contains(frame));
            held.rendering = held.rendering.filter(|frame| !frames.contains(frame));
            held.settling.retain(|frame| !frames.contains(frame));
        }
        self.held.retain(|held| !held.frames().is_empty());
    }

    fn of(&mut self, lease: LeaseId) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.lease == lease)
    }

    /// Whether this frame is still to be rendered.
    pub fn is_rendering(&self, task: &Task) -> bool {
        self.held.iter().any(|held| held.lease == task.lease && held.rendering == Some(task.frame))
    }

    /// Whether a frame waits to be rendered.
    pub fn has_waiting(&self) -> bool {
        self.held.iter().any(|held| !held.waiting.is_empty())
    }

    /// The jobs whose files are needed.
    pub fn jobs(&self) -> BTreeSet<JobKey> {
        self.held
            .iter()
            .filter(|held| held.rendering.is_some() || !held.waiting.is_empty())
            .map(|held| held.key.clone())
            .collect()
    }

    /// What the master is told we hold.
    pub fn held(&self) -> Vec<HeldLease> {
        let tell =
            |held: &Held| HeldLease { lease: held.lease, job: held.key.job, frames: held.frames(), share: held.share };
        self.held.iter().map(tell).collect()
    }

    /// What the master is told we want.
    pub fn want(&self) -> Want {
        if self.closed || self.has_waiting() {
            Want::Nothing
        } else if self.held.iter().any(|held| held.rendering.is_some()) {
            Want::Ahead
        } else {
            Want::Now
        }
    }

    /// An open poll is out of date when this changes.
    pub fn poll_mark(&self) -> (Want, u64) {
        (self.want(), self.given_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(lease: u64, frames: &[i32]) -> LeaseGrant {
        let spec = serde_json::from_value(serde_json::json!({
            "name": "n", "frames": "1", "engine": "CYCLES", "blender": [3, 4], "width": 1, "height": 1,
            "manifest": "0".repeat(64),
        }))
        .unwrap();
        LeaseGrant {
            lease: LeaseId(lease),
            job: JobId(1),
            frames: frames.iter().copied().map(Frame).collect(),
            share: None,
            merged: BTreeMap::new(),
            spec,
            scripts: false,
        }
    }

    fn desk(leases: &[(u64, &[i32])]) -> Desk {
        let mut desk = Desk::default();
        for (lease, frames) in leases {
            desk.grant(&"farm".into(), grant(*lease, frames));
        }
        desk
    }

    #[test]
    fn the_next_chunk_is_wanted_while_the_last_frame_renders() {
        let mut desk = desk(&[]);
        assert_eq!(desk.want(), Want::Now);
        desk.grant(&"farm".into(), grant(1, &[1, 2]));
        assert_eq!(desk.want(), Want::Nothing);
        let first = desk.begin().unwrap();
        assert_eq!(desk.want(), Want::Nothing, "frame 2 still waits");
        desk.settle(&first);
        let second = desk.begin().unwrap();
        assert_eq!(desk.want(), Want::Ahead);
        desk.grant(&"farm".into(), grant(2, &[3]));
        assert_eq!(desk.want(), Want::Nothing);
        desk.settle(&second);
        assert_eq!(desk.begin().unwrap().frame, Frame(3));
    }

    #[test]
    fn a_frame_is_held_until_the_master_knows() {
        let mut desk = desk(&[(1, &[1, 2])]);
        let first = desk.begin().unwrap();
        desk.settle(&first);
        let mut held = desk.held().remove(0).frames;
        held.sort();
        assert_eq!(held, [Frame(1), Frame(2)]);
        desk.done(&first);
        assert_eq!(desk.held()[0].frames, [Frame(2)]);
        let second = desk.begin().unwrap();
        desk.settle(&second);
        desk.give_back(&second);
        assert!(desk.held().is_empty());
    }

    #[test]
    fn what_is_dropped_is_forgotten_wherever_it_is() {
        let mut desk = desk(&[(1, &[1, 2, 3]), (2, &[4])]);
        let task = desk.begin().unwrap();
        let drop = HeldLease { lease: LeaseId(1), job: JobId(1), frames: vec![Frame(1), Frame(3)], share: None };
        desk.drop_frames(&[drop]);
        assert!(!desk.is_rendering(&task));
        desk.settle(&task);
        assert_eq!(desk.held()[0].frames, [Frame(2)], "it does not come back by being settled");
    }

    #[test]
    fn a_closed_desk_keeps_what_is_begun_and_gives_the_rest_back() {
        let mut desk = desk(&[(1, &[1, 2, 3]), (2, &[4])]);
        let task = desk.begin().unwrap();
        let before = desk.poll_mark();
        desk.close(true);
        assert_ne!(desk.poll_mark(), before);
        assert!(desk.is_rendering(&task));
        assert_eq!(desk.held().iter().map(|held| held.frames.clone()).collect::<Vec<_>>(), [[Frame(1)]]);
        assert_eq!(desk.want(), Want::Nothing);
        desk.close(false);
        assert_eq!(desk.want(), Want::Ahead);
    }

    #[test]
    fn frames_of_an_earlier_life_are_held_until_the_master_knows() {
        let mut first = desk(&[(1, &[1, 2, 3])]);
        let (one, two) = (first.begin().unwrap(), first.begin().unwrap());
        let mut desk = Desk::default();
        desk.recover(&one);
        desk.recover(&two);
        assert_eq!(desk.held()[0].frames, [Frame(1), Frame(2)]);
        assert_eq!(desk.want(), Want::Now, "they need no rendering");
        desk.done(&one);
        assert!(!desk.keep_only("farm"));
        assert!(desk.keep_only("another"));
        assert!(desk.held().is_empty());
    }

    #[test]
    fn a_failure_makes_an_open_poll_out_of_date() {
        let mut desk = desk(&[(1, &[1, 2, 3])]);
        let task = desk.begin().unwrap();
        let before = desk.poll_mark();
        desk.settle(&task);
        assert_eq!(desk.poll_mark(), before);
        desk.give_back(&task);
        assert_ne!(desk.poll_mark(), before);
    }
}
