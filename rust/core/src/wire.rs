//! What master, slaves and clients say to each other, as JSON over HTTP.

mod detail;

pub use detail::*;

use crate::{
    balance::Want,
    digest::Digest,
    frames::FrameList,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    job::{JobSpec, JobState},
    retry::RetryPolicy,
    settings::{SettingsUpdate, SlaveReport, SlaveSetting},
    share::{Share, Unit},
    slave::{SlaveInfo, SlaveState, Version},
    task::TaskError,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised when an older peer would misunderstand; peers of different numbers refuse each other by name.
pub const PROTOCOL: u32 = 6;

/// `GET /api/v1/info`: is this a master, and which?
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MasterInfo {
    /// Always `netrender`.
    pub service: String,
    /// [`PROTOCOL`] of the master.
    pub protocol: u32,
    /// The product's version.
    pub version: String,
    /// Random, made with the working folder: tells farms apart.
    pub farm: String,
    /// As people call it.
    pub name: String,
    /// Whether slaves run the Python that scenes bring along, for jobs that need it.
    #[serde(default)]
    pub scripts: bool,
    /// How often and where a failed frame is tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Room on the master's disk; None when the system does not tell.
    #[serde(default)]
    pub free_bytes: Option<u64>,
}

/// Which of these are not there yet?
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MissingRequest {
    /// Blobs the sender has.
    pub digests: Vec<Digest>,
}

/// These.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MissingReply {
    /// Blobs to send.
    pub missing: Vec<Digest>,
}

/// A job was accepted and is durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SubmitReply {
    /// Its number.
    pub job: JobId,
}

/// `PATCH /api/v1/jobs/{id}` and other edits are answered with this.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EditReply {
    /// The number of the last edit.
    pub edits: u32,
}

/// `POST /api/v1/jobs/{id}/frames/requeue`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RequeueRequest {
    /// Those that are done or failed are rendered again.
    pub frames: FrameList,
}

/// `POST /api/v1/slaves`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RegisterRequest {
    /// [`PROTOCOL`] of the slave.
    pub protocol: u32,
    /// Made by the slave, kept in its folder.
    pub key: String,
    /// As shown in lists.
    pub name: String,
    /// What it can do.
    pub info: SlaveInfo,
    /// Whether it was just started, and does not only come back.
    #[serde(default)]
    pub started: bool,
}

/// The slave is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RegisterReply {
    /// Its number.
    pub slave: SlaveId,
    /// The farm it belongs to now; leases of another farm mean nothing here.
    pub farm: String,
    /// How often a sign of life is expected.
    pub heartbeat_s: f64,
}

/// A lease in a slave's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeldLease {
    /// Its number.
    pub lease: LeaseId,
    /// Of which job.
    pub job: JobId,
    /// Frames not handed in yet.
    pub frames: Vec<Frame>,
    /// Only these samples of the only frame.
    #[serde(default)]
    pub share: Option<Share>,
}

/// `POST /api/v1/slaves/{id}/poll`: held open until there is something to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PollRequest {
    /// Everything in the slave's hands.
    pub held: Vec<HeldLease>,
    /// Whether it wants more.
    pub want: Want,
    /// Grows with each poll since the slave registered; 0 for none. A poll that was given up may arrive after the one
    /// that followed it, by another connection: what it says is old news.
    #[serde(default)]
    pub number: u64,
    /// The last edit of its settings that the slave knows; absent: it does not know of settings, and is not told.
    #[serde(default)]
    pub edits: Option<u32>,
}

/// What to drop, what to do. All empty: nothing for now, poll again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PollReply {
    /// No longer this slave's business.
    pub drop: Vec<HeldLease>,
    /// New work.
    pub grant: Option<Box<LeaseGrant>>,
    /// It shall end: somebody asked for it.
    #[serde(default)]
    pub stop: bool,
    /// What people set, when the slave does not know it yet. It holds for the new work already.
    #[serde(default)]
    pub settings: Option<Box<SettingsUpdate>>,
}

impl PollReply {
    /// Nothing to say yet.
    pub fn is_empty(&self) -> bool {
        self.drop.is_empty() && self.grant.is_none() && !self.stop && self.settings.is_none()
    }
}

/// A chunk for a slave, with all it must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeaseGrant {
    /// Its number.
    pub lease: LeaseId,
    /// Of which job.
    pub job: JobId,
    /// To be rendered in this order.
    pub frames: Vec<Frame>,
    /// Only these samples of the only frame.
    #[serde(default)]
    pub share: Option<Share>,
    /// Of which frames all samples are there: their films. What is left is to finish them.
    #[serde(default)]
    pub merged: BTreeMap<Frame, Digest>,
    /// How to render them.
    pub spec: JobSpec,
    /// Whether the scene's own Python may run: the job needs it and the farm allows it.
    #[serde(default)]
    pub scripts: bool,
}

