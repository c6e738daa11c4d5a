//! The client: sends jobs, watches the farm, fetches frames.

mod changes;
mod cover;
mod cut;
mod fetch;
mod glance;
mod memory;
mod report;
mod send;
mod squeeze;
mod submit;
mod trace;
mod transfer;
mod watch;

pub use changes::{Changes, Told};
pub use cover::{Cover, cover};
pub use fetch::{FetchWhat, fetch, fetch_unfinished};
pub use glance::{FrameError, Glance, SharedFrame, glance};
pub use report::{FileSize, Finding, FindingKind, Report};
pub use submit::{JobRequest, check, submit};
pub use transfer::{Phase, Transfer, TransferSnapshot, TransferState};
pub use watch::{WatchSnapshot, WatchState, Watcher};

use crate::{
    api::{Api, ApiError},
    discovery,
};
use netrender_core::job::JobState;
use std::{path::PathBuf, time::Duration};

/// How long to listen for masters when no address is given.
const LOOK_FOR: Duration = Duration::from_secs(2);

/// Why a client's wish was not met.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A value that can't be right.
    #[error("{0}")]
    Usage(String),
    /// Nobody answered.
    #[error(
        "no master was heard on this network: start one, or give its address (--master HOST:PORT or NETRENDER_MASTER)"
    )]
    NoMaster,
    /// Its answer, or the lack of one.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A file of the scene, or one to be written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// It must not be a mix of two versions.
    #[error("{} changed while it was being sent: send the job again", .0.display())]
    FileChanged(PathBuf),
    /// Something would go wrong, and nobody said that it may.
    #[error("{0}")]
    Incomplete(Box<Report>),
    /// The files are more than the master can take.
    #[error("the job's new files have {new}, the master has room for {free}: make room there, or send anyway")]
    NoRoom {
        /// To be sent.
        new: String,
        /// On the master's disk.
        free: String,
    },
    /// Somebody pressed ESC.
    #[error("canceled")]
    Canceled,
}

impl ClientError {
    /// Whether the cause is that no master answers as one.
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

/// Cancels every job that is not over. One that ended meanwhile is no reason to stop.
pub async fn cancel_all(api: &Api) -> Result<(), ClientError> {
    for job in api.farm().await?.jobs {
        if !matches!(job.state, JobState::Active | JobState::Paused) {
            continue;
        }
        match api.change_job(job.id, "cancel").await {
            Err(error) if error.is_code("wrong_state") || error.is_code("unknown_job") => {}
            other => other?,
        }
    }
    Ok(())
}

/// The master at this address, or the first one heard when it is empty. Asks it who it is.
pub async fn connect(address: &str) -> Result<Api, ClientError> {
    let api = if address.trim().is_empty() {
        let heard = discovery::find_first(LOOK_FOR).await.ok().flatten().ok_or(ClientError::NoMaster)?;
        Api::new(&heard.url)?
    } else {
        Api::new(address)?
    };
    api.info().await?;
    Ok(api)
}
