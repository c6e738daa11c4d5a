//! What happened, as it is written to disk. Old logs must stay readable: fields are added with a default, never
//! renamed, and a change of meaning raises [`EVENT_VERSION`].

use crate::{
    edit::JobEdit,
    frames::FrameList,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    job::JobSpec,
    lease::LeaseEnd,
    rules::Rules,
    settings::SlaveEdit,
    share::{Merged, Part, Share},
    slave::{Duty, SlaveInfo},
    task::{Failure, TaskResult},
};
use serde::{Deserialize, Serialize};

/// The format written by this build.
pub const EVENT_VERSION: u32 = 4;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// For people to read.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// One change of the farm. Says what was decided, so that replay depends on no policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A job entered the queue.
    JobAccepted {
        /// Its number.
        job: JobId,
        /// What was asked for.
        spec: Box<JobSpec>,
    },
    /// Nothing more of it is leased for now.
    JobPaused {
        /// Which.
        job: JobId,
    },
    /// It goes on.
    JobResumed {
        /// Which.
        job: JobId,
    },
    /// It was stopped; its leases are revoked by events of their own before this one.
    JobCanceled {
        /// Which.
        job: JobId,
    },
    /// Its failed tasks wait again, and a canceled job goes on.
    JobRequeued {
        /// Which.
        job: JobId,
    },
    /// Frames of it that ended, well or not, begin anew.
    FramesRequeued {
        /// Of which job.
        job: JobId,
        /// Which; those that did not end are on their way already.
        frames: FrameList,
    },
    /// Its settings changed.
    JobEdited {
        /// Which.
        job: JobId,
        /// Only what is new.
        edit: Box<JobEdit>,
    },
    /// It is to be removed with all its files; its leases are revoked by events of their own before this one.
    JobDeleted {
        /// Which.
        job: JobId,
    },
    /// Its files are removed, and now itself.
    JobForgotten {
        /// Which.
        job: JobId,
    },
    /// A slave may not touch the job any more, or may again.
    BlacklistChanged {
        /// Which job.
        job: JobId,
        /// Which slave.
        slave: SlaveId,
        /// True: it may not.
        listed: bool,
    },
    /// A slave registered, for the first time or again.
    SlaveJoined {
        /// Its number.
        slave: SlaveId,
        /// How it is known again.
        key: String,
        /// As shown in lists.
        name: String,
        /// What it can do.
        info: Box<SlaveInfo>,
        /// Whether it was just started: what its predecessor was told does not concern it.
        #[serde(default)]
        started: bool,
    },
    /// Somebody changed settings of a slave.
    SlaveEdited {
        /// Which.
        slave: SlaveId,
        /// How.
        edit: Box<SlaveEdit>,
    },
    /// Somebody changed who gets the next slave.
    RulesChanged {
        /// What holds from now on.
        rules: Rules,
    },
    /// Somebody told a slave what to do.
    SlaveOrdered {
        /// Which.
        slave: SlaveId,
        /// What.
        duty: Duty,
    },
    /// A slave that was lost gave a sign of life.
    SlaveReturned {
        /// Which.
        slave: SlaveId,
    },
    /// A slave fell silent.
    SlaveLost {
        /// Which.
        slave: SlaveId,
    },
    /// A slave stopped.
    SlaveLeft {
        /// Which.
        slave: SlaveId,
    },
    /// Waiting tasks went to a slave, or a slave that still has them was given its lease back.
    LeaseGranted {
        /// The lease's number.
        lease: LeaseId,
        /// To whom.
        slave: SlaveId,
        /// Of which job.
        job: JobId,
        /// Which frames.
        frames: Vec<Frame>,
    },
    /// Some samples of a frame went to a slave, or a slave that still has them was given its lease back.
    ShareGranted {
        /// The lease's number.
        lease: LeaseId,
        /// To whom.
        slave: SlaveId,
        /// Of which job.
        job: JobId,
        /// Of which frame.
        frame: Frame,
        /// Which samples.
        share: Share,
    },
    /// A part of a frame was handed in.
    ShareDone {
        /// Of which job.
        job: JobId,
        /// Of which frame.
        frame: Frame,
        /// By which lease; it may be over.
        lease: LeaseId,
        /// What was handed in.
        part: Box<Part>,
    },
    /// What is left of a lease went back to the queue.
    LeaseEnded {
        /// Which.
        lease: LeaseId,
        /// Why.
        end: LeaseEnd,
    },
    /// A result was handed in and believed.
    TaskDone {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// What was handed in.
        result: Box<TaskResult>,
    },
    /// An attempt failed.
    TaskFailed {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// Who, when and why.
        failure: Box<Failure>,
        /// Whether the task goes back to the queue.
        retry: bool,
    },
    /// A part proved to be of no use when it was to be merged: its samples are rendered again.
    PartRejected {
        /// Of which job.
        job: JobId,
        /// Of which frame.
        frame: Frame,
        /// Which samples.
        share: Share,
        /// Who, when and why.
        failure: Box<Failure>,
        /// Whether the frame goes on.
        retry: bool,
    },
    /// The samples of a frame are in one film; what is left is to finish it.
    FrameMerged {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// The film and what is in it.
        merged: Box<Merged>,
    },
    /// A shared frame gets no more samples: it is merged as it is. Its leases are revoked by events of their own before this one.
    FrameStopped {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
    },
    /// A finished frame that was shared is to have more samples.
    FrameGrown {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// So many in all.
        samples: u32,
    },
    /// The film of a frame's samples was found damaged on the master's disk: they are rendered again.
    MergedSpoiled {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
    },
    /// A finished frame's picture was found damaged on the master's disk: it is rendered again.
    TaskSpoiled {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
    },
}
