//! Work: polls, leases, results and failures.

use crate::model::{
    cut::Span,
    digest::Digest,
    ids::{Frame, JobId, LeaseId, SlaveId},
    result::{OutputFile, TaskError},
    slave_settings::SettingsUpdate,
    spec::JobSpec,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Work that a polling slave wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// None; the slave only listens for what it must drop.
    #[default]
    Nothing,
    /// The chunk after the one that it renders now, so that no time is lost between the two.
    Ahead,
    /// A chunk to render at once; the slave is idle.
    Now,
}

/// A lease that a slave holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct HeldLease {
    pub lease: LeaseId,
    pub job: JobId,
    /// The frames that are not handed in yet.
    pub frames: Vec<Frame>,
    /// The samples or lines of the only frame; absent for whole frames.
    #[serde(default)]
    pub share: Option<Span>,
    /// True if the slave bakes the job's simulations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bake: bool,
}

/// `POST /api/v1/slaves/{id}/poll`. The master holds the request open until there is an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PollRequest {
    /// Everything that the slave holds.
    pub held: Vec<HeldLease>,
    /// Work that the slave wants.
    pub want: Want,
    /// Number of the poll, growing since the slave registered; 0 for none. A poll that was given up
    /// may arrive, by another connection, after the one that followed it, and is outdated then.
    #[serde(default)]
    pub number: u64,
    /// Revision of the remote settings that the slave knows. Absent if it does not know of remote
    /// settings: it then receives none.
    #[serde(default)]
    pub edits: Option<u32>,
    /// The session that the slave registered with.
    #[serde(default)]
    pub session: String,
}

/// Leases to drop and work to do. All empty: nothing for now, poll again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PollReply {
    /// Frames and shares that the slave must drop: they are not leased to it.
    pub drop: Vec<HeldLease>,
    /// New work.
    pub grant: Option<Box<LeaseGrant>>,
    /// True if the slave must end: it was ordered to.
    #[serde(default)]
    pub stop: bool,
    /// The remote settings, if the slave does not know their latest revision. They hold for the new
    /// work already.
    #[serde(default)]
    pub settings: Option<Box<SettingsUpdate>>,
}

impl PollReply {
    /// True if there is nothing to tell the slave yet.
    pub fn is_empty(&self) -> bool {
        self.drop.is_empty() && self.grant.is_none() && !self.stop && self.settings.is_none()
    }
}

/// A lease for a slave, with everything it must know to render.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct LeaseGrant {
    pub lease: LeaseId,
    pub job: JobId,
    /// The frames, in order of rendering.
    pub frames: Vec<Frame>,
    /// The samples or lines to render of the only frame; absent for whole frames.
    #[serde(default)]
    pub share: Option<Span>,
    /// The merged films of frames that are only to be finished.
    #[serde(default)]
    pub merged: BTreeMap<Frame, Digest>,
    /// True if the slave must bake the job's simulations instead of rendering.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bake: bool,
    /// The .blend with the simulations baked, which takes the place of the job's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baked: Option<Digest>,
    /// The job.
    pub spec: JobSpec,
    /// True if the scene's own Python may run: the job needs it and the farm allows it.
    #[serde(default)]
    pub scripts: bool,
}

/// `POST /api/v1/results`. The blobs that it names must have been sent before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct HandInRequest {
    pub slave: SlaveId,
    pub job: JobId,
    pub frame: Frame,
    /// The film: a multilayer EXR.
    pub film: Digest,
    /// The preview: a JPEG.
    pub preview: Option<Digest>,
    /// Blender's output.
    pub log: Option<Digest>,
    /// Blender's time for the frame, in seconds.
    pub seconds: f64,
    /// Files that the scene's File Output nodes wrote; none for a part of a frame.
    #[serde(default)]
    pub outputs: Vec<OutputFile>,
    /// Set if the film is only a part of the frame.
    #[serde(default)]
    pub part: Option<PartOf>,
}

/// `POST /api/v1/bakes`: the job's simulations were baked. The blobs that it names must have been
/// sent before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct BakeRequest {
    pub slave: SlaveId,
    pub job: JobId,
    /// The .blend with the caches in it.
    pub blend: Digest,
    /// Blender's output.
    pub log: Option<Digest>,
    /// Blender's time for it, in seconds.
    pub seconds: f64,
}

/// The part of a frame that is handed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PartOf {
    /// The lease that the part was rendered under; it may have ended.
    pub lease: LeaseId,
    /// The samples or lines that the part has.
    pub share: Span,
    /// The scene's view transform as a table.
    pub view: Option<Digest>,
    /// Seconds in which the scene was fetched and loaded before; 0 if the slave had it.
    #[serde(default)]
    pub warm_up_s: f64,
}

/// Answer to a result once it is durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HandInReply {
    /// False if nobody needs the result any more: the frame is done, or the job was canceled. That
    /// is no error.
    pub fresh: bool,
}

/// `POST /api/v1/failures`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct FailRequest {
    pub slave: SlaveId,
    pub lease: LeaseId,
    pub job: JobId,
    pub frame: Frame,
    /// Cause of the failure.
    pub error: TaskError,
    /// Blender's output.
    pub log: Option<Digest>,
}
