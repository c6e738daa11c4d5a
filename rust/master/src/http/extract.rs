//! Extractors: JSON bodies, queries, path parameters and `If-Match`. Input that makes no sense is a
//! 400 in our own error form.

use super::error::HttpError;
use crate::error::MasterError;
use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request, path::ErrorKind, rejection::PathRejection},
    http::{HeaderMap, header, request::Parts},
};
use netrender_core::model::{
    digest::Digest,
    ids::{Frame, JobId, SlaveId},
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

fn invalid(why: String) -> HttpError {
    MasterError::Invalid(why).into()
}

/// A JSON body. It has to be called so in the header: a page of another site can't do that without
/// asking first.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        if !is_json(request.headers()) {
            return Err(HttpError::NotJson);
        }
        let bytes =
            axum::body::Bytes::from_request(request, state).await.map_err(|error| invalid(error.body_text()))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| invalid(format!("the body is not the JSON expected here: {error}")))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return false };
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The parameters after the `?`.
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let query = Query::try_from_uri(&parts.uri).map_err(|error| invalid(error.body_text()))?;
        Ok(Self(query.0))
    }
}

/// The parameters in the path.
pub struct PathParams<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let kind = match Path::from_request_parts(parts, state).await {
            Ok(Path(params)) => return Ok(Self(params)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => error.into_kind(),
            Err(error) => return Err(invalid(error.body_text())),
        };
        Err(invalid(match kind {
            ErrorKind::ParseErrorAtKey { key, value, .. } => format!("{value:?} is not a {key}'s number"),
            kind => kind.to_string(),
        }))
    }
}

/// The revision that the sender of an edit has seen, from `If-Match`; `None` if the edit applies to
/// any.
pub struct IfMatch(pub Option<u32>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let revision = text.trim_matches('"').parse();
        let revision = revision.map_err(|_| invalid(format!("If-Match: {text:?} is not the number of an edit")))?;
        Ok(Self(Some(revision)))
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct JobPath {
    /// Its number.
    #[param(value_type = u32, example = 1)]
    pub job: JobId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct FramePath {
    /// The number of its job.
    #[param(value_type = u32, example = 1)]
    pub job: JobId,
    /// Its number on the timeline.
    #[param(value_type = i32, example = 1)]
    pub frame: Frame,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OutputPath {
    /// The number of its job.
    #[param(value_type = u32, example = 1)]
    pub job: JobId,
    /// The number of its frame on the timeline.
    #[param(value_type = i32, example = 1)]
    pub frame: Frame,
    /// Its place in the frame's list, counted from 0.
    #[param(example = 0)]
    pub number: u32,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SlavePath {
    /// Its number.
    #[param(value_type = u32, example = 1)]
    pub slave: SlaveId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct JobSlavePath {
    #[param(value_type = u32, example = 1)]
    pub job: JobId,
    #[param(value_type = u32, example = 1)]
    pub slave: SlaveId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct BlobPath {
    /// The BLAKE3 digest of its bytes, as 64 digits.
    #[param(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
}
