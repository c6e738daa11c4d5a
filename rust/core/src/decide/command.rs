//! The commands that change a farm, and the answers to them.

use crate::{
    decide::refusal::Refusal,
    model::{
        cut::Span,
        digest::Digest,
        event::Event,
        frames::FrameList,
        ids::{Frame, JobId, LeaseId, SlaveId},
        job_settings::JobEdit,
        policy::Policy,
        result::{Baked, TaskError, TaskResult},
        sharing::{Merged, Part},
        slave::{Duty, SlaveInfo},
        slave_settings::SlaveEdit,
        spec::JobSpec,
    },
    wire::{HeldLease, PollReply, Want},
};

/// A request to change the farm.
///
/// In every edit `seen` is the revision that the editor has seen last; `None` skips that check
/// (see [`Edits`](crate::model::edits::Edits)).
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the variants say what their fields are for")]
pub enum Command {
    /// Queues a job. All its files must be on the master already.
    Submit(Box<JobSpec>),
    /// Stops leasing frames of a job; what is being rendered goes on.
    Pause(JobId),
    /// Ends a pause.
    Resume(JobId),
    /// Ends a job and revokes its leases; what is done stays.
    Cancel(JobId),
    /// Tries the failed frames of a job again; a canceled job becomes active.
    Requeue(JobId),
    /// Changes settings of a job.
    Edit { job: JobId, edit: JobEdit, seen: Option<u32> },
    /// Renders frames of a job again that are done or failed.
    RequeueFrames { job: JobId, frames: FrameList },
    /// Marks a job as deleted. Its files are deleted next, then comes [`Self::Forget`].
    Delete(JobId),
    /// Drops the record of a deleted job whose files are gone.
    Forget(JobId),
    /// Puts a slave on a job's blacklist, or takes it off.
    Blacklist { job: JobId, slave: SlaveId, listed: bool },
    /// Registers a slave, for the first time or again. `key` identifies it across restarts;
    /// `started` is false if the slave only reconnects.
    Register { key: String, name: String, info: Box<SlaveInfo>, started: bool },
    /// Changes the remote settings of a slave.
    EditSlave { slave: SlaveId, edit: Box<SlaveEdit>, seen: Option<u32> },
    /// Replaces the scheduling policy.
    ChangePolicy { policy: Policy, seen: Option<u32> },
    /// Orders a slave to work, to pause or to end.
    Order { slave: SlaveId, duty: Duty },
    /// Reconciles a slave's leases with the master's, and leases it more if it wants more. `held`
    /// is everything the slave holds; `edits` is the revision of its remote settings that it knows,
    /// `None` if it knows of no settings.
    Poll { slave: SlaveId, held: Vec<HeldLease>, want: Want, edits: Option<u32> },
    /// Signs a slave off that stops.
    Leave(SlaveId),
    /// Gives up on a slave that was silent for longer than the slave timeout.
    Lose(SlaveId),
    /// Hands in the checked film of a whole frame.
    HandIn { job: JobId, frame: Frame, result: Box<TaskResult> },
    /// Hands in the checked film of a part of a frame. The lease may have ended already.
    HandInPart { job: JobId, frame: Frame, lease: LeaseId, part: Box<Part> },
    /// Rejects a handed-in part that cannot be merged.
    RejectPart { job: JobId, frame: Frame, share: Span, error: TaskError },
    /// Hands in the film that was merged of a complete frame's parts.
    Merge { job: JobId, frame: Frame, merged: Box<Merged> },
    /// Completes shared frames with the parts they have. Without `frames`: all that have parts, and
    /// the job pauses if it has other open frames.
    Stop { job: JobId, frames: Option<FrameList> },
    /// Adds samples to done frames that were shared; a frame that was stopped gets at least those
    /// it lacks. Without `frames`: all that can have more.
    More { job: JobId, samples: u32, frames: Option<FrameList> },
    /// Reports that a film on the master's disk, or a file of a File Output node, is damaged.
    /// Ignored if the frame has another one by now.
    Spoil { job: JobId, frame: Frame, film: Digest },
    /// Hands in the .blend with the job's simulations baked. The lease may have ended already.
    HandInBake { job: JobId, baked: Box<Baked> },
    /// Reports that a job's baked .blend on the master's disk is damaged. Ignored if the job has
    /// another one by now.
    SpoilBake { job: JobId, blend: Digest },
    /// Reports a failed attempt. Ignored if the lease has ended.
    Fail { slave: SlaveId, lease: LeaseId, job: JobId, frame: Frame, error: TaskError, log: Option<Digest> },
}

/// The answer to a command, valid once its events are durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done; there is nothing to add.
    Ok,
    /// The number of the submitted job.
    Accepted(JobId),
    /// The number of the registered slave.
    Registered(SlaveId),
    /// The answer to a poll. While it is empty the master holds the poll, and decides it again
    /// after every change of the farm, its own events included.
    Poll(PollReply),
    /// The revision after an edit.
    Edited(u32),
    /// True if a result was accepted; false for one that nobody needs any more.
    HandedIn(bool),
}

/// The outcome of a command: events to persist and apply in this order, and then the reply.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the type says what they are")]
pub struct Decision {
    pub events: Vec<Event>,
    pub reply: Reply,
}

/// Outcome of a command.
pub(super) type Decided = Result<Decision, Refusal>;

/// A decision with these events and [`Reply::Ok`].
pub(super) fn events(events: impl IntoIterator<Item = Event>) -> Decided {
    answer(events, Reply::Ok)
}

/// A decision with these events and this reply.
pub(super) fn answer(events: impl IntoIterator<Item = Event>, reply: Reply) -> Decided {
    Ok(Decision { events: events.into_iter().collect(), reply })
}
