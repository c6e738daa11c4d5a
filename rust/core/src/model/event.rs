//! Events: everything that happened to the farm, in the form in which it is logged.
//!
//! **Invariant:** old logs stay readable. Fields are added with a default and never renamed in
//! JSON, and a change of meaning raises [`EVENT_VERSION`].

use crate::model::{
    cut::Span,
    frames::FrameList,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    job_settings::JobEdit,
    lease::LeaseEnd,
    policy::Policy,
    result::{Baked, Failure, TaskResult},
    sharing::{Merged, Part},
    slave::{Duty, SlaveInfo},
    slave_settings::SlaveEdit,
    spec::JobSpec,
};
use serde::{Deserialize, Serialize};

/// Version of the events that this build writes.
pub const EVENT_VERSION: u32 = 5;

/// An event with its time, as it is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Wall-clock time, for people to read; nothing is decided by it.
    pub at: Timestamp,
    /// The change.
    pub event: Event,
}

/// One change of the farm. An event holds the outcome of a decision, so that replay depends on no
/// policy.
///
/// `retry` is true if the frame is tried again after a failure, and false if it is given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants say what their fields are for")]
pub enum Event {
    /// A job entered the queue.
    JobAccepted { job: JobId, spec: Box<JobSpec> },
    /// The job was paused: no more of its frames are leased.
    JobPaused { job: JobId },
    /// The job was resumed.
    JobResumed { job: JobId },
    /// The job was stopped for good. Events before this one revoked its leases.
    JobCanceled { job: JobId },
    /// The job's failed frames wait again, and the job is active, even if it was canceled.
    JobRequeued { job: JobId },
    /// Frames that were done or had failed are rendered again. Others are on their way already.
    FramesRequeued { job: JobId, frames: FrameList },
    /// Settings of the job changed; `edit` holds only new values.
    JobEdited { job: JobId, edit: Box<JobEdit> },
    /// The job's files are to be deleted. Events before this one revoked its leases.
    JobDeleted { job: JobId },
    /// The job's files are deleted; its record is dropped.
    JobForgotten { job: JobId },
    /// A slave was put on the job's blacklist, or taken off.
    BlacklistChanged { job: JobId, slave: SlaveId, listed: bool },
    /// A slave registered, for the first time or again. `started` is true if it was just started:
    /// an order to its predecessor does not concern it.
    SlaveJoined {
        slave: SlaveId,
        key: String,
        name: String,
        info: Box<SlaveInfo>,
        #[serde(default)]
        started: bool,
    },
    /// Remote settings of a slave changed.
    SlaveEdited { slave: SlaveId, edit: Box<SlaveEdit> },
    /// The scheduling policy changed.
    #[serde(rename = "rules_changed")]
    PolicyChanged {
        #[serde(rename = "rules")]
        policy: Policy,
    },
    /// A slave was ordered to work, to pause or to end.
    SlaveOrdered { slave: SlaveId, duty: Duty },
    /// A slave that was lost gave a sign of life.
    SlaveReturned { slave: SlaveId },
    /// A slave was silent for longer than the slave timeout.
    SlaveLost { slave: SlaveId },
    /// A slave stopped.
    SlaveLeft { slave: SlaveId },
    /// Waiting frames were leased to a slave, or a slave that still holds them got its lease back.
    /// `bake`: to bake the job's simulations, not to render.
    LeaseGranted {
        lease: LeaseId,
        slave: SlaveId,
        job: JobId,
        frames: Vec<Frame>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bake: bool,
    },
    /// Free units of a frame were leased to a slave, or a slave that still holds them got its lease
    /// back.
    ShareGranted {
        lease: LeaseId,
        slave: SlaveId,
        job: JobId,
        frame: Frame,
        share: Span,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bake: bool,
    },
    /// A part of a frame was handed in. Its lease may have ended before.
    ShareDone { job: JobId, frame: Frame, lease: LeaseId, part: Box<Part> },
    /// A lease ended; what was left of it waits again.
    LeaseEnded { lease: LeaseId, end: LeaseEnd },
    /// The film of a frame was handed in and accepted.
    TaskDone { job: JobId, frame: Frame, result: Box<TaskResult> },
    /// An attempt at a frame failed.
    TaskFailed { job: JobId, frame: Frame, failure: Box<Failure>, retry: bool },
    /// A part can't be merged; its units are rendered again.
    PartRejected { job: JobId, frame: Frame, share: Span, failure: Box<Failure>, retry: bool },
    /// The parts of a frame were merged into one film, which lacks its finish.
    FrameMerged { job: JobId, frame: Frame, merged: Box<Merged> },
    /// A shared frame gets no more units: it is merged as it is. Events before this one revoked its
    /// leases.
    FrameStopped { job: JobId, frame: Frame },
    /// A done frame that was shared is to have `goal` units in all.
    FrameGrown {
        job: JobId,
        frame: Frame,
        #[serde(rename = "samples")]
        goal: u32,
    },
    /// The merged film of a frame was found damaged on the master's disk; its units are rendered
    /// again.
    MergedSpoiled { job: JobId, frame: Frame },
    /// The film of a done frame was found damaged on the master's disk; the frame is rendered
    /// again.
    TaskSpoiled { job: JobId, frame: Frame },
    /// The job's simulations were baked. Events before this one ended the leases for it.
    JobBaked { job: JobId, baked: Box<Baked> },
    /// An attempt at baking the job's simulations failed. An event before this one ended its lease.
    /// Without `retry` every frame that no slave has is given up.
    BakeFailed { job: JobId, failure: Box<Failure>, retry: bool },
    /// The baked .blend was found damaged on the master's disk; it is baked again.
    BakeSpoiled { job: JobId },
}
