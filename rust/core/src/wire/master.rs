//! The master itself: identity, missing blobs, statistics and errors.

use crate::{
    model::{
        digest::Digest,
        ids::{JobId, SlaveId},
        retry::RetryPolicy,
    },
    wire::{jobs::JobView, slaves::SlaveView, words::ErrorCode},
};
use serde::{Deserialize, Serialize};

/// Version of the protocol. Raised when an older peer would misunderstand; peers of different
/// versions refuse each other and say so.
pub const PROTOCOL: u32 = 7;

/// TCP port that a master listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 8000;

/// `GET /api/v1/info`: identity of a master.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MasterInfo {
    /// Always `netrender`.
    pub service: String,
    /// [`PROTOCOL`] of the master.
    pub protocol: u32,
    /// Version of the program.
    pub version: String,
    /// Identity of the farm: random, made with the master's folder.
    pub farm: String,
    /// Name of the master, for people.
    pub name: String,
    /// True if slaves run the Python that scenes bring along, for jobs that need it.
    #[serde(default)]
    pub scripts: bool,
    /// Limits of retrying failed frames.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Free space on the master's disk; absent if the system does not tell.
    #[serde(default)]
    pub free_bytes: Option<u64>,
}

/// Blobs that the sender has. The master answers which of them it lacks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MissingRequest {
    /// The sender's blobs.
    pub digests: Vec<Digest>,
}

/// Blobs that the master lacks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MissingReply {
    /// The blobs to send.
    pub missing: Vec<Digest>,
}

/// All jobs and slaves in one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FarmView {
    /// Counter that grows with every change.
    pub revision: u64,
    /// The jobs in order of their numbers.
    pub jobs: Vec<JobView>,
    /// The slaves in order of their numbers.
    pub slaves: Vec<SlaveView>,
}

/// `GET /api/v1/stats`: figures of the farm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stats {
    /// Fraction of the last hour, 0 to 1, in which the slaves that are there rendered; absent if
    /// none is there.
    pub utilisation: Option<f64>,
    /// Number of frames that became done in the last hour.
    pub frames_per_hour: u32,
    /// Number of waiting frames, of jobs that are not paused.
    pub queue_frames: u64,
    /// Number of slaves that are there and work.
    pub slaves_ready: usize,
    /// Number of those that hold leases.
    pub slaves_busy: usize,
    /// Space on the master's disk.
    pub disk: DiskStats,
    /// Number of failures in the last day.
    pub errors_24h: usize,
    /// Work of each slave in the last hour, without slaves that finished nothing.
    #[serde(default)]
    pub slaves: Vec<SlaveStats>,
}

/// Work of a slave in the last hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveStats {
    /// Number of the slave.
    pub id: SlaveId,
    /// Number of whole frames that it finished.
    pub frames_per_hour: u32,
    /// Number of samples of shared frames that it handed in.
    pub samples_per_hour: u64,
    /// Number of tiles of shared frames that it handed in.
    #[serde(default)]
    pub tiles_per_hour: u32,
}

/// Space that a job takes on the master's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobSize {
    /// Number of the job.
    pub id: JobId,
    /// Size of the films of frames that are done. Files of the scene are not counted: other jobs
    /// may need them, too.
    pub films_bytes: u64,
}

/// Space on the master's disk, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DiskStats {
    /// Free space; absent if the system does not tell.
    pub free_bytes: Option<u64>,
    /// Size of the disk; absent if the system does not tell.
    pub total_bytes: Option<u64>,
    /// Size of the films of frames that are done.
    pub films_bytes: u64,
    /// Size of the jobs' files, in pieces.
    pub pieces_bytes: u64,
}

/// Body of every answer that is not a success: `{"error": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// An error, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErrorDetail {
    /// Stable code, for programs.
    pub code: ErrorCode,
    /// Message for people: the fault, its place and its cause.
    pub message: String,
    /// Remedy, in words.
    pub hint: String,
}
