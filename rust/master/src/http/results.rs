//! `/results` and `/failures`: frames that slaves hand in or failed to render.

use super::{
    error::{HttpError, JsonReply},
    extract::JsonBody,
};
use crate::app::App;
use axum::{Json, extract::State, http::StatusCode};
use netrender_core::wire::{BakeRequest, FailRequest, HandInReply, HandInRequest};

/// Hands in a frame, or some samples of one. The blobs it names must have been sent before.
#[utoipa::path(
    post, path = "/results", tag = "work",
    request_body = HandInRequest,
    responses((status = OK, body = HandInReply)),
)]
pub(super) async fn hand_in(
    State(app): State<App>,
    JsonBody(request): JsonBody<HandInRequest>,
) -> JsonReply<HandInReply> {
    Ok(Json(HandInReply { fresh: app.results.hand_in(request).await? }))
}

/// Hands in a job's .blend with its simulations baked. The blobs it names must have been sent
/// before.
#[utoipa::path(
    post, path = "/bakes", tag = "work",
    request_body = BakeRequest,
    responses((status = OK, body = HandInReply)),
)]
pub(super) async fn hand_in_bake(
    State(app): State<App>,
    JsonBody(request): JsonBody<BakeRequest>,
) -> JsonReply<HandInReply> {
    Ok(Json(HandInReply { fresh: app.results.hand_in_bake(request).await? }))
}

/// Reports that a frame failed.
#[utoipa::path(post, path = "/failures", tag = "work", request_body = FailRequest, responses((status = NO_CONTENT)))]
pub(super) async fn fail(
    State(app): State<App>,
    JsonBody(request): JsonBody<FailRequest>,
) -> Result<StatusCode, HttpError> {
    app.results.fail(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
