//! Jobs' files over HTTP: which pieces are missing, pieces in, pieces out, and the check of a job's list of files. Digests
//! travel as 32 bytes each, answers to "which are missing" as bits, pieces as [`crate::pieces::Record`]s: a list of a
//! hundred thousand must not weigh more than what it saves.

use super::{
    error::MasterError,
    http::{App, blocking},
    space::check_room,
};
use crate::{
    blobs::BlobStore,
    pieces::{PieceStore, Record, Records},
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use netrender_core::{
    digest::Digest,
    error::Refusal,
    manifest::Manifest,
    recipe::{self, MAX_PIECES},
};
use std::collections::HashSet;

/// Most digests in one question: 16 MiB of them.
pub const MAX_ASKED: usize = 1 << 19;
/// Most pieces sent in one answer.
const MAX_GIVEN: usize = 8192;
/// Read and thrown away of an upload that was refused.
const MAX_SKIPPED: usize = 64 << 20;
/// Largest manifest read into memory.
const MAX_MANIFEST: u64 = 512 << 20;

/// Which of these pieces are not there yet? For each digest one bit, lowest first: 1 when it is missing.
#[utoipa::path(
    post, path = "/pieces/missing", tag = "transfer", operation_id = "missing_pieces",
    request_body(content = [u8], content_type = "application/octet-stream", description = "Digests of 32 bytes each"),
    responses((status = OK, body = [u8], content_type = "application/octet-stream")),
)]
pub async fn missing(State(app): State<App>, body: Bytes) -> Result<Response, MasterError> {
    let digests = digests(&body, MAX_ASKED)?;
    let missing = blocking(move || app.pieces.missing(&digests)).await??;
    let mut bits = vec![0u8; missing.len().div_ceil(8)];
    for (at, missing) in missing.into_iter().enumerate() {
        bits[at / 8] |= u8::from(missing) << (at % 8);
    }
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bits).into_response())
}

/// Takes pieces. They are durable when a job that needs them is accepted.
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
pub async fn put(State(app): State<App>, body: Body) -> Result<StatusCode, MasterError> {
    let mut records = Records::new(body.into_data_stream());
    let room = check_room(&app.data);
    loop {
        let taken = match records.next().await {
            _ if room.is_err() => room.clone(),
            Ok(None) => return Ok(StatusCode::NO_CONTENT),
            Ok(Some(record)) => {
                let pieces = app.pieces.clone();
                blocking(move || pieces.put(&record)).await?.map_err(MasterError::from)
            }
            Err(error) => Err(MasterError::BadRequest(error.to_string())),
        };
        if taken.is_err() {
            // Who is still sending does not read the answer before the connection breaks.
            records.skip(MAX_SKIPPED).await;
            return taken.map(|()| StatusCode::NO_CONTENT);
        }
    }
}

/// Gives pieces, in the order asked for. All of them or an error; one that proves rotten on the way ends the answer.
#[utoipa::path(
    post, path = "/pieces/get", tag = "transfer", operation_id = "get_pieces",
    request_body(content = [u8], content_type = "application/octet-stream", description = "Digests of 32 bytes each"),
    responses((status = OK, body = [u8], content_type = "application/octet-stream", description = "Records")),
)]
pub async fn get(State(app): State<App>, body: Bytes) -> Result<Response, MasterError> {
    let digests = digests(&body, MAX_GIVEN)?;
    let asked = digests.clone();
    let pieces = app.pieces.clone();
    let absent = blocking(move || pieces.missing(&asked)).await??.into_iter().filter(|missing| *missing).count();
    if absent > 0 {
        return Err(MasterError::NotThere(format!("{absent} of these pieces are not here")));
    }
    let records = stream::iter(digests)
        .map(move |digest| {
            let pieces = app.pieces.clone();
            async move {
                match blocking(move || pieces.get(&digest)).await {
                    Ok(Ok(Some(record))) => Ok(record),
                    Ok(Ok(None)) => Err(std::io::Error::other(format!("the piece {digest} is not here any more"))),
                    Ok(Err(error)) => Err(std::io::Error::other(error)),
                    Err(error) => Err(std::io::Error::other(error)),
                }
            }
        })
        .buffered(2)
        .map_ok(|record: Record| {
            let head = Bytes::copy_from_slice(&record.head());
            let parts: Vec<_> = std::iter::once(head).chain(record.parts().iter().cloned()).collect();
            stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>))
        })
        .try_flatten();
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(records)).into_response())
}

fn digests(body: &Bytes, most: usize) -> Result<Vec<Digest>, MasterError> {
    let (digests, rest) = body.as_chunks::<32>();
    if !rest.is_empty() || digests.len() > most {
        return Err(MasterError::BadRequest(format!("at most {most} digests of 32 bytes each are expected here")));
    }
    Ok(digests.iter().copied().map(Digest).collect())
}

fn bad(why: &str) -> MasterError {
    MasterError::BadRequest(format!("the job's list of files can't be used: {why}"))
}

/// A job's list of files. It is safe.
pub fn read_manifest(blobs: &BlobStore, digest: Digest) -> Result<Manifest, MasterError> {
    let Some(bytes) = blobs.size(&digest) else { return Err(MasterError::MissingPieces(1)) };
    if bytes > MAX_MANIFEST {
        return Err(bad(&format!("it has {bytes} bytes")));
    }
    let text = std::fs::read(blobs.path(&digest)).map_err(|error| bad(&error.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| bad(&error.to_string()))?;
    manifest.check().map_err(Refusal::BadManifest)?;
    Ok(manifest)
}

/// The manifest is safe, and every file is here whole, as long as it claims. Makes all of it durable.
pub fn check_files(blobs: &BlobStore, pieces: &PieceStore, digest: Digest) -> Result<(), MasterError> {
    let manifest = read_manifest(blobs, digest)?;
    let mut absent = 0;
    let mut seen = HashSet::new();
    for asset in manifest.assets.iter().filter(|asset| asset.pieces > 0) {
        if !seen.insert((asset.digest, asset.bytes, asset.pieces)) {
            continue;
        }
        let lies = |why: &str| bad(&format!("{:?} is not what it claims: {why}", asset.source));
        let Some(size) = pieces.size(&asset.digest)? else {
            absent += 1;
            continue;
        };
        if asset.pieces == 1 {
            if u64::from(size) != asset.bytes {
                return Err(lies(&format!("it has {size} bytes, not {}", asset.bytes)));
            }
            continue;
        }
        if size > MAX_PIECES * 36 {
            return Err(lies("its list of pieces is too long"));
        }
        let Some(record) = pieces.get(&asset.digest)? else {
            absent += 1;
            continue;
        };
        let list = record.open().map_err(|error| lies(&error.to_string()))?;
        for piece in recipe::decode(&list, asset.pieces, asset.bytes).map_err(|error| lies(&error.to_string()))? {
            match pieces.size(&piece.digest)? {
                None => absent += 1,
                Some(size) if size != piece.bytes => return Err(lies("a piece has another size")),
                Some(_) => {}
            }
        }
    }
    if absent > 0 {
        return Err(MasterError::MissingPieces(absent));
    }
    Ok(pieces.commit()?)
}
