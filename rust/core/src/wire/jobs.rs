//! Jobs and their frames, as clients send them and lists show them.

use crate::model::{
    cut::Unit,
    digest::Digest,
    frames::FrameList,
    ids::{Frame, JobId, SlaveId, Timestamp},
    job::JobState,
    result::TaskError,
    spec::{JobSpec, Split},
    verdict::Finding,
};
use crate::wire::words::TaskStatus;
use serde::{Deserialize, Serialize};

/// Answer to a submission once the job is durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SubmitReply {
    /// Number of the job.
    pub job: JobId,
}

/// Answer to `PATCH /api/v1/jobs/{id}` and to other edits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EditReply {
    /// Revision after the edit.
    pub edits: u32,
}

/// `POST /api/v1/jobs/{id}/frames/requeue`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RequeueRequest {
    /// Frames to render again, as far as they are done or have failed.
    pub frames: FrameList,
}

/// `POST /api/v1/jobs/{id}/stop`: complete shared frames with the parts they have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StopRequest {
    /// The frames. Absent: all that have parts, and the job pauses if it has other open frames.
    #[serde(default)]
    pub frames: Option<FrameList>,
}

/// `POST /api/v1/jobs/{id}/more`: add samples to done frames that were shared.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MoreRequest {
    /// Number of samples to add; a frame that was stopped gets at least those it lacks.
    pub samples: u32,
    /// The frames. Absent: all that can have more.
    #[serde(default)]
    pub frames: Option<FrameList>,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobView {
    /// Number of the job.
    pub id: JobId,
    /// Name that the artist gave it.
    pub name: String,
    /// Category for grouping.
    pub category: String,
    /// Priority, 0 to 100.
    pub priority: u8,
    /// State for programs.
    pub state: JobState,
    /// State for people.
    pub status: String,
    /// Frames in the artist's notation.
    pub frames: String,
    /// Number of all frames.
    pub total: u32,
    /// Number of frames that are handed in.
    pub done: u32,
    /// Number of frames that were given up.
    pub failed: u32,
    /// Number of frames that slaves have now.
    pub rendering: u32,
    /// Reason why nothing of the job is being rendered; empty if that needs no words.
    pub why: String,
    /// Seconds that the rest takes, from the mean of the frames that are done and the slaves that
    /// render the job; absent if that can't be said.
    #[serde(default)]
    pub left_s: Option<f64>,
    /// Time at which the job was accepted.
    pub created_ms: Timestamp,
    /// Revision of the settings, for `If-Match`.
    #[serde(default)]
    pub edits: u32,
    /// True if the scene needs its own Python.
    #[serde(default)]
    pub scripts: bool,
}

/// A job with its frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobDetail {
    /// The job as lists show it.
    #[serde(flatten)]
    pub job: JobView,
    /// The submission, with later changes of settings.
    pub spec: JobSpec,
    /// Slaves that get no more of the job.
    #[serde(default)]
    pub blacklist: Vec<SlaveId>,
    /// Latest speeds of slaves with shares of the job's frames.
    #[serde(default)]
    pub speeds: Vec<SpeedView>,
    /// The frames in order.
    pub tasks: Vec<TaskView>,
}

/// `GET /api/v1/jobs/{job}/progress`: how far a job is, for somebody who waits for it. Short however
/// many frames it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// State for programs.
    pub state: JobState,
    /// State for people.
    pub status: String,
    /// Reason why nothing of the job is being rendered; empty if that needs no words.
    pub why: String,
    /// Number of all frames.
    pub total: u32,
    /// Number of frames that are handed in.
    pub done: u32,
    /// Number of frames that were given up.
    pub failed: u32,
    /// Number of frames that slaves have now.
    pub rendering: u32,
    /// The first frames that slaves share or that wait to be finished, without their errors.
    pub sharing: Vec<TaskView>,
    /// Latest speeds of the slaves that share these frames.
    pub speeds: Vec<SpeedView>,
    /// The frames that are done, if they were asked for and there are any.
    #[serde(default)]
    pub done_frames: Option<FrameList>,
}

/// `GET /api/v1/jobs/{job}/summary`: what a job's row in the list does not have. Short however many
/// frames it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobSummary {
    /// Number of the job.
    pub id: JobId,
    /// Slaves that must not render the job.
    pub blacklist: Vec<SlaveId>,
    /// The first frames with errors, given up ones before others.
    pub errors: Vec<FrameError>,
    /// Cut of frames that was asked for.
    pub split: Split,
    /// Cut of frames that was chosen, and why.
    pub split_note: String,
    /// Units (see `unit`) of a frame that can be shared; 0 if frames are rendered whole.
    #[serde(rename = "samples")]
    pub units: u32,
    /// Unit that frames are cut by: samples or lines.
    pub unit: Unit,
    /// The first frames that slaves render together now.
    pub sharing: Vec<SharedFrame>,
    /// Latest speeds of slaves.
    pub speeds: Vec<SpeedView>,
    /// Findings by which frames may differ from those that the artist's own Blender renders.
    #[serde(default)]
    pub warnings: Vec<Finding>,
}

/// Latest error of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FrameError {
    /// Number of the frame.
    pub frame: Frame,
    /// Slave that reported the error.
    pub slave: Option<SlaveId>,
    /// Message of the error.
    pub message: String,
}

/// A frame that several slaves render.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SharedFrame {
    /// Number of the frame.
    pub frame: Frame,
    /// Units handed in, and all units of the frame.
    #[serde(rename = "samples")]
    pub units: [u32; 2],
    /// Slaves that render it.
    pub slaves: Vec<SlaveId>,
    /// Part of their time that the slaves rendered, 0 to 1.
    pub efficiency: Option<f64>,
}

