//! `/slaves/...` as slaves use it: they register, poll for work, give signs of life and leave.

use super::{
    error::{HttpError, JsonReply},
    extract::{JsonBody, PathParams, SlavePath},
};
use crate::app::App;
use axum::{Json, extract::State, http::StatusCode};
use netrender_core::wire::{Heartbeat, PollReply, PollRequest, RegisterReply, RegisterRequest};

/// Registers a slave with what it can do.
#[utoipa::path(
    post, path = "/slaves", tag = "work",
    request_body = RegisterRequest,
    responses((status = OK, body = RegisterReply)),
)]
pub(super) async fn register(
    State(app): State<App>,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> JsonReply<RegisterReply> {
    Ok(Json(app.slaves.register(request).await?))
}

/// Polls for work: the slave says what it holds and wants. Held open until there is something to do
/// or to drop, for 25 s at most.
#[utoipa::path(
    post, path = "/slaves/{slave}/poll", tag = "work",
    params(SlavePath),
    request_body = PollRequest,
    responses((status = OK, body = PollReply)),
)]
pub(super) async fn poll(
    State(app): State<App>,
    PathParams(SlavePath { slave }): PathParams<SlavePath>,
    JsonBody(request): JsonBody<PollRequest>,
) -> JsonReply<PollReply> {
    Ok(Json(app.slaves.poll(slave, request).await?))
}

/// A slave's heartbeat.
#[utoipa::path(
    post, path = "/slaves/{slave}/heartbeat", tag = "work",
    params(SlavePath),
    request_body = Heartbeat,
    responses((status = NO_CONTENT)),
)]
pub(super) async fn heartbeat(
    State(app): State<App>,
    PathParams(SlavePath { slave }): PathParams<SlavePath>,
    JsonBody(beat): JsonBody<Heartbeat>,
) -> Result<StatusCode, HttpError> {
    app.slaves.heartbeat(slave, beat).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a slave off the farm. Its frames go back to the queue.
#[utoipa::path(post, path = "/slaves/{slave}/leave", tag = "work", params(SlavePath), responses((status = NO_CONTENT)))]
pub(super) async fn leave(
    State(app): State<App>,
    PathParams(SlavePath { slave }): PathParams<SlavePath>,
) -> Result<StatusCode, HttpError> {
    app.slaves.leave(slave).await?;
    Ok(StatusCode::NO_CONTENT)
}
