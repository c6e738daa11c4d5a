//! A frame of a job, on its way from the queue to a picture.

use crate::model::{
    ids::{LeaseId, SlaveId},
    result::{Failure, TaskResult},
    sharing::{Growth, Merged, Sharing},
    spec::JobSpec,
};

/// Where a frame stands.
///
/// ```text
///                       lease                              result
///   Waiting(Everything) ─────▶ Leased ────────────────────────────────────────▶ Done ◀─┐
///     │   ▲                                                                     │      │
///     │   └─ no lease and no part left                             more samples │      │ result
///     │                                                                         ▼      │
///     │ lease, part            lease, part                        Waiting(Samples)     │
///     └──────────────▶ Sharing ◀──────────────────────────────────────┘                │
///                         │                            lease                           │
///                         └─ merged ─▶ Waiting(Finish) ─────▶ Finishing ───────────────┘
///
///   Leased, Sharing, Finishing ── attempts used up ──▶ Failed(rest) ── requeue ──▶ Waiting(rest)
///   Leased, Finishing ── lease ended, attempt failed ──▶ Waiting(rest)
/// ```
///
/// A job whose frames need no finish has its merged frames done at once. A late result makes a
/// frame done from any state in which it was not given more samples. A film that is lost on the
/// master's disk sends its frame back to `Waiting`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the types say what the fields are")]
pub enum TaskState {
    /// In the queue.
    Waiting(Remaining),
    /// One slave renders the whole frame.
    Leased { lease: LeaseId },
    /// Slaves render parts of the frame, and it has at least one lease or part.
    Sharing(Box<Sharing>),
    /// One slave denoises and composites the merged film.
    Finishing { lease: LeaseId, unfinished: Unfinished },
    /// Handed in and accepted. `merged` is kept so that samples can be added to it.
    Done { result: Box<TaskResult>, merged: Option<Box<Merged>>, goal: Option<u32> },
    /// All attempts failed; a person must look.
    Failed(Remaining),
}

/// Work that remains of a frame that no slave works on.
#[derive(Clone, Debug, PartialEq)]
pub enum Remaining {
    /// The whole frame, by one slave or in parts.
    Everything,
    /// Samples up to a goal, in parts only.
    Samples(Growth),
    /// Denoising and compositing of a film that has all its samples.
    Finish(Unfinished),
}

/// A film with all the samples its frame is to have, not yet denoised and composited.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// The film.
    pub merged: Box<Merged>,
    /// The frame's own total of units, if somebody asked for more samples; see [`Growth::goal`].
    pub goal: Option<u32>,
}

impl Remaining {
    /// Work that remains of a frame whose picture is gone, if this is left of it.
    pub(crate) fn of(merged: Option<Box<Merged>>, goal: Option<u32>) -> Self {
        match (merged, goal) {
            (Some(merged), goal) => Self::Finish(Unfinished { merged, goal }),
            (None, Some(goal)) => Self::Samples(Growth { goal, merged: None }),
            (None, None) => Self::Everything,
        }
    }

    fn merged(&self) -> Option<&Merged> {
        match self {
            Self::Everything => None,
            Self::Samples(growth) => growth.merged.as_deref(),
            Self::Finish(unfinished) => Some(&unfinished.merged),
        }
    }

    fn goal(&self) -> Option<u32> {
        match self {
            Self::Everything => None,
            Self::Samples(growth) => Some(growth.goal),
            Self::Finish(unfinished) => unfinished.goal,
        }
    }
}

impl TaskState {
    /// True if the frame is in the queue.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    /// True if nothing more happens to the frame unless somebody asks for it.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed(_))
    }

    /// Blender's time for a frame that is done, in milliseconds. What a slave says of its time is
    /// believed within reason.
    pub(crate) fn spent_ms(&self) -> u64 {
        match self {
            Self::Done { result, .. } => (result.seconds.clamp(0.0, 1e9) * 1000.0) as u64,
            _ => 0,
        }
    }

    /// Work that remains when no slave works on the frame any more and its picture, if it has
    /// one, is lost.
    pub(crate) fn remaining(&self) -> Remaining {
        match self {
            Self::Waiting(remaining) | Self::Failed(remaining) => remaining.clone(),
            Self::Leased { .. } => Remaining::Everything,
            Self::Sharing(sharing) => sharing.growth.clone().map_or(Remaining::Everything, Remaining::Samples),
            Self::Finishing { unfinished, .. } => Remaining::Finish(unfinished.clone()),
            Self::Done { merged, goal, .. } => Remaining::of(merged.clone(), *goal),
        }
    }
}

