//! What a request asks, taken apart: bodies, queries and numbers in addresses. What makes no sense is a clear 400 in our own
//! error form.

use crate::master::error::MasterError;
use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request, path::ErrorKind, rejection::PathRejection},
    http::request::Parts,
};
use netrender_core::{
    digest::Digest,
    ids::{Frame, JobId, SlaveId},
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

/// A JSON body of ours; anything else is a clear 400, in our own error form.
pub struct Ours<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Ours<T> {
    type Rejection = MasterError;

    async fn from_request(request: Request, state: &S) -> Result<Self, MasterError> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|error| MasterError::BadRequest(error.body_text()))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| MasterError::BadRequest(format!("the body is not the JSON expected here: {error}")))
    }
}

/// What follows the `?`; anything else is a clear 400, in our own error form.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = MasterError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MasterError> {
        let asked = Query::try_from_uri(&parts.uri).map_err(|error| MasterError::BadRequest(error.body_text()))?;
        Ok(Self(asked.0))
    }
}

/// The numbers in an address.
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = MasterError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MasterError> {
        let why = match Path::from_request_parts(parts, state).await {
            Ok(Path(at)) => return Ok(Self(at)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => error.into_kind(),
            Err(error) => return Err(MasterError::BadRequest(error.body_text())),
        };
        Err(MasterError::BadRequest(match why {
            ErrorKind::ParseErrorAtKey { key, value, .. } => format!("{value:?} is not a {key}'s number"),
            why => why.to_string(),
        }))
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfJob {
    /// Its number.
    #[param(value_type = u32, example = 1)]
    pub job: JobId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfFrame {
    /// Of which job.
    #[param(value_type = u32, example = 1)]
    pub job: JobId,
    /// Its number on the timeline.
    #[param(value_type = i32, example = 1)]
    pub frame: Frame,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfSlave {
    /// Its number.
    #[param(value_type = u32, example = 1)]
    pub slave: SlaveId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfJobAndSlave {
    #[param(value_type = u32, example = 1)]
    pub job: JobId,
    #[param(value_type = u32, example = 1)]
    pub slave: SlaveId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfBlob {
    /// The BLAKE3 digest of its bytes, as 64 digits.
    #[param(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
}
