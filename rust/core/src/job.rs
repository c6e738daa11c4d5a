//! One submission: what the artist asked for and how far it is.

use crate::{
    digest::Digest,
    edit::{Edits, Setting},
    frames::FrameList,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    share::{SampleSplit, Share, Sharing, Speeds, Unit},
    slave::Version,
    task::{Task, TaskState},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a job stands. What people read is [`Job::status`].
///
/// ```text
///             pause                        all tasks done
///   Paused ◀────────▶ Active ─────────────────────────────▶ Finished
///     │      resume    │  ▲ │  all done or failed              ▲
///     │         cancel │  │ └──────────────────▶ Failed ───────┘
///     └───▶ Canceled ◀─┘  │                        │   late result
///               └─────────┴──────── requeue ───────┘
///
///   any ──delete──▶ Deleted
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its tasks may be leased.
    Active,
    /// Nothing more is leased; what is rendering ends.
    Paused,
    /// Every task is done.
    Finished,
    /// No task is left to try and at least one failed.
    Failed,
    /// Somebody stopped it; what is done stays.
    Canceled,
    /// Its files are being removed. To everybody but the master's own clean-up it is no more.
    Deleted,
}

/// How frames may be shared out among slaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Whole frames only.
    #[default]
    Off,
    /// By samples, or else by tiles, while there are fewer frames than slaves to render them.
    Auto,
    /// By samples, every frame.
    Samples,
    /// By tiles, every frame.
    Tiles,
}

/// What the artist asked for. Fixed once accepted, but for what a [`JobEdit`](crate::edit::JobEdit) changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobSpec {
    /// As shown in lists.
    pub name: String,
    /// For grouping and fair use.
    #[serde(default)]
    pub category: String,
    /// 0 to 100, more is sooner.
    #[serde(default = "JobSpec::default_priority")]
    pub priority: u8,
    /// Frames per dispatch, at least 1.
    #[serde(default = "JobSpec::default_chunk")]
    pub chunk: u32,
    /// A slave must have all of them.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The frames to render.
    pub frames: FrameList,
    /// The scene to render; the file's own active one when absent.
    #[serde(default)]
    pub scene: Option<String>,
    /// The engine's Blender id, for example `CYCLES`.
    pub engine: String,
    /// Blender's major and minor version: pixels differ between them.
    pub blender: [u16; 2],
    /// Width of every frame in pixels.
    pub width: u32,
    /// Height of every frame in pixels.
    pub height: u32,
    /// Whether one frame may be shared out.
    #[serde(default)]
    pub split: Split,
    /// How it can be; None: only whole frames give the right picture.
    #[serde(default)]
    pub samples: Option<SampleSplit>,
    /// Whether slaves with different Blenders or devices may share one frame.
    #[serde(default)]
    pub mixed: bool,
    /// What was chosen of sharing and why, in words for people.
    #[serde(default)]
    pub split_note: String,
    /// Whether the scene needs its own Python (drivers, registered texts). Whether it gets to run is the farm's setting.
    #[serde(default)]
    pub scripts: bool,
    /// The blob that holds the [`crate::manifest::Manifest`] as JSON.
    pub manifest: Digest,
    /// Random, made by the client: a submission that is repeated because its answer was lost is one job. Empty: none.
    #[serde(default)]
    pub key: String,
}

impl JobSpec {
    const fn default_priority() -> u8 {
        50
    }

    const fn default_chunk() -> u32 {
        1
    }

    /// Lines of the film that a slave renders of a frame, or of a share of it.
    pub fn film_lines(&self, share: Option<Share>) -> u32 {
        match (&self.samples, share) {
            (Some(split), Some(share)) => split.lines(share, self.height).len() as u32,
            _ => self.height,
        }
    }

    /// What its shared frames are cut into.
    pub fn unit(&self) -> Unit {
        self.samples.as_ref().map(|split| split.unit).unwrap_or_default()
    }

    /// How many of a frame's samples a share has; 0 of a tile, which has all of them in some lines.
    pub fn sampled(&self, share: Share) -> u32 {
        match self.unit() {
            Unit::Samples => share.samples,
            Unit::Lines => 0,
        }
    }

