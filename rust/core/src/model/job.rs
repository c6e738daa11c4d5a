//! A job: a submission and how far it is.

use crate::model::{
    cut::Span,
    edits::Edits,
    frames::FrameList,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    job_settings::{JobEdit, Setting},
    result::{Baked, Failure},
    sharing::{Growth, Sharing, Speeds},
    spec::{JobSpec, Simulations},
    task::{Remaining, Task, TaskState},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// State of a job, for programs; [`Job::status`] is for people.
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
    /// Its frames may be leased.
    Active,
    /// No more frames are leased; those that are being rendered go on.
    Paused,
    /// All frames are done.
    Finished,
    /// No frame is left to try, and at least one failed.
    Failed,
    /// It was stopped for good; what is done stays.
    Canceled,
    /// Its files are being deleted. For everything but this clean-up the job does not exist.
    Deleted,
}

/// Number of frames in each state, kept beside the frames so that a list of jobs costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames in the queue.
    pub waiting: u32,
    /// Frames that slaves have, as a whole or in parts.
    pub leased: u32,
    /// Frames that are handed in.
    pub done: u32,
    /// Frames that were given up.
    pub failed: u32,
}

impl Counts {
    /// Number of all frames.
    pub fn total(&self) -> u32 {
        self.waiting + self.leased + self.done + self.failed
    }

    /// The counter for frames in this state.
    pub(crate) fn slot(&mut self, state: &TaskState) -> &mut u32 {
        match state {
            TaskState::Waiting(_) => &mut self.waiting,
            TaskState::Leased { .. } | TaskState::Sharing(_) | TaskState::Finishing { .. } => &mut self.leased,
            TaskState::Done { .. } => &mut self.done,
            TaskState::Failed(_) => &mut self.failed,
        }
    }
}

/// A job on the farm.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Number of the job.
    pub id: JobId,
    /// The submission.
    pub spec: JobSpec,
    /// Time at which the job was accepted.
    pub created: Timestamp,
    /// State of the job as a whole.
    pub state: JobState,
    /// The frames.
    pub tasks: BTreeMap<Frame, Task>,
    /// Index of the frames in the queue, so that a lease needs no search.
    pub waiting: BTreeSet<Frame>,
    /// Index of the shared frames with free units.
    pub open_shares: BTreeSet<Frame>,
    /// Index of the frames in the queue that lack only their finish.
    pub finishing: BTreeSet<Frame>,
    /// Number of frames in each state.
    pub counts: Counts,
    /// Blender's time for all frames that are done, in milliseconds.
    pub spent_ms: u64,
    /// Slaves that get no more of the job.
    pub blacklist: BTreeSet<SlaveId>,
    /// Failures of each slave since it last did a frame of this job.
    pub failing: BTreeMap<SlaveId, u32>,
    /// Speeds of slaves with shares of the job's frames.
    pub speeds: Speeds,
    /// Longest time in which a slave fetched and loaded the scene before its first share, in
    /// milliseconds.
    pub warm_up_ms: u32,
    /// Revision of the settings.
    pub edits: Edits<Setting>,
    /// The .blend with the simulations baked, once a slave has made it.
    pub baked: Option<Box<Baked>>,
    /// Failed attempts at baking since the last success or requeue.
    pub bake_failures: Vec<Failure>,
}

/// A job without its frames, as a snapshot stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the fields of Job")]
pub struct JobHead {
    pub id: JobId,
    pub spec: JobSpec,
    pub created: Timestamp,
    pub state: JobState,
    pub blacklist: BTreeSet<SlaveId>,
    pub failing: BTreeMap<SlaveId, u32>,
    #[serde(default)]
    pub speeds: Speeds,
    #[serde(default)]
    pub warm_up_ms: u32,
    #[serde(default)]
    pub edits: Edits<Setting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baked: Option<Box<Baked>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bake_failures: Vec<Failure>,
}

