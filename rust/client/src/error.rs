//! Errors of everything that a client does.

use super::report::Report;
use netrender_net::api::ApiError;
use std::path::PathBuf;

/// Reason why a request of a client failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A value in the request is wrong.
    #[error("{0}")]
    Usage(String),
    /// No address was given and no master was heard.
    #[error(
        "no master was heard on this network: start one, or give its address (--master HOST:PORT or NETRENDER_MASTER)"
    )]
    NoMaster,
    /// A call to the master failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A file of the scene can't be read, or one can't be written.
    #[error("{}: {why}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system, in words.
        why: String,
    },
    /// A file changed while it was being sent. A job must not be a mix of two versions.
    #[error("{} changed while it was being sent: send the job again", .0.display())]
    FileChanged(PathBuf),
    /// The job has problems, and the request does not allow to send it anyway.
    #[error("{0}")]
    Incomplete(Box<Report>),
    /// The job's new files do not fit on the master's disk.
    #[error("the job's new files have {new}, the master has room for {free}: make room there, or send anyway")]
    NoRoom {
        /// Size of the files to send, for people.
        new: String,
        /// Free room on the master's disk, for people.
        free: String,
    },
    /// The master keeps losing pieces that it has received.
    #[error("the master loses what it is sent: see its log, its disk may be failing")]
    PiecesLost,
    /// The user canceled the transfer.
    #[error("canceled")]
    Canceled,
    /// A fault in netrender itself.
    #[error("{doing} ended: {why}")]
    Internal {
        /// Activity that broke off.
        doing: &'static str,
        /// Message of the panic.
        why: String,
    },
}

impl ClientError {
    /// True if the cause is that no master of this protocol answers.
    pub fn is_no_master(&self) -> bool {
        matches!(
            self,
            Self::NoMaster
                | Self::Api(
                    ApiError::BadAddress(_)
                        | ApiError::Unreachable { .. }
                        | ApiError::NotAMaster { .. }
                        | ApiError::OtherProtocol { .. }
                )
        )
    }
}

/// Runs work that blocks on a thread of its own, from the call on. `doing` names it in the error if
/// it panics.
pub fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, ClientError>> + Send {
    let running = tokio::task::spawn_blocking(work);
    async move { running.await.map_err(|error| ClientError::Internal { doing, why: error.to_string() }) }
}