/// `POST /api/v1/slaves/{id}/heartbeat`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Heartbeat {
    /// What it renders now.
    pub now: Option<Progress>,
    /// What Blender printed for it since the last time.
    #[serde(default)]
    pub log: Option<LogNews>,
    /// What it goes by.
    #[serde(default)]
    pub report: Option<SlaveReport>,
}

/// A part of what Blender prints for a frame while it renders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LogNews {
    /// Of which job.
    pub job: JobId,
    /// Which frame.
    pub frame: Frame,
    /// Counted from 0 for each rendering; 0 begins it anew.
    pub part: u64,
    /// The part.
    pub text: String,
}

/// How far a frame is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Progress {
    /// Of which job.
    pub job: JobId,
    /// Which frame.
    pub frame: Frame,
    /// In Blender's words, for example `Sample 12/64`.
    pub text: String,
}

/// `POST /api/v1/results`. The blobs it names must have been sent before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HandInRequest {
    /// Who.
    pub slave: SlaveId,
    /// Of which job.
    pub job: JobId,
    /// Which frame.
    pub frame: Frame,
    /// The multilayer EXR.
    pub film: Digest,
    /// The JPEG.
    pub preview: Option<Digest>,
    /// What Blender printed.
    pub log: Option<Digest>,
    /// Blender's time for the frame.
    pub seconds: f64,
    /// Only a part of the frame.
    #[serde(default)]
    pub part: Option<PartOf>,
}

/// Which part of a frame is handed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PartOf {
    /// By which lease.
    pub lease: LeaseId,
    /// Which samples.
    pub share: Share,
    /// The scene's view transform as a table.
    pub view: Option<Digest>,
    /// How long the scene was fetched and loaded before; 0 when it was there.
    #[serde(default)]
    pub warm_up_s: f64,
}

/// The result is durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HandInReply {
    /// False when the frame was done already or the job was canceled; nothing is wrong then.
    pub fresh: bool,
}

/// `POST /api/v1/failures`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FailRequest {
    /// Who.
    pub slave: SlaveId,
    /// By which lease.
    pub lease: LeaseId,
    /// Of which job.
    pub job: JobId,
    /// Which frame.
    pub frame: Frame,
    /// Why.
    pub error: TaskError,
    /// What Blender printed.
    pub log: Option<Digest>,
}

/// `POST /api/v1/jobs/{id}/stop`: hand shared frames over with the samples they have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StopRequest {
    /// Which; None: all that have samples, and the job pauses if there are others.
    #[serde(default)]
    pub frames: Option<FrameList>,
}

/// `POST /api/v1/jobs/{id}/more`: finished frames that were shared get more samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MoreRequest {
    /// How many more; a frame that was stopped gets at least those it lacks.
    pub samples: u32,
    /// Which; None: all that can have more.
    #[serde(default)]
    pub frames: Option<FrameList>,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// As the artist called it.
    pub name: String,
    /// For grouping.
    pub category: String,
    /// 0 to 100.
    pub priority: u8,
    /// The machine's word.
    pub state: JobState,
    /// People's word.
    pub status: String,
    /// In the artist's notation.
    pub frames: String,
    /// All tasks.
    pub total: u32,
    /// Handed in.
    pub done: u32,
    /// Given up.
    pub failed: u32,
    /// On slaves now.
    pub rendering: u32,
    /// Why it waits; empty when that needs no words.
    pub why: String,
    /// How many seconds the rest will take, going by what is done and who is at it; None when nobody can say.
    #[serde(default)]
    pub left_s: Option<f64>,
    /// When it was accepted.
    pub created_ms: Timestamp,
    /// The number of its last edit, for `If-Match`.
    #[serde(default)]
    pub edits: u32,
    /// Whether the scene needs its own Python.
    #[serde(default)]
    pub scripts: bool,
}

/// A job with its frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobDetail {
    /// As in lists.
    #[serde(flatten)]
    pub job: JobView,
    /// What was asked for.
    pub spec: JobSpec,
    /// Slaves that must not touch it.
    #[serde(default)]
    pub blacklist: Vec<SlaveId>,
    /// How fast slaves were last with shares of its frames.
    #[serde(default)]
    pub speeds: Vec<SpeedView>,
    /// In order of frames.
    pub tasks: Vec<TaskView>,
}

