//! Row of a frame in a snapshot.
//!
//! The stored form is older than [`TaskState`] and flat, so that files of older masters stay
//! readable: a kind, a result, and what there is of a frame that was shared.

use crate::model::{
    result::{Failure, TaskResult},
    sharing::{Growth, Merged, Part, Sharing},
    spec::JobSpec,
    task::{Remaining, Task, TaskState},
};
use serde::{Deserialize, Serialize};

/// Row of a frame. Leases are stored apart, so a leased frame is stored as a waiting one.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as in the task")]
pub struct TaskRow {
    pub kind: RowKind,
    pub failures: Vec<Failure>,
    pub strikes: u32,
    /// `None` for a frame that was never shared.
    pub shared: Option<SharedRow>,
}

/// Kind of a stored frame, with the result of one that is done.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as in the task's state")]
pub enum RowKind {
    Waiting,
    Sharing,
    Done(Box<TaskResult>),
    Failed,
}

/// Column of a frame that is or was shared, stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnySharedRow")]
pub struct SharedRow {
    parts: Vec<Part>,
    is_stopped: bool,
    merged: Option<Box<Merged>>,
    goal: Option<u32>,
    /// True if samples are to be added to `merged`; if not, `merged` has all its samples.
    is_growing: bool,
}

/// Forms of the column: masters up to snapshot format 2 wrote the parts alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnySharedRow {
    Parts(Vec<Part>),
    All { parts: Vec<Part>, is_stopped: bool, merged: Option<Box<Merged>>, goal: Option<u32>, is_growing: bool },
}

impl From<AnySharedRow> for SharedRow {
    fn from(row: AnySharedRow) -> Self {
        match row {
            AnySharedRow::Parts(parts) => Self { parts, ..Self::default() },
            AnySharedRow::All { parts, is_stopped, merged, goal, is_growing } => {
                Self { parts, is_stopped, merged, goal, is_growing }
            }
        }
    }
}

impl TaskRow {
    /// The row of a frame.
    pub fn of(task: &Task) -> Self {
        let (merged, goal) = (task.merged().cloned().map(Box::new), task.goal());
        let is_growing = task.growth().is_some_and(|growth| growth.merged.is_some());
        let mut shared = SharedRow { merged, goal, is_growing, ..SharedRow::default() };
        let kind = match &task.state {
            TaskState::Waiting(_) | TaskState::Leased { .. } | TaskState::Finishing { .. } => RowKind::Waiting,
            TaskState::Sharing(sharing) => {
                (shared.parts, shared.is_stopped) = (sharing.parts.clone(), sharing.is_stopped);
                RowKind::Sharing
            }
            TaskState::Done { result, .. } => RowKind::Done(result.clone()),
            TaskState::Failed(_) => RowKind::Failed,
        };
        let shared = (shared != SharedRow::default()).then_some(shared);
        Self { kind, failures: task.failures.clone(), strikes: task.strikes, shared }
    }
}

impl RowKind {
    /// The state of the frame, in which leased frames and units wait: leases are added later.
    pub(super) fn state(self, shared: SharedRow, spec: &JobSpec) -> TaskState {
        let SharedRow { parts, is_stopped, merged, goal, is_growing } = shared;
        if let Self::Done(result) = self {
            return TaskState::Done { result, merged, goal };
        }
        let remaining = match (goal, is_growing) {
            (Some(goal), true) => Remaining::Samples(Growth { goal, merged }),
            _ => Remaining::of(merged, goal),
        };
        let sharing = match (&self, &remaining) {
            (Self::Sharing, Remaining::Everything) => Sharing::new(spec.frame_units()),
            (Self::Sharing, Remaining::Samples(growth)) => Sharing::growing(growth.clone()),
            (Self::Failed, _) => return TaskState::Failed(remaining),
            _ => return TaskState::Waiting(remaining),
        };
        let sharing = sharing.with_parts(parts, is_stopped);
        if sharing.is_untouched() { TaskState::Waiting(remaining) } else { TaskState::Sharing(Box::new(sharing)) }
    }
}
