//! What a request asks, taken apart: bodies, queries and numbers in addresses. What makes no sense is a clear 400 in our own
//! error form.

use crate::master::error::MasterError;
use axum::{
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
};
use netrender_core::{
    digest::Digest,
    ids::{Frame, JobId, SlaveId},
};
use serde::de::DeserializeOwned;

/// A JSON body of ours; anything else is a clear 400, in our own error form.
pub(in crate::master) struct Ours<T>(pub T);

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
pub(in crate::master) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = MasterError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MasterError> {
        let asked = Query::try_from_uri(&parts.uri).map_err(|error| MasterError::BadRequest(error.body_text()))?;
        Ok(Self(asked.0))
    }
}

pub(in crate::master) fn digest(text: &str) -> Result<Digest, MasterError> {
    text.parse().map_err(|error| MasterError::BadRequest(format!("{text:?}: {error}")))
}

pub(in crate::master) fn job_id(text: &str) -> Result<JobId, MasterError> {
    let wrong = |_| MasterError::BadRequest(format!("{text:?} is not a job's number"));
    text.parse().map(JobId).map_err(wrong)
}

pub(in crate::master) fn frame_id(text: &str) -> Result<Frame, MasterError> {
    let wrong = |_| MasterError::BadRequest(format!("{text:?} is not a frame's number"));
    text.parse().map(Frame).map_err(wrong)
}

pub(in crate::master) fn slave_id(text: &str) -> Result<SlaveId, MasterError> {
    let wrong = |_| MasterError::BadRequest(format!("{text:?} is not a slave's number"));
    text.parse().map(SlaveId).map_err(wrong)
}
