//! Refusals: the reasons for which a command changes nothing.

use crate::{
    files::manifest::ManifestError,
    model::{
        ids::{Frame, JobId, SlaveId},
        job::Job,
    },
    wire::ErrorCode,
};

/// Reason why a command was understood and refused. Nothing has changed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Refusal {
    /// The farm has no job of this number.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// The job has no frame of this number.
    #[error("job {0} has no frame {1}")]
    UnknownFrame(JobId, Frame),
    /// The slave never registered at this master.
    #[error("this master does not know slave {0}")]
    UnknownSlave(SlaveId),
    /// The job's state does not allow the command; `verb` is a participle.
    #[error("job {job} is {status}: it can't be {verb}")]
    WrongState { job: JobId, status: &'static str, verb: &'static str },
    /// No frame has parts of which a film could be made.
    #[error("{0}")]
    NothingToStop(String),
    /// A frame can't be given more samples.
    #[error("{0}")]
    CantGrow(String),
    /// A field of a submission is out of its bounds.
    #[error("{0}")]
    BadSpec(String),
    /// A setting of a job, a slave or the policy is out of its bounds.
    #[error("{0}")]
    BadSetting(String),
    /// The edit is based on an outdated revision.
    #[error("somebody else changed {of} meanwhile: {what}")]
    EditedMeanwhile { of: String, what: String },
    /// The slave does not run, so it can't be ordered to end.
    #[error("slave {slave} ({name}) is not running")]
    SlaveIsGone { slave: SlaveId, name: String },
    /// The job's list of files is not acceptable.
    #[error(transparent)]
    BadManifest(#[from] ManifestError),
}

impl Refusal {
    pub(super) fn wrong_state(job: &Job, verb: &'static str) -> Self {
        Self::WrongState { job: job.id, status: job.status(), verb }
    }

    /// Refuses an edit that is based on an outdated revision. `words` are the values that changed
    /// meanwhile.
    pub(super) fn edited_meanwhile(of: String, words: Vec<String>) -> Self {
        let what = if words.is_empty() { "look at it again".into() } else { format!("now {}", words.join(", ")) };
        Self::EditedMeanwhile { of, what }
    }

    /// Stable code, for programs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownJob(_) => ErrorCode::UnknownJob,
            Self::UnknownFrame(..) => ErrorCode::UnknownFrame,
            Self::UnknownSlave(_) => ErrorCode::UnknownSlave,
            Self::WrongState { .. } => ErrorCode::WrongState,
            Self::NothingToStop(_) => ErrorCode::NothingToStop,
            Self::CantGrow(_) => ErrorCode::CantGrow,
            Self::BadSpec(_) => ErrorCode::BadJob,
            Self::BadSetting(_) => ErrorCode::BadSetting,
            Self::EditedMeanwhile { .. } => ErrorCode::EditedMeanwhile,
            Self::SlaveIsGone { .. } => ErrorCode::SlaveIsGone,
            Self::BadManifest(_) => ErrorCode::BadManifest,
        }
    }

    /// Advice for people on what to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownJob(_) => "see the job list for the numbers of the jobs this master has",
            Self::UnknownFrame(..) => "see the job for its frames",
            Self::UnknownSlave(_) => "register first",
            Self::WrongState { .. } => "see the job for its state",
            Self::NothingToStop(_) => "wait until something of it is rendered, or cancel the job",
            Self::CantGrow(_) => "send the scene as a new job with as many samples as you want",
            Self::BadSetting(_) => "nothing was changed: choose another value",
            Self::EditedMeanwhile { .. } => "look at it as it is now, then change it again if that is still needed",
            Self::SlaveIsGone { .. } => "start it on its machine if it is to render",
            Self::BadSpec(_) | Self::BadManifest(_) => "mend the job and send it again; nothing was queued",
        }
    }
}
