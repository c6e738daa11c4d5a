//! Blobs by their digest: which are missing, in, out.

use super::{Answer, App, At, OfBlob, Ours, blocking};
use crate::master::{
    download::{About, send_blob},
    error::MasterError,
    space::check_room,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use futures_util::StreamExt;
use netrender_core::wire::{MissingReply, MissingRequest};

/// Largest blob taken: a 16K film with a hundred channels.
const MAX_BLOB: u64 = 64 << 30;

/// Which of these blobs are not there yet?
#[utoipa::path(
    post, path = "/blobs/missing", tag = "transfer", operation_id = "missing_blobs",
    request_body = MissingRequest,
    responses((status = OK, body = MissingReply)),
)]
pub(super) async fn missing(State(app): State<App>, Ours(request): Ours<MissingRequest>) -> Answer<MissingReply> {
    let look = move || request.digests.into_iter().filter(|digest| !app.blobs.has(digest)).collect();
    Ok(Json(MissingReply { missing: blocking(look).await? }))
}

/// Takes a blob.
#[utoipa::path(
    put, path = "/blobs/{digest}", tag = "transfer",
    params(OfBlob),
    request_body(content = [u8], content_type = "application/octet-stream"),
    responses((status = CREATED), (status = OK, description = "It was there")),
)]
pub(super) async fn put_blob(
    State(app): State<App>,
    At(OfBlob { digest }): At<OfBlob>,
    body: Body,
) -> Result<StatusCode, MasterError> {
    if app.blobs.has(&digest) {
        return Ok(StatusCode::OK);
    }
    check_room(&app.data)?;
    let mut incoming = app.blobs.incoming()?;
    let mut stream = body.into_data_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| MasterError::BadRequest(format!("the upload broke off: {error}")))?;
        if incoming.bytes() + bytes.len() as u64 > MAX_BLOB {
            return Err(MasterError::BadRequest(format!("a blob may have at most {MAX_BLOB} bytes")));
        }
        incoming = blocking(move || incoming.write(&bytes).map(|()| incoming)).await??;
    }
    blocking(move || incoming.finish(Some(digest))).await??;
    Ok(StatusCode::CREATED)
}

/// A blob.
#[utoipa::path(
    get, path = "/blobs/{digest}", tag = "transfer",
    params(OfBlob),
    responses((status = OK, body = [u8], content_type = "application/octet-stream")),
)]
pub(super) async fn get_blob(
    State(app): State<App>,
    At(OfBlob { digest }): At<OfBlob>,
    asked: HeaderMap,
) -> Result<Response, MasterError> {
    let about = About { mime: "application/octet-stream", name: None, lasts: true };
    send_blob(&app, &asked, digest, about).await
}