/// A frame of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Where it stands.
    pub state: TaskState,
    /// The attempts that failed, oldest first.
    pub failures: Vec<Failure>,
    /// How many of `failures` count against the retry limit; a requeue sets it to 0.
    pub strikes: u32,
}

impl Task {
    /// A frame nobody has tried.
    pub fn waiting() -> Self {
        Self { state: TaskState::Waiting(Remaining::Everything), failures: Vec::new(), strikes: 0 }
    }

    /// The film of parts that were merged, if there is one: not denoised and not composited.
    pub fn merged(&self) -> Option<&Merged> {
        match &self.state {
            TaskState::Waiting(remaining) | TaskState::Failed(remaining) => remaining.merged(),
            TaskState::Leased { .. } => None,
            TaskState::Sharing(sharing) => sharing.growth.as_ref()?.merged.as_deref(),
            TaskState::Finishing { unfinished, .. } => Some(&unfinished.merged),
            TaskState::Done { merged, .. } => merged.as_deref(),
        }
    }

    /// The frame's own total of units, if somebody asked for more samples; see [`Growth::goal`].
    pub fn goal(&self) -> Option<u32> {
        match &self.state {
            TaskState::Waiting(remaining) | TaskState::Failed(remaining) => remaining.goal(),
            TaskState::Leased { .. } => None,
            TaskState::Sharing(sharing) => sharing.growth.as_ref().map(|growth| growth.goal),
            TaskState::Finishing { unfinished, .. } => unfinished.goal,
            TaskState::Done { goal, .. } => *goal,
        }
    }

    /// Number of units that the frame must have in all; 0 if it can't be shared out.
    pub fn units(&self, spec: &JobSpec) -> u32 {
        self.goal().unwrap_or_else(|| spec.frame_units())
    }

    /// The growth of a frame that lacks samples because it is to have more than its job asks for.
    pub(crate) fn growth(&self) -> Option<&Growth> {
        match &self.state {
            TaskState::Waiting(Remaining::Samples(growth)) | TaskState::Failed(Remaining::Samples(growth)) => {
                Some(growth)
            }
            TaskState::Sharing(sharing) => sharing.growth.as_ref(),
            _ => None,
        }
    }

    /// How far the frame is shared out, or what sharing it would begin with; `None` if it can't be
    /// shared now.
    pub fn sharing(&self, spec: &JobSpec) -> Option<Sharing> {
        match &self.state {
            TaskState::Sharing(sharing) => Some((**sharing).clone()),
            TaskState::Waiting(Remaining::Everything) => Some(Sharing::new(spec.frame_units())),
            TaskState::Waiting(Remaining::Samples(growth)) => Some(Sharing::growing(growth.clone())),
            _ => None,
        }
    }

    /// The merged film, while denoising and compositing is all that remains.
    pub fn unfinished(&self) -> Option<&Unfinished> {
        match &self.state {
            TaskState::Waiting(Remaining::Finish(unfinished))
            | TaskState::Finishing { unfinished, .. }
            | TaskState::Failed(Remaining::Finish(unfinished)) => Some(unfinished),
            _ => None,
        }
    }

    /// True if the frame waits and only parts of it may be leased: it is to have more samples than
    /// the job's.
    pub(crate) fn must_be_shared(&self) -> bool {
        matches!(self.state, TaskState::Waiting(Remaining::Samples(_)))
    }

    /// True if this slave already failed it.
    pub fn failed_by(&self, slave: SlaveId) -> bool {
        self.failures.iter().any(|failure| failure.slave == slave)
    }
}
