//! Errors as HTTP responses: a status and a stable code for programs, a message and a hint for
//! people.

use crate::error::MasterError;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use netrender_core::{
    decide::Refusal,
    wire::{ErrorBody, ErrorCode, ErrorDetail},
};

/// The JSON response of a handler.
pub type JsonReply<T> = Result<Json<T>, HttpError>;

/// A request that was not met.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HttpError {
    /// The master could not do what was asked for.
    #[error(transparent)]
    Master(MasterError),
    /// No such address.
    #[error("there is nothing at {0}")]
    NotFound(String),
    /// The address exists, but not with this method.
    #[error("{1} does not take {0}")]
    WrongMethod(String, String),
    /// The request names another machine than this one.
    #[error("this master does not answer to the name {0:?}")]
    ForeignHost(String),
    /// A page of another site sent the request.
    #[error("pages of other sites change nothing on this farm")]
    CrossSite,
    /// A JSON body that is not called so.
    #[error("the body must be JSON, and be sent with the header \"Content-Type: application/json\"")]
    NotJson,
}

impl<E: Into<MasterError>> From<E> for HttpError {
    fn from(error: E) -> Self {
        Self::Master(error.into())
    }
}

impl HttpError {
    /// Status, code and hint.
    fn parts(&self) -> (StatusCode, ErrorCode, &'static str) {
        match self {
            Self::Master(error) => parts(error),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, ErrorCode::NotFound, "the start page lists what there is"),
            Self::WrongMethod(..) => {
                (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::WrongMethod, "see the interface's description")
            }
            Self::ForeignHost(_) => (
                StatusCode::MISDIRECTED_REQUEST,
                ErrorCode::ForeignHost,
                "use its IP address or its machine's name; further names are allowed with --allow-host on the master",
            ),
            Self::CrossSite => (StatusCode::FORBIDDEN, ErrorCode::CrossSite, "use the monitor of this farm itself"),
            Self::NotJson => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::NotJson, "see the interface's description")
            }
        }
    }
}

fn parts(error: &MasterError) -> (StatusCode, ErrorCode, &'static str) {
    match error {
        MasterError::Refused(refusal) => (status(refusal), refusal.code(), refusal.hint()),
        MasterError::Invalid(_) => (StatusCode::BAD_REQUEST, ErrorCode::BadRequest, "see the interface's description"),
        MasterError::NotThere(_) => {
            (StatusCode::NOT_FOUND, ErrorCode::NotThere, "see the job for the frames that are done")
        }
        MasterError::OtherProtocol(_) => {
            (StatusCode::CONFLICT, ErrorCode::OtherProtocol, "install the same netrender version on both machines")
        }
        MasterError::KeyInUse => (
            StatusCode::CONFLICT,
            ErrorCode::KeyInUse,
            "register with another key, or delete slave.key in the data folder of the copy",
        ),
        MasterError::WrongDigest(_) => (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::WrongDigest, "send it again"),
        MasterError::MissingPieces(_) => (
            StatusCode::CONFLICT,
            ErrorCode::MissingPieces,
            "ask which are missing, send them, then send the job again",
        ),
        MasterError::BadPicture(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::BadPicture, "render the frame again")
        }
        MasterError::DiskFull => (
            StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::DiskFull,
            "nothing is lost: free some room on the master's disk and try again",
        ),
        MasterError::Disk => {
            (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Disk, "nothing is lost: see the master's log")
        }
        MasterError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Stopping, "try again once it is back"),
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::UnknownJob(_) | Refusal::UnknownFrame(..) | Refusal::UnknownSlave(_) => StatusCode::NOT_FOUND,
        Refusal::WrongState { .. } | Refusal::SlaveIsGone { .. } | Refusal::NothingToStop(_) | Refusal::CantGrow(_) => {
            StatusCode::CONFLICT
        }
        Refusal::EditedMeanwhile { .. } => StatusCode::PRECONDITION_FAILED,
        Refusal::BadSpec(_) | Refusal::BadSetting(_) | Refusal::BadManifest(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let (status, code, hint) = self.parts();
        let error = ErrorDetail { code, message: self.to_string(), hint: hint.into() };
        let mut response = (status, Json(ErrorBody { error: error.clone() })).into_response();
        // `plain_pages::errors_as_pages` shows it as a page to browsers.
        response.extensions_mut().insert(error);
        response
    }
}
