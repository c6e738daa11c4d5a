//! `/pieces`: pieces of jobs' files. Digests travel as 32 bytes each, answers to "which are
//! missing" as bits, pieces as [`netrender_store::pieces::Record`]s: a list of a hundred thousand
//! must not weigh more than what it saves.

use super::error::HttpError;
use crate::{app::App, error::MasterError};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use netrender_core::model::digest::Digest;
use netrender_store::pieces::{Record, Records};
use std::io;

/// Most digests in one question: 16 MiB of them.
pub(super) const MAX_ASKED: usize = 1 << 19;
/// Most pieces sent in one answer.
const MAX_GIVEN: usize = 8192;
/// Bytes read and thrown away of an upload that was refused.
const MAX_SKIPPED: usize = 64 << 20;

/// For each of these pieces one bit, lowest first: 1 if the master does not have it yet.
#[utoipa::path(
    post, path = "/pieces/missing", tag = "transfer", operation_id = "missing_pieces",
    request_body(content = [u8], content_type = "application/octet-stream", description = "Digests of 32 bytes each"),
    responses((status = OK, body = [u8], content_type = "application/octet-stream")),
)]
pub(super) async fn missing(State(app): State<App>, body: Bytes) -> Result<Response, HttpError> {
    let missing = app.intake.missing_pieces(digests(&body, MAX_ASKED)?).await?;
    let mut bits = vec![0u8; missing.len().div_ceil(8)];
    for (at, missing) in missing.into_iter().enumerate() {
        bits[at / 8] |= u8::from(missing) << (at % 8);
    }
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bits).into_response())
}

/// Stores pieces. They are durable once a job that needs them is accepted.
#[utoipa::path(
    post, path = "/pieces", tag = "transfer", operation_id = "put_pieces",
    request_body(
        content = [u8],
        content_type = "application/octet-stream",
        description = "Records, one after the other: digest (32 bytes), length and number of bytes that follow (32 bits \
                       each, little-endian), the bytes, packed with zstd if they are fewer than the length",
    ),
    responses((status = NO_CONTENT)),
)]
pub(super) async fn put(State(app): State<App>, body: Body) -> Result<StatusCode, HttpError> {
    let mut records = Records::new(body.into_data_stream());
    let mut room = app.intake.room();
    loop {
        let next = records.next().await;
        let taken = match (&mut room, next) {
            (Err(full), _) => Err(full.clone()),
            (Ok(_), Ok(None)) => return Ok(StatusCode::NO_CONTENT),
            (Ok(room), Ok(Some(record))) => match room.take(record.length() as u64) {
                Ok(()) => app.intake.take_piece(record).await,
                full => full,
            },
            (Ok(_), Err(error)) => Err(MasterError::Invalid(error.to_string())),
        };
        if let Err(error) = taken {
            // A client that is still sending does not read the answer before the connection breaks.
            records.skip(MAX_SKIPPED).await;
            return Err(error.into());
        }
    }
}

/// The records of these pieces, in the same order. All of them or an error; a damaged one breaks
/// the response off.
#[utoipa::path(
    post, path = "/pieces/get", tag = "transfer", operation_id = "get_pieces",
    request_body(content = [u8], content_type = "application/octet-stream", description = "Digests of 32 bytes each"),
    responses((status = OK, body = [u8], content_type = "application/octet-stream", description = "Records")),
)]
pub(super) async fn get(State(app): State<App>, body: Bytes) -> Result<Response, HttpError> {
    let digests = digests(&body, MAX_GIVEN)?;
    let missing = app.intake.missing_pieces(digests.clone()).await?;
    let absent = missing.into_iter().filter(|missing| *missing).count();
    if absent > 0 {
        return Err(MasterError::NotThere(format!("{absent} of these pieces are not here")).into());
    }
    let records = stream::iter(digests)
        .map(move |digest| {
            let intake = app.intake.clone();
            async move {
                let record = intake.piece(digest).await.map_err(io::Error::other)?;
                record.ok_or_else(|| io::Error::other(format!("the piece {digest} is not here any more")))
            }
        })
        .buffered(2)
        .map_ok(|record: Record| {
            let head = Bytes::copy_from_slice(&record.head());
            let parts: Vec<_> = std::iter::once(head).chain(record.parts().iter().cloned()).collect();
            stream::iter(parts.into_iter().map(Ok::<_, io::Error>))
        })
        .try_flatten();
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(records)).into_response())
}

fn digests(body: &Bytes, most: usize) -> Result<Vec<Digest>, MasterError> {
    let (digests, rest) = body.as_chunks::<32>();
    if !rest.is_empty() || digests.len() > most {
        return Err(MasterError::Invalid(format!("at most {most} digests of 32 bytes each are expected here")));
    }
    Ok(digests.iter().copied().map(Digest).collect())
}
