//! What is scheduled: today a whole frame of a job.

use crate::{
    digest::Digest,
    ids::{LeaseId, SlaveId, Timestamp},
    job::JobSpec,
    share::{Merged, Sharing},
};
use serde::{Deserialize, Serialize};

/// Where a task stands.
///
/// ```text
///              lease                 result
///   Waiting ───────────▶ Leased ───────────────▶ Done
///    ▲ ▲ │                 │ │                    ▲
///    │ │ └─ late result ───┼─┼────────────────────┤
///    │ └── lost, released, │ │ failed, attempts   │
///    │     failed (retry) ─┘ ▼ used up            │
///    └────── requeue ────── Failed ── late result ┘
/// ```
///
/// A frame that is shared is `Sharing` in place of `Leased`, until its last part is merged, and `Waiting` again when it has
/// neither leases nor parts. Somebody may stop it before: then it is merged of what is there. If the scene has a denoiser or a compositor, a merged frame is `Waiting` and `Leased` once more,
/// with [`Task::merged`]: what is left to do is then to finish it. A frame that is done can be given more samples: it is `Waiting`
/// again for these alone, and then only ever shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TaskState {
    /// In the queue.
    Waiting,
    /// A slave has it.
    Leased {
        /// By this lease.
        lease: LeaseId,
    },
    /// Slaves render it together.
    Sharing(Box<Sharing>),
    /// Handed in and believed.
    Done(Box<TaskResult>),
    /// All attempts failed; a person must look.
    Failed,
}

impl TaskState {
    /// What Blender took for it, when it is done. What a slave says of its time is believed within reason.
    pub(crate) fn spent_ms(&self) -> u64 {
        match self {
            Self::Done(result) => (result.seconds.clamp(0.0, 1e9) * 1000.0) as u64,
            _ => 0,
        }
    }
}

/// A frame of a job on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Where it stands.
    pub state: TaskState,
    /// The attempts that failed, oldest first.
    pub failures: Vec<Failure>,
    /// How many of `failures` count against the retry limit; a requeue starts anew.
    pub strikes: u32,
    /// What its parts made together; not denoised and not composited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Box<Merged>>,
    /// How many samples it shall have in all, since somebody gave it more.
    #[serde(default)]
    pub goal: Option<u32>,
    /// Whether samples are to be added to what is merged.
    #[serde(default)]
    pub is_growing: bool,
}

impl Task {
    /// A task nobody has tried.
    pub fn waiting() -> Self {
        Self {
            state: TaskState::Waiting,
            failures: Vec::new(),
            strikes: 0,
            merged: None,
            goal: None,
            is_growing: false,
        }
    }

    /// How many samples it shall have in all; 0 when they can't be shared out.
    pub fn samples(&self, spec: &JobSpec) -> u32 {
        self.goal.unwrap_or_else(|| spec.frame_samples())
    }

    /// Which of its samples are where, if it is shared now or were to be.
    pub fn sharing(&self, spec: &JobSpec) -> Sharing {
        match &self.state {
            TaskState::Sharing(sharing) => (**sharing).clone(),
            _ => {
                let merged = self.merged.as_ref().filter(|_| self.is_growing);
                Sharing::going_on(self.samples(spec), merged.map(|merged| merged.shares.clone()).unwrap_or_default())
            }
        }
    }

    /// Whether its samples are there, as many as it shall have, and what is left is to finish it.
    pub fn lacks_finish(&self) -> bool {
        self.merged.is_some() && !self.is_growing && !matches!(self.state, TaskState::Done(_))
    }

    /// Whether a slave may have it as a whole: to finish it, or to render it with the job's number of samples.
    pub fn may_be_whole(&self) -> bool {
        self.lacks_finish() || self.goal.is_none()
    }

    /// Whether this slave already failed it.
    pub fn failed_by(&self, slave: SlaveId) -> bool {
        self.failures.iter().any(|failure| failure.slave == slave)
    }
}

/// What a slave handed in for a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Who rendered it.
    pub slave: SlaveId,
    /// The multilayer EXR.
    pub film: Digest,
    /// The EXR's size in bytes.
    pub film_bytes: u64,
    /// The JPEG, when one could be made.
    pub preview: Option<Digest>,
    /// What Blender printed while it rendered.
    pub log: Option<Digest>,
    /// Blender's time for the frame.
    pub seconds: f64,
}

/// An attempt that did not end in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Who tried.
    pub slave: SlaveId,
    /// When it was reported.
    pub at: Timestamp,
    /// Why.
    pub error: TaskError,
    /// What Blender printed.
    pub log: Option<Digest>,
}

/// Why an attempt failed, for people and for the retry policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskError {
    /// A stable word: `render_failed`, `worker_crashed`, `load_failed`, `missing_file`, `bad_picture` ...
    pub kind: String,
    /// What, where, why and what to do next; ends with the log's last lines.
    pub message: String,
}