impl JobSummary {
    /// Number of frames and of errors that are listed.
    pub const LISTED: usize = 8;

    /// The summary of a job.
    pub fn of(detail: JobDetail) -> Self {
        // Frames that are tried again may still succeed.
        let failed = detail.tasks.iter().filter(|task| task.state == TaskStatus::Failed);
        let tried = detail.tasks.iter().filter(|task| task.state != TaskStatus::Failed);
        let errors = failed.chain(tried).filter_map(|task| {
            let message = task.error.as_ref()?.message.clone();
            Some(FrameError { frame: task.frame, slave: task.slave, message })
        });
        let sharing = detail.tasks.iter().filter(|task| task.state == TaskStatus::Sharing).filter_map(|task| {
            Some(SharedFrame {
                frame: task.frame,
                units: task.units?,
                slaves: task.slaves.clone(),
                efficiency: task.efficiency,
            })
        });
        Self {
            id: detail.job.id,
            errors: errors.take(Self::LISTED).collect(),
            sharing: sharing.take(Self::LISTED).collect(),
            split: detail.spec.split,
            units: detail.spec.frame_units(),
            unit: detail.spec.unit(),
            split_note: detail.spec.split_note,
            blacklist: detail.blacklist,
            speeds: detail.speeds,
            warnings: detail.spec.warnings,
        }
    }
}

/// Speed of a slave with shares of a job's frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SpeedView {
    /// The slave.
    pub slave: SlaveId,
    /// Units per second: samples of the whole picture, or lines.
    #[serde(rename = "samples_per_s")]
    pub units_per_s: f64,
    /// Thousands of pixels per second: single samples of pixels, or pixels of lines.
    #[serde(rename = "kilosamples_per_s")]
    pub kilopixels_per_s: f64,
}

/// A frame of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// Number of the frame.
    pub frame: Frame,
    /// State for programs.
    pub state: TaskStatus,
    /// The slave that has the frame, rendered it or failed it last.
    pub slave: Option<SlaveId>,
    /// Number of attempts so far, the one under way included.
    pub attempts: u32,
    /// Cause of the last failure.
    pub error: Option<TaskError>,
    /// Blender's time for the frame, in seconds, once it is done.
    pub seconds: Option<f64>,
    /// The film, once the frame is done.
    pub film: Option<Digest>,
    /// Size of the film.
    pub film_bytes: Option<u64>,
    /// True if there is a preview.
    pub preview: bool,
    /// Number of files that the scene's File Output nodes wrote.
    #[serde(default)]
    pub outputs: u32,
    /// Units that are there, and all, of a frame that is or was shared. A done frame with fewer
    /// than all was stopped.
    #[serde(default)]
    #[serde(rename = "samples")]
    pub units: Option<[u32; 2]>,
    /// Unit of `samples`.
    #[serde(default)]
    pub unit: Unit,
    /// True if only denoising and compositing remain.
    #[serde(default)]
    pub finishing: bool,
    /// The slaves that render parts of the frame.
    #[serde(default)]
    pub slaves: Vec<SlaveId>,
    /// Fraction of their time in which these slaves rendered, 0 to 1.
    #[serde(default)]
    pub efficiency: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::{JobDetail, JobSummary};
    use serde_json::json;

    fn task(frame: i32, state: &str, more: serde_json::Value) -> serde_json::Value {
        let mut task = json!({ "frame": frame, "state": state, "slave": 2, "attempts": 1, "error": null, "seconds": null,
            "film": null, "film_bytes": null, "preview": false });
        if let (Some(task), Some(more)) = (task.as_object_mut(), more.as_object()) {
            task.extend(more.clone());
        }
        task
    }

    #[test]
    fn what_is_given_up_comes_before_what_may_yet_come_out_well() {
        let why = |message: &str| json!({ "error": { "kind": "render_failed", "message": message } });
        let detail: JobDetail = serde_json::from_value(json!({
            "id": 3, "name": "a", "category": "", "priority": 50, "state": "active", "status": "Rendering", "frames": "1-4",
            "total": 4, "done": 1, "failed": 1, "rendering": 1, "why": "", "created_ms": 0, "blacklist": [7],
            "spec": { "name": "a", "frames": "1-4", "engine": "CYCLES", "blender": [3, 4], "width": 4, "height": 4,
                "split": "auto", "split_note": "by samples", "manifest": "0".repeat(64),
                "warnings": [{ "kind": "cache", "severity": "may_differ", "where": "Cube", "message": "m", "hint": "h" }] },
            "tasks": [
                task(1, "waiting", why("it may yet")),
                task(2, "failed", why("it won't")),
                task(3, "sharing", json!({ "samples": [16, 64], "slaves": [1, 2], "efficiency": 0.9 })),
                task(4, "done", json!({})),
            ],
        }))
        .expect("a job as the master tells it");
        let seen = serde_json::to_value(JobSummary::of(detail)).expect("JSON");
        assert_eq!(
            seen,
            json!({
                "id": 3, "blacklist": [7], "split": "auto", "split_note": "by samples", "samples": 0, "unit": "samples",
                "speeds": [],
                "warnings": [{ "kind": "cache", "severity": "may_differ", "where": "Cube", "message": "m", "hint": "h" }],
                "errors": [
                    { "frame": 2, "slave": 2, "message": "it won't" },
                    { "frame": 1, "slave": 2, "message": "it may yet" },
                ],
                "sharing": [{ "frame": 3, "samples": [16, 64], "slaves": [1, 2], "efficiency": 0.9 }],
            })
        );
    }
}