impl Job {
    /// A job that was just accepted: every frame waits.
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
            baked: None,
            bake_failures: Vec::new(),
        }
    }

    /// State of the job as people are shown it.
    pub fn status(&self) -> &'static str {
        match self.state {
            JobState::Active if self.counts.leased + self.counts.done + self.counts.failed == 0 => "Queued",
            JobState::Active if self.needs_bake() => "Baking",
            JobState::Active => "Rendering",
            JobState::Paused => "Paused",
            JobState::Finished => "Finished",
            JobState::Failed => "Failed",
            JobState::Canceled => "Canceled",
            JobState::Deleted => "Deleted",
        }
    }

    /// True if the simulations must be baked before frames are leased.
    pub fn needs_bake(&self) -> bool {
        self.spec.simulations == Simulations::Bake && self.baked.is_none()
    }

    /// True if nothing of the job was begun.
    pub fn is_new(&self) -> bool {
        self.counts.leased + self.counts.done == 0
    }

    /// Seconds that `slaves` slaves need for the rest, from the mean of the frames that are done.
    /// `None` if that can't be said.
    pub fn seconds_left(&self, slaves: usize) -> Option<f64> {
        let open = self.counts.waiting + self.counts.leased;
        if self.state != JobState::Active || self.counts.done == 0 || open == 0 || slaves == 0 {
            return None;
        }
        let mean = self.spent_ms as f64 / 1000.0 / f64::from(self.counts.done);
        Some(mean * f64::from(open) / slaves.min(open as usize) as f64)
    }

    /// The job without its frames.
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
            baked: self.baked.clone(),
            bake_failures: self.bake_failures.clone(),
        }
    }

    /// Changes a shared frame. One that has neither leases nor parts afterwards waits again.
    pub(crate) fn change_sharing(&mut self, frame: Frame, change: impl FnOnce(&mut Sharing)) {
        let Some(TaskState::Sharing(sharing)) = self.tasks.get(&frame).map(|task| &task.state) else { return };
        let mut sharing = sharing.clone();
        change(&mut sharing);
        // A frame without any part can't be stopped: there is nothing to merge.
        sharing.is_stopped &= !(sharing.parts.is_empty() && sharing.merged().is_empty());
        let is_untouched = sharing.is_untouched();
        let sharing = TaskState::Sharing(sharing);
        self.set_task(frame, if is_untouched { TaskState::Waiting(sharing.remaining()) } else { sharing });
    }

    /// Gives the whole frame to a lease, to render or to finish it.
    pub(crate) fn lease_whole(&mut self, frame: Frame, lease: LeaseId) {
        match self.tasks.get(&frame).map(|task| &task.state) {
            Some(TaskState::Waiting(Remaining::Everything)) => self.set_task(frame, TaskState::Leased { lease }),
            Some(TaskState::Waiting(Remaining::Finish(unfinished))) => {
                let unfinished = unfinished.clone();
                self.set_task(frame, TaskState::Finishing { lease, unfinished });
            }
            _ => {}
        }
    }

    /// Puts a frame back into the queue for what remains to be done of it.
    pub(crate) fn put_back(&mut self, frame: Frame) {
        if let Some(remaining) = self.tasks.get(&frame).map(|task| task.state.remaining()) {
            self.set_task(frame, TaskState::Waiting(remaining));
        }
    }

    /// Gives free units of a frame to a lease.
    pub(crate) fn lease_share(&mut self, frame: Frame, lease: LeaseId, share: Span) {
        self.begin_sharing(frame);
        self.change_sharing(frame, |sharing| sharing.lease(lease, share));
    }

    /// Makes a waiting frame a shared one. The caller must add a lease or a part, or stop the
    /// frame.
    pub(crate) fn begin_sharing(&mut self, frame: Frame) {
        let waiting = self.tasks.get(&frame).filter(|task| task.state.is_waiting());
        if let Some(sharing) = waiting.and_then(|task| task.sharing(&self.spec)) {
            self.set_task(frame, TaskState::Sharing(Box::new(sharing)));
        }
    }

    /// Changes the state of a frame, and with it counts, indexes and the job's own state.
    ///
    /// **Invariant:** nothing else changes the state of a frame.
    pub(crate) fn set_task(&mut self, frame: Frame, state: TaskState) {
        let Some(task) = self.tasks.get_mut(&frame) else { return };
        *self.counts.slot(&task.state) -= 1;
        *self.counts.slot(&state) += 1;
        self.spent_ms = self.spent_ms - task.state.spent_ms() + state.spent_ms();
        match state {
            TaskState::Waiting(_) => self.waiting.insert(frame),
            _ => self.waiting.remove(&frame),
        };
        match state {
            TaskState::Waiting(Remaining::Finish(_)) => self.finishing.insert(frame),
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

    /// Tries the failed frames again, with all their attempts.
    pub(crate) fn requeue(&mut self) {
        self.state = JobState::Active;
        self.bake_failures.clear();
        let is_failed = |task: &Task| matches!(task.state, TaskState::Failed(_));
        let failed: Vec<_> = self.tasks.iter().filter(|(_, task)| is_failed(task)).map(|(frame, _)| *frame).collect();
        for frame in failed {
            if let Some(task) = self.tasks.get_mut(&frame) {
                task.strikes = 0;
            }
            self.put_back(frame);
        }
    }

    /// Counts a failed attempt at baking. Without `retry` the frames that no slave has fail with
    /// it.
    pub(crate) fn bake_failed(&mut self, failure: &Failure, retry: bool) {
        self.bake_failures.push(failure.clone());
        *self.failing.entry(failure.slave).or_default() += 1;
        if retry {
            return;
        }
        for frame in self.idle_frames() {
            let Some(remaining) = self.tasks.get(&frame).map(|task| task.state.remaining()) else { continue };
            self.set_task(frame, TaskState::Failed(remaining));
        }
    }

    /// The failure to show for a frame: its own last one, or that of the bake, without which it
    /// failed.
    pub fn last_failure<'a>(&'a self, task: &'a Task) -> Option<&'a Failure> {
        let of_bake = || self.bake_failures.last().filter(|_| matches!(task.state, TaskState::Failed(_)));
        of_bake().or_else(|| task.failures.last())
    }

    /// The frames that are neither done nor failed and that no slave has.
    pub(crate) fn idle_frames(&self) -> Vec<Frame> {
        let is_idle = |task: &Task| match &task.state {
            TaskState::Waiting(_) => true,
            TaskState::Sharing(sharing) => sharing.leased.is_empty() && sharing.is_open(),
            _ => false,
        };
        self.tasks.iter().filter(|(_, task)| is_idle(task)).map(|(frame, _)| *frame).collect()
    }

    /// Puts a slave on the blacklist or takes it off. Its failures are forgotten either way.
    pub(crate) fn set_blacklisted(&mut self, slave: SlaveId, listed: bool) {
        self.failing.remove(&slave);
        if listed {
            self.blacklist.insert(slave);
        } else {
            self.blacklist.remove(&slave);
        }
    }

    /// Sends a frame that is done back into the queue for more samples, up to `goal` in all.
    pub(crate) fn grow(&mut self, frame: Frame, goal: u32) {
        if let Some(TaskState::Done { merged: Some(merged), .. }) = self.tasks.get(&frame).map(|task| &task.state) {
            let growth = Growth { goal, merged: Some(merged.clone()) };
            self.set_task(frame, TaskState::Waiting(Remaining::Samples(growth)));
        }
    }

    /// Applies an edit of the settings.
    pub(crate) fn edit(&mut self, edit: &JobEdit) {
        self.edits.note(edit.settings());
        edit.apply_to(&mut self.spec);
    }

    /// Renders frames again that are done or have failed; others are on their way already.
    pub(crate) fn render_again(&mut self, frames: &FrameList) {
        self.bake_failures.clear();
        for frame in self.ended(frames) {
            if let Some(task) = self.tasks.get_mut(&frame) {
                task.strikes = 0;
            }
            self.set_task(frame, TaskState::Waiting(Remaining::Everything));
        }
    }

    /// Those of the frames that are done or have failed.
    pub(crate) fn ended(&self, frames: &FrameList) -> Vec<Frame> {
        let ended = |frame: &Frame| self.tasks.get(frame).is_some_and(|task| task.state.has_ended());
        frames.frames().into_iter().filter(ended).collect()
    }
}
