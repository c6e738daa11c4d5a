//! Requests that the farm's handle sends to the farm's thread.

use super::rows::LastReports;
use crate::error::MasterError;
use netrender_core::{
    decide::{Command, Reply},
    model::{farm::Farm, ids::SlaveId, slave_settings::SlaveReport},
    wire::{FarmView, PollReply, PollRequest, Progress},
};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The channel on which the thread replies.
pub type ReplyTo<T> = oneshot::Sender<Result<T, MasterError>>;
/// A closure that reads the farm on its thread.
pub type Read = Box<dyn FnOnce(&Farm, &LastReports) + Send>;

/// A request to the farm's thread.
pub enum Request {
    /// Decides a command.
    Command(Box<Command>, ReplyTo<Reply>),
    /// Registers a slave, by [`Command::Register`], unless another one with its key is at work.
    Register { command: Box<Command>, session: Session, reply_to: ReplyTo<Reply> },
    /// A slave's poll, held open until there is something to reply.
    Poll { slave: SlaveId, poll: PollRequest, reply_to: ReplyTo<PollReply> },
    /// A slave's heartbeat.
    SignOfLife { slave: SlaveId, sign: Box<SignOfLife>, reply_to: ReplyTo<()> },
    /// Reads the farm after the commands before it are durable.
    Read(Read),
    /// The lists with all commands before it in them.
    LatestRows(oneshot::Sender<Arc<FarmView>>),
    /// Looks for slaves that fell silent.
    Tick,
    /// Writes a snapshot and ends the thread.
    Stop,
}

/// A process of a slave.
#[derive(Clone, Debug)]
pub struct Session {
    /// Random id of the process; empty for an older slave.
    pub id: String,
    /// Identity of its data folder.
    pub place: String,
}

/// A slave's sign of life, and what it reported with it.
#[derive(Default)]
pub struct SignOfLife {
    pub progress: Option<Progress>,
    pub report: Option<SlaveReport>,
}
