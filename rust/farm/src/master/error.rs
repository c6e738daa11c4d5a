//! What can go wrong in the master: a status and a stable word for programs, a message and a hint for people, and the
//! details for the log only.

use super::store::StoreError;
use crate::{
    blobs::BlobError,
    pieces::{PieceError, RecordError},
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use netrender_core::{
    error::Refusal,
    wire::{ErrorBody, ErrorDetail, PROTOCOL},
};

/// A request that was not met.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MasterError {
    /// The farm said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not what this address takes.
    #[error("{0}")]
    BadRequest(String),
    /// Nothing under this address.
    #[error("there is nothing at {0}")]
    NotFound(String),
    /// The address is known, but not for this.
    #[error("{1} does not take {0}")]
    WrongMethod(String, String),
    /// The frame exists but has no such file (yet).
    #[error("{0}")]
    NotThere(String),
    /// Another generation of netrender.
    #[error("this master speaks protocol {PROTOCOL}, the other side {0}")]
    OtherProtocol(u32),
    /// Damaged on the way.
    #[error("{0}")]
    WrongDigest(String),
    /// Pieces that must be sent first.
    #[error("{0} pieces of the job are not here yet")]
    MissingPieces(usize),
    /// A picture nobody should believe.
    #[error("the picture is not believed: {0}")]
    BadPicture(String),
    /// No room.
    #[error("the master's disk is full")]
    DiskFull,
    /// The disk failed otherwise.
    #[error("the master could not write to its working folder")]
    Disk,
    /// It is being stopped.
    #[error("the master is stopping")]
    Stopping,
}

impl MasterError {
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Refused(refusal) => {
                let status = match refusal {
                    Refusal::UnknownJob(_) | Refusal::UnknownFrame(..) | Refusal::UnknownSlave(_) => {
                        StatusCode::NOT_FOUND
                    }
                    Refusal::WrongState { .. }
                    | Refusal::SlaveIsGone { .. }
                    | Refusal::NothingToStop(_)
                    | Refusal::CantGrow(_) => StatusCode::CONFLICT,
                    Refusal::EditedMeanwhile { .. } => StatusCode::PRECONDITION_FAILED,
                    Refusal::BadSpec(_) | Refusal::BadSetting(_) | Refusal::BadManifest(_) => {
                        StatusCode::UNPROCESSABLE_ENTITY
                    }
                };
                (status, refusal.code(), refusal.hint())
            }
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request", "see the interface's description"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", "the start page lists what there is"),
            Self::WrongMethod(..) => {
                (StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "see the interface's description")
            }
            Self::NotThere(_) => (StatusCode::NOT_FOUND, "not_there", "see the job for the frames that are done"),
            Self::OtherProtocol(_) => {
                (StatusCode::CONFLICT, "other_protocol", "install the same netrender version on both machines")
            }
            Self::WrongDigest(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_digest", "send it again"),
            Self::MissingPieces(_) => {
                (StatusCode::CONFLICT, "missing_pieces", "ask which are missing, send them, then send the job again")
            }
            Self::BadPicture(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_picture", "render the frame again"),
            Self::DiskFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "nothing is lost: free some room on the master's disk and try again",
            ),
            Self::Disk => (StatusCode::INTERNAL_SERVER_ERROR, "disk", "nothing is lost: see the master's log"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "try again once it is back"),
        }
    }
}

impl From<StoreError> for MasterError {
    fn from(error: StoreError) -> Self {
        if error.is_disk_full() { Self::DiskFull } else { Self::Disk }
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
            PieceError::Record(_) => Self::BadRequest(error.to_string()),
            _ => {
                tracing::error!("{error}");
                if error.is_disk_full() { Self::DiskFull } else { Self::Disk }
            }
        }
    }
}

impl IntoResponse for MasterError {
    fn into_response(self) -> Response {
        let (status, code, hint) = self.parts();
        let error = ErrorDetail { code: code.into(), message: self.to_string(), hint: hint.into() };
        let mut answer = (status, Json(ErrorBody { error: error.clone() })).into_response();
        // For whoever would rather show it as a page.
        answer.extensions_mut().insert(error);
        answer
    }
}
