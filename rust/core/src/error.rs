//! Why the farm says no.

use crate::{
    ids::{Frame, JobId, SlaveId},
    manifest::ManifestError,
};

/// A command that was understood and refused. Nothing has changed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// No such job.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// No such frame in the job.
    #[error("job {0} has no frame {1}")]
    UnknownFrame(JobId, Frame),
    /// The slave never registered here, or with another farm.
    #[error("this master does not know slave {0}")]
    UnknownSlave(SlaveId),
    /// The job's state does not allow it.
    #[error("job {job} is {status}: it can't be {verb}")]
    WrongState {
        /// Which.
        job: JobId,
        /// As shown to people.
        status: &'static str,
        /// What was asked for.
        verb: &'static str,
    },
    /// No frame has samples of which a picture could be made.
    #[error("{0}")]
    NothingToStop(String),
    /// Frames that can't be given more samples.
    #[error("{0}")]
    CantGrow(String),
    /// A setting out of its bounds.
    #[error("{0}")]
    BadSpec(String),
    /// A setting of a job or a slave out of its bounds.
    #[error("{0}")]
    BadSetting(String),
    /// Somebody else edited it first.
    #[error("somebody else changed {of} meanwhile: {what}")]
    EditedMeanwhile {
        /// What was to be edited, in words.
        of: String,
        /// What is new, in words.
        what: String,
    },
    /// It does not run, so it can't end.
    #[error("slave {slave} ({name}) is not running")]
    SlaveIsGone {
        /// Which.
        slave: SlaveId,
        /// As shown in lists.
        name: String,
    },
    /// The list of files.
    #[error(transparent)]
    BadManifest(#[from] ManifestError),
}

impl Refusal {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownJob(_) => "unknown_job",
            Self::UnknownFrame(..) => "unknown_frame",
            Self::UnknownSlave(_) => "unknown_slave",
            Self::WrongState { .. } => "wrong_state",
            Self::NothingToStop(_) => "nothing_to_stop",
            Self::CantGrow(_) => "cant_grow",
            Self::BadSpec(_) => "bad_job",
            Self::BadSetting(_) => "bad_setting",
            Self::EditedMeanwhile { .. } => "edited_meanwhile",
            Self::SlaveIsGone { .. } => "slave_is_gone",
            Self::BadManifest(_) => "bad_manifest",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownJob(_) => "see the job list for the numbers of the jobs this master has",
            Self::UnknownFrame(..) => "see the job for its frames",
            Self::UnknownSlave(_) => "register first",
            Self::WrongState { .. } => "see the job for its state",
            Self::NothingToStop(_) => "wait until something of it is rendered, or cancel the job",
            Self::CantGrow(_) => "send the scene as a new job with as many samples as it shall have",
            Self::BadSetting(_) => "nothing was changed: choose another value",
            Self::EditedMeanwhile { .. } => "look at it as it is now, then change it again if that is still needed",
            Self::SlaveIsGone { .. } => "start it on its machine if it shall render",
            Self::BadSpec(_) | Self::BadManifest(_) => "mend the job and send it again; nothing was queued",
        }
    }
}