    /// Samples of a frame that can be shared out; 0 when it can't.
    pub fn frame_samples(&self) -> u32 {
        self.samples.as_ref().map_or(0, |split| split.samples)
    }

    /// Whether a Blender of this version draws the pixels the artist's own would.
    pub fn fits_blender(&self, version: Version) -> bool {
        self.blender == [version.0[0], version.0[1]]
    }
}

/// How many tasks stand where. Kept beside the tasks so that a list of jobs costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the queue.
    pub waiting: u32,
    /// On slaves.
    pub leased: u32,
    /// Handed in.
    pub done: u32,
    /// Given up.
    pub failed: u32,
}

impl Counts {
    /// All tasks of the job.
    pub fn total(&self) -> u32 {
        self.waiting + self.leased + self.done + self.failed
    }

    pub(crate) fn slot(&mut self, state: &TaskState) -> &mut u32 {
        match state {
            TaskState::Waiting => &mut self.waiting,
            TaskState::Leased { .. } | TaskState::Sharing(_) => &mut self.leased,
            TaskState::Done(_) => &mut self.done,
            TaskState::Failed => &mut self.failed,
        }
    }
}

/// A job on the farm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What was asked for.
    pub spec: JobSpec,
    /// When it was accepted.
    pub created: Timestamp,
    /// Where it stands.
    pub state: JobState,
    /// Its frames.
    pub tasks: BTreeMap<Frame, Task>,
    /// The frames in the queue, so that a lease needs no search.
    pub waiting: BTreeSet<Frame>,
    /// How many tasks stand where.
    pub counts: Counts,
    /// What Blender took for all tasks that are done, in milliseconds.
    #[serde(default)]
    pub spent_ms: u64,
    /// Slaves that must not touch it.
    pub blacklist: BTreeSet<SlaveId>,
    /// Failures of each slave since it last did a frame of this job.
    pub failing: BTreeMap<SlaveId, u32>,
    /// Shared frames with samples that nobody has.
    pub open_shares: BTreeSet<Frame>,
    /// Frames in the queue that are merged and only lack their finish.
    pub finishing: BTreeSet<Frame>,
    /// How fast slaves are with shares of it.
    pub speeds: Speeds,
    /// The longest that a slave fetched and loaded it before its first share, in milliseconds.
    pub warm_up_ms: u32,
    /// How often it was edited.
    pub edits: Edits<Setting>,
}

/// A job without its tasks, as a snapshot keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobHead {
    /// Its number.
    pub id: JobId,
    /// What was asked for.
    pub spec: JobSpec,
    /// When it was accepted.
    pub created: Timestamp,
    /// Where it stands.
    pub state: JobState,
    /// Slaves that must not touch it.
    pub blacklist: BTreeSet<SlaveId>,
    /// Failures of each slave since it last did a frame of this job.
    pub failing: BTreeMap<SlaveId, u32>,
    /// How fast slaves are with shares of it.
    #[serde(default)]
    pub speeds: Speeds,
    /// The longest that a slave fetched and loaded it before its first share, in milliseconds.
    #[serde(default)]
    pub warm_up_ms: u32,
    /// How often it was edited.
    #[serde(default)]
    pub edits: Edits<Setting>,
}

impl Job {
    /// The job as accepted: every frame waits.
    pub fn new(id: JobId, spec: JobSpec, created: Timestamp) -> Self {
        let waiting = spec.frames.frames();
        let tasks = waiting.iter().map(|frame| (*frame, Task::waiting())).collect();
        let counts = Counts { waiting: waiting.len() as u32, ..Counts::default() };
        let state = JobState::Active;
        Self {
            id,
            spec,
            created,
            state,
            tasks,
            waiting,
            counts,
            spent_ms: 0,
            blacklist: BTreeSet::new(),
            failing: BTreeMap::new(),
            open_shares: BTreeSet::new(),
            finishing: BTreeSet::new(),
            speeds: Speeds::new(),
            warm_up_ms: 0,
            edits: Edits::default(),
        }
    }

