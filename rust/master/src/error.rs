//! Errors of the master, as messages for people. Details are for the log only. HTTP's statuses,
//! codes and hints are in `http/error.rs`.

use netrender_core::{
    decide::{Refusal, Reply},
    wire::PROTOCOL,
};
use netrender_store::{
    blobs::BlobError,
    pieces::{PieceError, RecordError},
};

/// Reason why the master did not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MasterError {
    /// A command that the farm refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A request that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A file that a frame does not have, or not yet.
    #[error("{0}")]
    NotThere(String),
    /// A slave that speaks another version of the protocol.
    #[error("this master speaks protocol {PROTOCOL}, the other side {0}")]
    OtherProtocol(u32),
    /// Another slave with this key is at work from another folder.
    #[error("another slave with this key is at work: the data folder of one is a copy of the other's")]
    KeyInUse,
    /// Bytes that were damaged on the way.
    #[error("{0}")]
    WrongDigest(String),
    /// Pieces that must be sent first.
    #[error("{0} pieces of the job are not here yet")]
    MissingPieces(usize),
    /// A film that proved to be damaged or not of this frame.
    #[error("the picture is not believed: {0}")]
    BadPicture(String),
    /// No room on the disk.
    #[error("the master's disk is full")]
    DiskFull,
    /// Any other failure of the disk.
    #[error("the master could not write to its working folder")]
    Disk,
    /// The master is being stopped.
    #[error("the master is stopping")]
    Stopping,
}

impl MasterError {
    /// The farm replied with something else than what the command leads to, which is a bug.
    pub fn unexpected(reply: &Reply) -> Self {
        tracing::error!("the farm replied {reply:?}");
        Self::Disk
    }
}

impl From<BlobError> for MasterError {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::WrongDigest { .. } => Self::WrongDigest(error.to_string()),
            BlobError::Io { .. } => {
                tracing::error!("{error}");
                if error.is_disk_full() { Self::DiskFull } else { Self::Disk }
            }
        }
    }
}

impl From<PieceError> for MasterError {
    fn from(error: PieceError) -> Self {
        match &error {
            PieceError::Record(RecordError::WrongDigest { .. }) => Self::WrongDigest(error.to_string()),
            PieceError::Record(_) => Self::Invalid(error.to_string()),
            _ => {
                tracing::error!("{error}");
                if error.is_disk_full() { Self::DiskFull } else { Self::Disk }
            }
        }
    }
}
