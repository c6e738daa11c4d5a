//! The leases that a slave holds, frame by frame, and what each poll tells the master about them
//! (held frames, wish for more). Pure: `agent` adds leases, the rendering loop and the hand-ins use
//! them up.

use super::task::{JobKey, Task};
use netrender_core::{
    model::{
        cut::Span,
        digest::Digest,
        ids::{Frame, LeaseId},
        spec::JobSpec,
    },
    wire::{HeldLease, LeaseGrant, Want},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// One lease. Each frame goes waiting → rendering → settling and is then gone.
#[derive(Debug)]
struct Held {
    lease: LeaseId,
    key: JobKey,
    share: Option<Span>,
    merged: BTreeMap<Frame, Digest>,
    bake: bool,
    spec: Arc<JobSpec>,
    scripts: bool,
    waiting: VecDeque<Frame>,
    rendering: Option<Frame>,
    /// Rendered or failed; the master does not know yet.
    settling: BTreeSet<Frame>,
}

impl Held {
    fn frames(&self) -> Vec<Frame> {
        self.rendering.iter().chain(&self.waiting).chain(&self.settling).copied().collect()
    }
}

/// All leases of a slave, oldest first.
#[derive(Debug, Default)]
pub struct Leases {
    held: Vec<Held>,
    /// Counts events that make an open poll outdated, failures above all: the master compares an
    /// open poll's frames with its own, and would take a failed frame that is back in its queue for
    /// one that is still held.
    given_back: u64,
    /// No more work is taken for now.
    closed: bool,
}

impl Leases {
    /// Adds a lease.
    pub fn grant(&mut self, farm: &Arc<str>, grant: LeaseGrant) {
        let LeaseGrant { lease, job, frames, share, merged, bake, baked, spec, scripts } = grant;
        // The master grants a lease once. If an answer arrives twice, the first is being worked on.
        if self.held.iter().any(|held| held.lease == lease) {
            return;
        }
        let key = JobKey { farm: Arc::clone(farm), job, baked };
        let (spec, waiting) = (Arc::new(spec), frames.into());
        let settling = BTreeSet::new();
        self.held.push(Held { lease, key, share, merged, bake, spec, scripts, waiting, rendering: None, settling });
    }

    /// Adds a frame that an earlier run of the slave rendered; it is held until the master has it.
    pub fn recover(&mut self, task: &Task) {
        if let Some(held) = self.lease(task.lease).filter(|held| held.key == task.key) {
            held.settling.insert(task.frame);
            return;
        }
        let Task { lease, key, frame, share, merged: _, bake, spec, scripts } = task.clone();
        let (waiting, settling, merged) = (VecDeque::new(), BTreeSet::from([frame]), BTreeMap::new());
        self.held.push(Held { lease, key, share, merged, bake, spec, scripts, waiting, rendering: None, settling });
    }

    /// Stops or resumes taking work. Stopping returns the frames that are not begun to the master.
    pub fn close(&mut self, closed: bool) {
        self.closed = closed;
        if closed {
            self.held.iter_mut().for_each(|held| held.waiting.clear());
            self.held.retain(|held| !held.frames().is_empty());
            self.given_back += 1;
        }
    }

    /// Takes the next frame, which counts as rendering from now on.
    pub fn begin(&mut self) -> Option<Task> {
        let held = self.held.iter_mut().find(|held| !held.waiting.is_empty())?;
        let frame = held.waiting.pop_front()?;
        held.rendering = Some(frame);
        let (lease, key, spec) = (held.lease, held.key.clone(), Arc::clone(&held.spec));
        let merged = held.merged.get(&frame).copied();
        let (share, bake, scripts) = (held.share, held.bake, held.scripts);
        Some(Task { lease, key, frame, share, merged, bake, spec, scripts })
    }

    /// Rendering the frame has ended, one way or the other; the master has to learn of it.
    pub fn settle(&mut self, task: &Task) {
        if let Some(held) = self.lease(task.lease)
            && held.rendering == Some(task.frame)
        {
            held.rendering = None;
            held.settling.insert(task.frame);
        }
    }

    /// The master knows that the frame is done.
    pub fn done(&mut self, task: &Task) {
        self.forget(task.lease, &[task.frame]);
    }

    /// The master knows that the frame failed, or learns from the next poll that it is not held any
    /// more.
    pub fn give_back(&mut self, task: &Task) {
        self.given_back += 1;
        self.forget(task.lease, &[task.frame]);
    }

    /// Drops frames that the master took back.
    pub fn drop_frames(&mut self, drop: &[HeldLease]) {
        for lease in drop {
            self.forget(lease.lease, &lease.frames);
        }
    }

    /// Drops the leases of other farms. Returns whether there were any.
    pub fn keep_only(&mut self, farm: &str) -> bool {
        let before = self.held.len();
        self.held.retain(|held| &*held.key.farm == farm);
        self.held.len() < before
    }

    fn forget(&mut self, lease: LeaseId, frames: &[Frame]) {
        if let Some(held) = self.lease(lease) {
            held.waiting.retain(|frame| !frames.contains(frame));
            held.rendering = held.rendering.filter(|frame| !frames.contains(frame));
            held.settling.retain(|frame| !frames.contains(frame));
        }
        self.held.retain(|held| !held.frames().is_empty());
    }

    fn lease(&mut self, lease: LeaseId) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.lease == lease)
    }

    /// True while this frame is being rendered and was not dropped.
    pub fn is_rendering(&self, task: &Task) -> bool {
        self.held.iter().any(|held| held.lease == task.lease && held.rendering == Some(task.frame))
    }

    /// True if a frame waits to be rendered.
    pub fn has_waiting(&self) -> bool {
        self.held.iter().any(|held| !held.waiting.is_empty())
    }

    /// Jobs whose files are needed.
    pub fn jobs(&self) -> BTreeSet<JobKey> {
        self.held
            .iter()
            .filter(|held| held.rendering.is_some() || !held.waiting.is_empty())
            .map(|held| held.key.clone())
            .collect()
    }

    /// Held frames, for the next poll.
    pub fn held(&self) -> Vec<HeldLease> {
        let row = |held: &Held| HeldLease {
            lease: held.lease,
            job: held.key.job,
            frames: held.frames(),
            share: held.share,
            bake: held.bake,
        };
        self.held.iter().map(row).collect()
    }

    /// Wish for more work, for the next poll.
    pub fn want(&self) -> Want {
        if self.closed || self.has_waiting() {
            Want::Nothing
        } else if self.held.iter().any(|held| held.rendering.is_some()) {
            Want::Ahead
        } else {
            Want::Now
        }
    }

    /// An open poll is outdated as soon as this value changes.
    pub fn poll_mark(&self) -> (Want, u64) {
        (self.want(), self.given_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::model::ids::JobId;

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
            bake: false,
            baked: None,
            spec,
            scripts: false,
        }
    }

    fn held(granted: &[(u64, &[i32])]) -> Leases {
        let mut leases = Leases::default();
        for (lease, frames) in granted {
            leases.grant(&"farm".into(), grant(*lease, frames));
        }
        leases
    }

    #[test]
    fn the_next_chunk_is_wanted_while_the_last_frame_renders() {
        let mut leases = held(&[]);
        assert_eq!(leases.want(), Want::Now);
        leases.grant(&"farm".into(), grant(1, &[1, 2]));
        assert_eq!(leases.want(), Want::Nothing);
        let first = leases.begin().unwrap();
        assert_eq!(leases.want(), Want::Nothing, "frame 2 still waits");
        leases.settle(&first);
        let second = leases.begin().unwrap();
        assert_eq!(leases.want(), Want::Ahead);
        leases.grant(&"farm".into(), grant(2, &[3]));
        assert_eq!(leases.want(), Want::Nothing);
        leases.settle(&second);
        assert_eq!(leases.begin().unwrap().frame, Frame(3));
    }

    #[test]
    fn a_frame_is_held_until_the_master_knows() {
        let mut leases = held(&[(1, &[1, 2])]);
        let first = leases.begin().unwrap();
        leases.settle(&first);
        let mut held = leases.held().remove(0).frames;
        held.sort();
        assert_eq!(held, [Frame(1), Frame(2)]);
        leases.done(&first);
        assert_eq!(leases.held()[0].frames, [Frame(2)]);
        let second = leases.begin().unwrap();
        leases.settle(&second);
        leases.give_back(&second);
        assert!(leases.held().is_empty());
    }

    #[test]
    fn what_is_dropped_is_forgotten_wherever_it_is() {
        let mut leases = held(&[(1, &[1, 2, 3]), (2, &[4])]);
        let task = leases.begin().unwrap();
        let drop =
            HeldLease { lease: LeaseId(1), job: JobId(1), frames: vec![Frame(1), Frame(3)], share: None, bake: false };
        leases.drop_frames(&[drop]);
        assert!(!leases.is_rendering(&task));
        leases.settle(&task);
        assert_eq!(leases.held()[0].frames, [Frame(2)], "it does not come back by being settled");
    }

    #[test]
    fn a_closed_slave_keeps_what_is_begun_and_gives_the_rest_back() {
        let mut leases = held(&[(1, &[1, 2, 3]), (2, &[4])]);
        let task = leases.begin().unwrap();
        let before = leases.poll_mark();
        leases.close(true);
        assert_ne!(leases.poll_mark(), before);
        assert!(leases.is_rendering(&task));
        assert_eq!(leases.held().iter().map(|held| held.frames.clone()).collect::<Vec<_>>(), [[Frame(1)]]);
        assert_eq!(leases.want(), Want::Nothing);
        leases.close(false);
        assert_eq!(leases.want(), Want::Ahead);
    }

    #[test]
    fn frames_of_an_earlier_life_are_held_until_the_master_knows() {
        let mut first = held(&[(1, &[1, 2, 3])]);
        let (one, two) = (first.begin().unwrap(), first.begin().unwrap());
        let mut leases = Leases::default();
        leases.recover(&one);
        leases.recover(&two);
        assert_eq!(leases.held()[0].frames, [Frame(1), Frame(2)]);
        assert_eq!(leases.want(), Want::Now, "they need no rendering");
        leases.done(&one);
        assert!(!leases.keep_only("farm"));
        assert!(leases.keep_only("another"));
        assert!(leases.held().is_empty());
    }

    #[test]
    fn a_failure_makes_an_open_poll_out_of_date() {
        let mut leases = held(&[(1, &[1, 2, 3])]);
        let task = leases.begin().unwrap();
        let before = leases.poll_mark();
        leases.settle(&task);
        assert_eq!(leases.poll_mark(), before);
        leases.give_back(&task);
        assert_ne!(leases.poll_mark(), before);
    }
}
