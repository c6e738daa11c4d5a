//! Details of one frame, of a job's files, of a slave and of the scheduling policy.

use crate::{
    durable::chronicle::Activity,
    model::{
        ids::{SlaveId, Timestamp},
        job::JobState,
        policy::Policy,
        result::TaskError,
        slave_settings::{SlaveSetting, SlaveSettings},
        verdict::Finding,
    },
    wire::{jobs::TaskView, slaves::SlaveView},
};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/jobs/{job}/frames/{frame}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FrameDetail {
    /// State of the job: a frame of a canceled one will not come.
    pub job_state: JobState,
    /// The frame as the job's list shows it.
    pub task: TaskView,
    /// Attempts, oldest first; the last may be under way. Those at a shared frame are in `shares`.
    pub attempts: Vec<AttemptView>,
    /// The units of a shared frame and where they are, in order of units.
    pub shares: Vec<ShareView>,
    /// Findings of the job by which the frame may differ from the one that the artist's own Blender
    /// renders.
    #[serde(default)]
    pub warnings: Vec<Finding>,
}

/// An attempt at a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttemptView {
    /// The slave that tries or tried.
    pub slave: SlaveId,
    /// Name of that slave.
    pub slave_name: String,
    /// Time at which it ended, or began if it is under way; absent if that is not known any more.
    pub at_ms: Option<Timestamp>,
    /// Blender's time for the frame, in seconds, if the attempt succeeded.
    pub seconds: Option<f64>,
    /// True if it succeeded, false if it failed, absent while it is under way.
    pub ok: Option<bool>,
    /// Cause of the failure.
    pub error: Option<TaskError>,
    /// True if Blender's output is on the master.
    pub has_log: bool,
}

/// Successive units of a shared frame that are in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ShareView {
    /// The slave that has or rendered them; absent for units that are free or merged.
    pub slave: Option<SlaveId>,
    /// The first unit.
    #[serde(rename = "offset")]
    pub start: u32,
    /// Number of units.
    #[serde(rename = "samples")]
    pub count: u32,
    /// Place of the units.
    pub state: ShareState,
    /// Blender's time for them, in seconds, once they are handed in.
    pub seconds: Option<f64>,
}

/// Place of a shared frame's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShareState {
    /// Not begun.
    Free,
    /// Leased to a slave.
    Leased,
    /// In a part that was handed in.
    Done,
    /// In a film that was merged before.
    Merged,
}

/// A bar of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ActivityView {
    /// The slave's work, with its time.
    #[serde(flatten)]
    pub activity: Activity,
    /// True if the work is under way: its end is the present time.
    #[serde(default)]
    pub on_its_way: bool,
}

/// A pass of a frame's film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PassView {
    /// Name of the view layer; empty for plain images.
    pub layer: String,
    /// Name of the pass, such as `Combined`.
    pub pass: String,
    /// Name of the view (eye or camera) in films that have several.
    pub view: Option<String>,
    /// Names of the channels, such as `R`, `G`, `B`, `A`.
    pub channels: Vec<String>,
}

/// `GET /api/v1/jobs/{job}/files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FilesView {
    /// The files on the requested page.
    pub files: Vec<FileView>,
    /// Number of all files.
    pub total: usize,
    /// Size of all files, in bytes.
    pub bytes: u64,
    /// Number of files that are not complete on the master.
    pub missing: usize,
}

/// A file that a job needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileView {
    /// Path on the artist's machine.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// `scene`, `library`, `image`, `movie`, `sound`, `font`, `volume`, `geometry`, `cache`,
    /// `script` or `other`.
    pub kind: String,
    /// Number of its pieces that are not on the master.
    pub missing_pieces: usize,
}

/// `GET /api/v1/slaves/{slave}/settings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SettingsView {
    /// Revision of the remote settings, for `If-Match`.
    pub edits: u32,
    /// Remote settings; null where the slave's own value holds.
    pub set: SlaveSettings,
    /// Start-up options.
    pub own: SlaveSettings,
    /// Settings in use, as the slave reports them; absent while it is not there.
    pub in_use: Option<SlaveSettings>,
    /// Settings whose effective value is not in use yet.
    pub pending: Vec<SlaveSetting>,
}

/// `GET /api/v1/slaves/{slave}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveDetail {
    /// The slave as lists show it.
    #[serde(flatten)]
    pub slave: SlaveView,
    /// The slave's settings.
    pub settings: SettingsView,
    /// Size of the files that it keeps for jobs; absent while it is not there.
    pub cache_bytes: Option<u64>,
    /// End of Blender's output for the frame that it renders; empty if it renders none.
    pub log: String,
}

/// `GET /api/v1/balance`: the scheduling policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BalanceView {
    /// Revision of the policy, for `If-Match`.
    pub edits: u32,
    /// The policy.
    #[serde(rename = "rules")]
    pub policy: Policy,
    /// The default policy.
    pub usual: Policy,
    /// The policy in sentences.
    pub words: Vec<String>,
}
