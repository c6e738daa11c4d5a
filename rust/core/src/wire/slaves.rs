//! Slaves: registration, heartbeats, and rows of lists.

use crate::model::{
    build::Version,
    ids::{Frame, JobId, SlaveId},
    slave::{SlaveInfo, SlaveState},
    slave_settings::{SlaveReport, SlaveSetting},
};
use serde::{Deserialize, Serialize};

/// `POST /api/v1/slaves`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RegisterRequest {
    /// [`PROTOCOL`](super::PROTOCOL) of the slave.
    pub protocol: u32,
    /// Key by which the slave is recognised when it comes back; it makes the key and keeps it in
    /// its folder.
    pub key: String,
    /// Name shown in lists.
    pub name: String,
    /// Abilities and start-up options.
    pub info: SlaveInfo,
    /// True if the slave was just started, false if it only reconnects.
    #[serde(default)]
    pub started: bool,
    /// Random id of the slave's process, by which two slaves with one key are told apart. Empty for
    /// an older slave.
    #[serde(default)]
    pub session: String,
    /// Identity of the slave's data folder. A process with another session and the same place is
    /// the same slave, restarted: a lock keeps a second one out of the folder.
    #[serde(default)]
    pub place: String,
}

/// Answer to a registration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RegisterReply {
    /// Number of the slave.
    pub slave: SlaveId,
    /// The farm's identity. Leases of another farm mean nothing here.
    pub farm: String,
    /// Interval of the heartbeats that the master expects, in seconds.
    pub heartbeat_s: f64,
}

/// `POST /api/v1/slaves/{id}/heartbeat`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Heartbeat {
    /// Progress of the frame that the slave renders.
    pub now: Option<Progress>,
    /// Blender's output since the last heartbeat.
    #[serde(default)]
    pub log: Option<LogNews>,
    /// Settings in use.
    #[serde(default)]
    pub report: Option<SlaveReport>,
}

/// Blender's output for a frame, as far as it is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct LogNews {
    pub job: JobId,
    pub frame: Frame,
    /// Number of this piece of the log, from 0 for each rendering: 0 replaces an earlier log.
    pub part: u64,
    /// The output.
    pub text: String,
}

/// Progress of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct Progress {
    pub job: JobId,
    pub frame: Frame,
    /// Blender's words, for example `Sample 12/64`.
    pub text: String,
}

/// A slave in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveView {
    /// Number of the slave.
    pub id: SlaveId,
    /// Effective name.
    pub name: String,
    /// State for programs.
    pub state: SlaveState,
    /// State for people.
    pub status: String,
    /// True if the slave gets no new work until it is resumed.
    #[serde(default)]
    pub paused: bool,
    /// True if the slave was ordered to end, at once or after what it holds.
    #[serde(default)]
    pub draining: bool,
    /// Version of its Blender.
    pub blender: Version,
    /// Job that it renders.
    pub job: Option<JobId>,
    /// Frame that it renders.
    pub frame: Option<Frame>,
    /// Progress of that frame, in Blender's words.
    pub progress: String,
    /// Number of threads that it renders with.
    pub threads: u32,
    /// Blender's ids of the render engines it has.
    pub engines: Vec<String>,
    /// Abilities and settings in use.
    pub info: SlaveInfo,
    /// Revision of the remote settings, for `If-Match`.
    #[serde(default)]
    pub edits: u32,
    /// Settings whose effective value is not in use yet.
    #[serde(default)]
    pub pending: Vec<SlaveSetting>,
}
