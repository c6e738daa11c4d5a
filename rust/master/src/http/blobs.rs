//! `/blobs`: bytes by their digest.

use super::{
    downloads::{About, send_blob},
    error::{HttpError, JsonReply},
    extract::{BlobPath, JsonBody, PathParams},
};
use crate::app::App;
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use netrender_core::wire::{MissingReply, MissingRequest};

/// The blobs of these that the master does not have yet.
#[utoipa::path(
    post, path = "/blobs/missing", tag = "transfer", operation_id = "missing_blobs",
    request_body = MissingRequest,
    responses((status = OK, body = MissingReply)),
)]
pub(super) async fn missing(
    State(app): State<App>,
    JsonBody(request): JsonBody<MissingRequest>,
) -> JsonReply<MissingReply> {
    Ok(Json(MissingReply { missing: app.intake.missing_blobs(request.digests).await? }))
}

/// Stores a blob.
#[utoipa::path(
    put, path = "/blobs/{digest}", tag = "transfer",
    params(BlobPath),
    request_body(content = [u8], content_type = "application/octet-stream"),
    responses((status = CREATED), (status = OK, description = "It was there")),
)]
pub(super) async fn put_blob(
    State(app): State<App>,
    PathParams(BlobPath { digest }): PathParams<BlobPath>,
    body: Body,
) -> Result<StatusCode, HttpError> {
    let is_new = app.intake.take_blob(digest, body.into_data_stream()).await?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}

/// The bytes of a blob.
#[utoipa::path(
    get, path = "/blobs/{digest}", tag = "transfer",
    params(BlobPath),
    responses((status = OK, body = [u8], content_type = "application/octet-stream")),
)]
pub(super) async fn get_blob(
    State(app): State<App>,
    PathParams(BlobPath { digest }): PathParams<BlobPath>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let about = About { mime: "application/octet-stream", name: None, immutable: true };
    send_blob(&app.reader, &headers, digest, about).await
}
