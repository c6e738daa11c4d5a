//! What is said of one frame, of a job's files and of a slave, to whoever looks closer.

use super::{SlaveView, TaskView};
use crate::{
    chronicle::Span,
    ids::{SlaveId, Timestamp},
    job::JobState,
    rules::Rules,
    settings::{SlaveSetting, SlaveSettings},
    task::TaskError,
};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/jobs/{job}/frames/{frame}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FrameDetail {
    /// What the job is at: a frame of one that was canceled will not come.
    pub job_state: JobState,
    /// As in the job's list.
    pub task: TaskView,
    /// Oldest first; the last may be on its way. Of a frame that slaves render together see `shares` for who is at it.
    pub attempts: Vec<AttemptView>,
    /// Of a frame that slaves render together: which samples are where, in order of samples.
    pub shares: Vec<ShareView>,
}

/// One try at a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttemptView {
    /// Who.
    pub slave: SlaveId,
    /// As its owner calls it.
    pub slave_name: String,
    /// When it ended, or began if it is on its way; None when that is not known any more.
    pub at_ms: Option<Timestamp>,
    /// Blender's time for it, when it came to something.
    pub seconds: Option<f64>,
    /// Whether it came to something; None while it is on its way.
    pub ok: Option<bool>,
    /// Why it did not.
    pub error: Option<TaskError>,
    /// Whether what Blender printed can be had.
    pub has_log: bool,
}

/// Some samples of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ShareView {
    /// Who has them or rendered them; None of samples that are free or in the film of an earlier merge.
    pub slave: Option<SlaveId>,
    /// The first.
    pub offset: u32,
    /// How many.
    pub samples: u32,
    /// Where they are.
    pub state: ShareState,
    /// Blender's time for them, when they are handed in.
    pub seconds: Option<f64>,
}

/// Where samples of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShareState {
    /// In nobody's hands.
    Free,
    /// On a slave.
    Leased,
    /// Handed in.
    Done,
    /// In a film with others.
    Merged,
}

/// A part of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SpanView {
    /// Who was at what, and when.
    #[serde(flatten)]
    pub span: Span,
    /// Whether its end is not the end, but now.
    #[serde(default)]
    pub on_its_way: bool,
}

/// A pass of a frame's film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PassView {
    /// The view layer; empty for plain images.
    pub layer: String,
    /// Such as `Combined`.
    pub pass: String,
    /// Which eye or camera, in films of several views.
    pub view: Option<String>,
    /// Such as `R`, `G`, `B`, `A`.
    pub channels: Vec<String>,
}

/// `GET /api/v1/jobs/{job}/files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FilesView {
    /// Some of them: as many as asked for, from where asked for.
    pub files: Vec<FileView>,
    /// How many there are.
    pub total: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// How many of them are not whole on the master.
    pub missing: usize,
}

/// A file that a job needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileView {
    /// Where it is on the artist's machine.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// `scene`, `library`, `image`, `movie`, `sound`, `font`, `volume`, `geometry`, `cache`, `script` or `other`.
    pub kind: String,
    /// How many of its pieces are not on the master.
    pub missing_pieces: usize,
}

/// `GET /api/v1/slaves/{slave}/settings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SettingsView {
    /// The number of the last edit, for `If-Match`.
    pub edits: u32,
    /// What people set; null: the slave's own.
    pub set: SlaveSettings,
    /// What the slave was started with.
    pub own: SlaveSettings,
    /// What it says that it goes by; None while it is not there.
    pub in_use: Option<SlaveSettings>,
    /// What is not in use yet as it shall be.
    pub pending: Vec<SlaveSetting>,
}

/// `GET /api/v1/slaves/{slave}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveDetail {
    /// As in lists.
    #[serde(flatten)]
    pub slave: SlaveView,
    /// What it is set to.
    pub settings: SettingsView,
    /// How much the files it keeps for jobs weigh; None while it is not there.
    pub cache_bytes: Option<u64>,
    /// The end of what Blender printed for the frame that it renders; empty when it renders none.
    pub log: String,
}

/// `GET /api/v1/balance`: who gets the next slave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BalanceView {
    /// The number of the last change, for `If-Match`.
    pub edits: u32,
    /// What holds.
    pub rules: Rules,
    /// What holds unless somebody changes it.
    pub usual: Rules,
    /// What holds, in sentences.
    pub words: Vec<String>,
}