/// How fast a slave samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SpeedView {
    /// Who.
    pub slave: SlaveId,
    /// Samples of the whole picture in a second; lines, where frames are cut into these.
    pub samples_per_s: f64,
    /// Samples of pixels in a second, in thousands; pixels, where frames are cut into lines.
    pub kilosamples_per_s: f64,
}

/// A frame of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// Its number.
    pub frame: Frame,
    /// `waiting`, `leased`, `done` or `failed`.
    pub state: String,
    /// Who has it, made it or failed it last.
    pub slave: Option<SlaveId>,
    /// Attempts begun so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub error: Option<TaskError>,
    /// Blender's time for it, when done.
    pub seconds: Option<f64>,
    /// The EXR, when done.
    pub film: Option<Digest>,
    /// Its size.
    pub film_bytes: Option<u64>,
    /// Whether there is a JPEG.
    pub preview: bool,
    /// Of a frame that slaves render or rendered together: samples that are in it or handed in, and all. Fewer than all in
    /// a frame that is done: somebody stopped it.
    #[serde(default)]
    pub samples: Option<[u32; 2]>,
    /// What is counted there.
    #[serde(default)]
    pub unit: Unit,
    /// Whether all samples are there and what is left is denoising and compositing.
    #[serde(default)]
    pub finishing: bool,
    /// And who is at it.
    #[serde(default)]
    pub slaves: Vec<SlaveId>,
    /// What part of their time they rendered, of 1.
    #[serde(default)]
    pub efficiency: Option<f64>,
}

/// A slave in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveView {
    /// Its number.
    pub id: SlaveId,
    /// As its owner called it.
    pub name: String,
    /// The machine's word.
    pub state: SlaveState,
    /// People's word.
    pub status: String,
    /// Whether it gets no new work until somebody lets it go on.
    #[serde(default)]
    pub paused: bool,
    /// Whether it is to end, at once or after what it has.
    #[serde(default)]
    pub draining: bool,
    /// Its Blender.
    pub blender: Version,
    /// What it renders.
    pub job: Option<JobId>,
    /// Which frame.
    pub frame: Option<Frame>,
    /// How far.
    pub progress: String,
    /// Threads it renders with.
    pub threads: u32,
    /// Engines it has.
    pub engines: Vec<String>,
    /// What it said of itself, and what people set of it.
    pub info: SlaveInfo,
    /// The number of the last edit of its settings, for `If-Match`.
    #[serde(default)]
    pub edits: u32,
    /// Settings that are not in use yet.
    #[serde(default)]
    pub pending: Vec<SlaveSetting>,
}

/// Everything a watcher shows, in one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FarmView {
    /// Grows when anything changed.
    pub revision: u64,
    /// In order of numbers.
    pub jobs: Vec<JobView>,
    /// In order of numbers.
    pub slaves: Vec<SlaveView>,
}

/// `GET /api/v1/stats`: how the farm does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stats {
    /// The part of the last hour that the slaves that are there rendered, from 0 to 1; None when none is there.
    pub utilisation: Option<f64>,
    /// Frames that became done in the last hour.
    pub frames_per_hour: u32,
    /// Frames that wait, of jobs that are not paused.
    pub queue_frames: u64,
    /// Slaves that are there and work.
    pub slaves_ready: usize,
    /// Of these, those that have something.
    pub slaves_busy: usize,
    /// Room on the master's disk.
    pub disk: DiskStats,
    /// Failures in the last day.
    pub errors_24h: usize,
    /// What slaves did in the last hour; those that finished nothing are not in it.
    #[serde(default)]
    pub slaves: Vec<SlaveStats>,
}

/// What a slave did in the last hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveStats {
    /// Which.
    pub id: SlaveId,
    /// Whole frames it finished.
    pub frames_per_hour: u32,
    /// Samples of frames that slaves render together, which it handed in.
    pub samples_per_hour: u64,
    /// Tiles of frames that slaves render together, which it handed in.
    #[serde(default)]
    pub tiles_per_hour: u32,
}

/// What a job keeps on the master's disk for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobSize {
    /// Which.
    pub id: JobId,
    /// Films of frames that are done. The files it needs are not counted: other jobs may need them, too.
    pub films_bytes: u64,
}

/// Room on the master's disk, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DiskStats {
    /// None when the system does not tell.
    pub free_bytes: Option<u64>,
    /// All of it.
    pub total_bytes: Option<u64>,
    /// Pictures of frames that are done.
    pub films_bytes: u64,
    /// Jobs' files.
    pub pieces_bytes: u64,
}

/// `{"error": {...}}`: the body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErrorDetail {
    /// A stable word.
    pub code: String,
    /// What, where, why.
    pub message: String,
    /// What to do next.
    pub hint: String,
}
