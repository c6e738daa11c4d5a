//! What the slave has in its hands: leases, frames to render, frames on their way back. Pure bookkeeping.

use netrender_core::{
    balance::Want,
    digest::Digest,
    ids::{Frame, JobId, LeaseId},
    wire::{HeldLease, LeaseGrant, PollRequest},
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

struct Held {
    grant: Arc<LeaseGrant>,
    /// To be rendered, in order.
    todo: VecDeque<Frame>,
    /// Rendering, or rendered and not acknowledged yet.
    pending: BTreeSet<Frame>,
}

/// Leases in the order they came.
#[derive(Default)]
pub struct Hands {
    held: Vec<Held>,
    rendering: Option<(LeaseId, Frame)>,
}

impl Hands {
    /// A new lease.
    pub fn take(&mut self, grant: LeaseGrant) {
        let todo = grant.frames.iter().copied().collect();
        self.held.push(Held { grant: Arc::new(grant), todo, pending: BTreeSet::new() });
    }

    /// The next frame to render; it is then the one that renders.
    pub fn next(&mut self) -> Option<(Arc<LeaseGrant>, Frame)> {
        let held = self.held.iter_mut().find(|held| !held.todo.is_empty())?;
        let frame = held.todo.pop_front()?;
        held.pending.insert(frame);
        self.rendering = Some((held.grant.lease, frame));
        Some((held.grant.clone(), frame))
    }

    /// The renderer is free again.
    pub fn rendered(&mut self) {
        self.rendering = None;
    }

    /// The master has it, or knows that it failed.
    pub fn settled(&mut self, lease: LeaseId, frame: Frame) {
        for held in self.held.iter_mut().filter(|held| held.grant.lease == lease) {
            held.pending.remove(&frame);
        }
        self.sweep();
    }

    /// No longer ours. True when the frame that renders now is among them.
    pub fn drop_lease(&mut self, gone: &HeldLease) -> bool {
        for held in self.held.iter_mut().filter(|held| held.grant.lease == gone.lease) {
            held.todo.retain(|frame| !gone.frames.contains(frame));
            held.pending.retain(|frame| !gone.frames.contains(frame));
        }
        self.sweep();
        self.rendering.is_some_and(|(lease, frame)| lease == gone.lease && gone.frames.contains(&frame))
    }

    /// Nothing of it counts any more: another farm.
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// Whether the frame is still ours.
    pub fn holds(&self, lease: LeaseId, frame: Frame) -> bool {
        self.held.iter().any(|held| held.grant.lease == lease && held.pending.contains(&frame))
    }

    /// Whether a frame waits to be rendered.
    pub fn has_work(&self) -> bool {
        self.held.iter().any(|held| !held.todo.is_empty())
    }

    /// The jobs in our hands and where their lists of files are, in the order they will render.
    pub fn jobs(&self) -> Vec<(JobId, Digest)> {
        self.held.iter().map(|held| (held.grant.job, held.grant.spec.manifest)).collect()
    }

    /// What the master is told.
    pub fn poll(&self) -> PollRequest {
        // Sorted: a frame that begins to render is no news.
        let frames = |held: &Held| {
            let all: BTreeSet<Frame> = held.pending.iter().chain(&held.todo).copied().collect();
            all.into_iter().collect()
        };
        let held = self.held.iter().map(|held| HeldLease {
            lease: held.grant.lease,
            job: held.grant.job,
            frames: frames(held),
        });
        PollRequest { held: held.collect(), want: self.want() }
    }

    /// One chunk ahead of the renderer, never more: what waits here can't be given to an idle slave.
    pub fn want(&self) -> Want {
        match (self.has_work(), self.rendering) {
            (true, _) => Want::Nothing,
            (false, Some(_)) => Want::Ahead,
            (false, None) => Want::Now,
        }
    }

    fn sweep(&mut self) {
        self.held.retain(|held| !held.todo.is_empty() || !held.pending.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::job::JobSpec;

    fn grant(lease: u64, frames: &[i32]) -> LeaseGrant {
        let spec: JobSpec = serde_json::from_value(serde_json::json!({
            "name": "a", "frames": "1-9", "engine": "CYCLES", "blender": [3, 4], "width": 1, "height": 1,
            "manifest": Digest([0; 32]),
        }))
        .unwrap();
        LeaseGrant { lease: LeaseId(lease), job: JobId(1), frames: frames.iter().map(|f| Frame(*f)).collect(), spec }
    }

    #[test]
    fn one_chunk_ahead_and_everything_told_until_it_is_settled() {
        let mut hands = Hands::default();
        assert_eq!(hands.want(), Want::Now);
        hands.take(grant(1, &[1, 2]));
        hands.next();
        assert_eq!(hands.want(), Want::Nothing, "frame 2 still waits");
        hands.rendered();
        hands.next();
        assert_eq!(hands.want(), Want::Ahead);
        assert_eq!(hands.poll().held[0].frames, [Frame(1), Frame(2)], "both are not handed in");
        hands.settled(LeaseId(1), Frame(1));
        hands.rendered();
        hands.settled(LeaseId(1), Frame(2));
        assert!(hands.poll().held.is_empty());
        assert_eq!(hands.want(), Want::Now);
    }

    #[test]
    fn a_dropped_frame_is_neither_rendered_nor_told() {
        let mut hands = Hands::default();
        hands.take(grant(1, &[1, 2]));
        hands.next();
        let gone = |frame| HeldLease { lease: LeaseId(1), job: JobId(1), frames: vec![Frame(frame)] };
        assert!(!hands.drop_lease(&gone(2)));
        assert!(hands.drop_lease(&gone(1)), "it renders now");
        assert!(hands.poll().held.is_empty() && hands.next().is_none());
    }
}