    /// What people are shown.
    pub fn status(&self) -> &'static str {
        match self.state {
            JobState::Active if self.counts.leased + self.counts.done + self.counts.failed == 0 => "Queued",
            JobState::Active => "Rendering",
            JobState::Paused => "Paused",
            JobState::Finished => "Finished",
            JobState::Failed => "Failed",
            JobState::Canceled => "Canceled",
            JobState::Deleted => "Deleted",
        }
    }

    /// Nobody has touched it yet.
    pub fn is_new(&self) -> bool {
        self.counts.leased + self.counts.done == 0
    }

    /// How long the rest takes `slaves` slaves, from the mean of what is done; None when nobody can say.
    pub fn seconds_left(&self, slaves: usize) -> Option<f64> {
        let open = self.counts.waiting + self.counts.leased;
        if self.state != JobState::Active || self.counts.done == 0 || open == 0 || slaves == 0 {
            return None;
        }
        let mean = self.spent_ms as f64 / 1000.0 / f64::from(self.counts.done);
        Some(mean * f64::from(open) / slaves.min(open as usize) as f64)
    }

    /// Everything about it but its tasks.
    pub fn head(&self) -> JobHead {
        JobHead {
            id: self.id,
            spec: self.spec.clone(),
            created: self.created,
            state: self.state,
            blacklist: self.blacklist.clone(),
            failing: self.failing.clone(),
            speeds: self.speeds.clone(),
            warm_up_ms: self.warm_up_ms,
            edits: self.edits.clone(),
        }
    }

    /// Changes a shared frame; false when it is none. A frame with neither leases nor parts waits again as a whole.
    pub(crate) fn change_sharing(&mut self, frame: Frame, change: impl FnOnce(&mut Sharing)) -> bool {
        let Some(task) = self.tasks.get_mut(&frame) else { return false };
        let TaskState::Sharing(sharing) = &task.state else { return false };
        let mut sharing = sharing.clone();
        change(&mut sharing);
        // With nothing to hand over it can't be stopped.
        sharing.is_stopped &= !(sharing.parts.is_empty() && sharing.merged.is_empty());
        self.set_task(frame, if sharing.is_untouched() { TaskState::Waiting } else { TaskState::Sharing(sharing) });
        true
    }

    /// Whether a frame waits for samples of which nobody has any.
    pub(crate) fn is_untouched(&self, frame: Frame) -> bool {
        self.tasks.get(&frame).is_some_and(|task| task.state == TaskState::Waiting && !task.lacks_finish())
    }

    /// Puts free samples of a frame into a lease.
    pub(crate) fn lease_share(&mut self, frame: Frame, lease: LeaseId, share: Share) {
        let lease_it = |sharing: &mut Sharing| {
            if sharing.take(share) {
                sharing.leased.insert(lease, share);
            }
        };
        self.begin_sharing(frame);
        self.change_sharing(frame, lease_it);
    }

    /// A frame that waits is one that slaves render together; whoever calls this adds a lease or a part, or stops it.
    pub(crate) fn begin_sharing(&mut self, frame: Frame) {
        if self.is_untouched(frame)
            && let Some(sharing) = self.tasks.get(&frame).map(|task| task.sharing(&self.spec))
        {
            self.set_task(frame, TaskState::Sharing(Box::new(sharing)));
        }
    }

    /// Moves one task, keeping counts, queue and the job's own state true. The only way a task changes.
    pub(crate) fn set_task(&mut self, frame: Frame, state: TaskState) {
        let Some(task) = self.tasks.get_mut(&frame) else { return };
        *self.counts.slot(&task.state) -= 1;
        *self.counts.slot(&state) += 1;
        self.spent_ms = self.spent_ms - task.state.spent_ms() + state.spent_ms();
        match state {
            TaskState::Waiting => self.waiting.insert(frame),
            _ => self.waiting.remove(&frame),
        };
        match state {
            TaskState::Waiting if task.merged.is_some() && !task.is_growing => self.finishing.insert(frame),
            _ => self.finishing.remove(&frame),
        };
        match &state {
            TaskState::Sharing(sharing) if sharing.is_open() => self.open_shares.insert(frame),
            _ => self.open_shares.remove(&frame),
        };
        task.state = state;
        let settled = self.counts.done + self.counts.failed == self.counts.total();
        self.state = match self.state {
            JobState::Canceled | JobState::Deleted => self.state,
            _ if settled && self.counts.failed == 0 => JobState::Finished,
            _ if settled => JobState::Failed,
            JobState::Paused => JobState::Paused,
            _ => JobState::Active,
        };
    }
}
