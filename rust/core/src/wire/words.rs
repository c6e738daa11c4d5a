//! Words that programs on both sides compare: error codes, states of frames, and verbs.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantNames};

/// Code of an error, stable across versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ErrorCode {
    /// The master has no job of this number.
    UnknownJob,
    /// The job has no frame of this number.
    UnknownFrame,
    /// The slave never registered at this master.
    UnknownSlave,
    /// The state of the job does not allow the command.
    WrongState,
    /// No frame has samples of which a picture could be made.
    NothingToStop,
    /// The frames can't be given more samples.
    CantGrow,
    /// A field of the job is out of its bounds.
    BadJob,
    /// A setting is out of its bounds.
    BadSetting,
    /// Somebody else changed the settings since they were read.
    EditedMeanwhile,
    /// The slave does not run.
    SlaveIsGone,
    /// The job's list of files is not acceptable.
    BadManifest,
    /// The request could not be read.
    BadRequest,
    /// The request names another machine.
    ForeignHost,
    /// A page of another site sent the request.
    CrossSite,
    /// The body is not called JSON.
    NotJson,
    /// Nothing is served at this address.
    NotFound,
    /// The address does not take this method.
    WrongMethod,
    /// The job or frame has no such file.
    NotThere,
    /// The peer speaks another protocol.
    OtherProtocol,
    /// Another slave with the same key is at work.
    KeyInUse,
    /// The bytes do not have the digest they are named by.
    WrongDigest,
    /// Pieces of the job's files are not on the master.
    MissingPieces,
    /// The film is not what the job asks for.
    BadPicture,
    /// The master's disk is full.
    DiskFull,
    /// The master's disk failed.
    Disk,
    /// The master is stopping.
    Stopping,
    /// A code of a newer master.
    #[serde(other)]
    Unknown,
}

/// State of a frame as lists show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for a slave.
    Waiting,
    /// A slave has it as a whole.
    Leased,
    /// Slaves render parts of it.
    Sharing,
    /// Its film is on the master.
    Done,
    /// Its attempts are used up.
    Failed,
}

/// Command for a whole job, the last part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum JobVerb {
    /// Grants no more frames of it.
    Pause,
    /// Ends a pause.
    Resume,
    /// Ends it; what is rendered stays.
    Cancel,
    /// Renders its failed frames again.
    Requeue,
}

/// Command for a slave, the last part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, VariantNames)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SlaveVerb {
    /// Grants it no more work.
    Pause,
    /// Ends a pause.
    Resume,
    /// Stops it once it has rendered what it holds.
    Drain,
    /// Stops it at once; what it holds goes back to the queue.
    Stop,
}
