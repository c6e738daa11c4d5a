//! Downloads: `ETag` and `If-None-Match`, `Range` and `If-Range`, caching. Which bytes an address
//! means is not decided here.

use super::error::HttpError;
use crate::{
    error::MasterError,
    services::blob_reader::{BlobReader, WINDOW},
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, StatusCode, header, response::Builder},
    response::Response,
};
use netrender_core::model::digest::Digest;
use std::{io, ops::Range};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Headers of a download.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub mime: &'static str,
    /// The name under which a browser saves it.
    pub name: Option<&'a str>,
    /// The address names these bytes only (`Cache-Control: immutable`).
    pub immutable: bool,
}

/// Sends a blob, or the part of it that is asked for.
pub(super) async fn send_blob(
    reader: &BlobReader,
    asked: &HeaderMap,
    digest: Digest,
    about: About<'_>,
) -> Result<Response, HttpError> {
    let mut file = reader.open(digest).await?;
    let length = file.metadata().await.map(|meta| meta.len()).map_err(|_| MasterError::Disk)?;
    let tag = format!("\"{digest}\"");
    let part = match wanted(asked, &tag, length) {
        Wanted::Nothing => return not_modified(&tag, about),
        Wanted::Beyond => return beyond(&tag, length, about),
        Wanted::Whole => None,
        Wanted::Part(part) => Some(part),
    };
    let body = match &part {
        // The whole file is proved even if only its end is sent: a client that resumes a download
        // then has the right file.
        Some(part) if part.end < length => {
            file.seek(io::SeekFrom::Start(part.start)).await.map_err(|_| MasterError::Disk)?;
            Body::from_stream(ReaderStream::with_capacity(file.take(part.end - part.start), WINDOW))
        }
        part => Body::from_stream(reader.stream(digest, file, part.as_ref().map_or(0, |part| part.start))),
    };
    respond(&tag, part, length, about, body)
}

/// Sends bytes that are in memory.
pub(super) fn send_bytes(asked: &HeaderMap, bytes: Bytes, about: About<'_>) -> Result<Response, HttpError> {
    let tag = format!("\"{}\"", blake3::hash(&bytes).to_hex());
    let length = bytes.len() as u64;
    match wanted(asked, &tag, length) {
        Wanted::Nothing => not_modified(&tag, about),
        Wanted::Beyond => beyond(&tag, length, about),
        Wanted::Whole => respond(&tag, None, length, about, Body::from(bytes)),
        Wanted::Part(part) => {
            let some = bytes.slice(part.start as usize..part.end as usize);
            respond(&tag, Some(part), length, about, Body::from(some))
        }
    }
}

/// Tells the client that it has the current bytes.
pub(super) fn not_modified(tag: &str, about: About<'_>) -> Result<Response, HttpError> {
    finish(head(StatusCode::NOT_MODIFIED, tag, about), Body::empty())
}

/// Sends bytes that were made for this response; `tag` names what they were made from.
pub(super) fn send_made(tag: &str, bytes: Bytes, about: About<'_>) -> Result<Response, HttpError> {
    respond(tag, None, bytes.len() as u64, about, Body::from(bytes))
}

/// The part of a file that the client lacks.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// None: the client has the file already.
    Nothing,
    Whole,
    /// A range that is not empty.
    Part(Range<u64>),
    /// A range that begins after the end.
    Beyond,
}

fn wanted(asked: &HeaderMap, tag: &str, length: u64) -> Wanted {
    let said = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    if known(asked, tag) {
        return Wanted::Nothing;
    }
    match said(header::RANGE) {
        // If the file changed since the download was begun, all of it is wanted.
        Some(range) if said(header::IF_RANGE).is_none_or(|begun| begun == tag) => part(range, length),
        _ => Wanted::Whole,
    }
}

/// True if the client has what this tag names.
pub(super) fn known(asked: &HeaderMap, tag: &str) -> bool {
    asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).is_some_and(|tags| names(tags, tag))
}

/// True if a list of tags, as in `If-None-Match`, has this one.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Reads `bytes=5-9`, `bytes=5-` or `bytes=-5`. Several ranges, and text that is no range, are
/// ignored (RFC 9110, 14.2).
fn part(range: &str, length: u64) -> Wanted {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        // More digits than a number holds are a place after the end of any file.
        plain.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let spec = range.split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = spec.and_then(|(_, spec)| spec.trim().split_once('-')) else { return Wanted::Whole };
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Some(first), None) if last.is_empty() => (first, length),
        (None, Some(0)) if first.is_empty() => return Wanted::Beyond,
        (None, Some(last)) if first.is_empty() => (length.saturating_sub(last), length),
        _ => return Wanted::Whole,
    };
    match length {
        0 if first.is_empty() => Wanted::Whole,
        _ if start >= length => Wanted::Beyond,
        _ => Wanted::Part(start..end),
    }
}

/// The headers that a response has whether bytes follow or not.
fn head(status: StatusCode, tag: &str, about: About<'_>) -> Builder {
    let caching = if about.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = Response::builder()
        .status(status)
        .header(header::ETAG, tag)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, caching)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    match about.name {
        Some(name) => head.header(header::CONTENT_DISPOSITION, format!("inline; filename=\"{name}\"")),
        None => head,
    }
}

fn respond(
    tag: &str,
    part: Option<Range<u64>>,
    length: u64,
    about: About<'_>,
    body: Body,
) -> Result<Response, HttpError> {
    let head = match part {
        None => head(StatusCode::OK, tag, about).header(header::CONTENT_LENGTH, length),
        Some(Range { start, end }) => head(StatusCode::PARTIAL_CONTENT, tag, about)
            .header(header::CONTENT_LENGTH, end - start)
            .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{length}", end - 1)),
    };
    finish(head.header(header::CONTENT_TYPE, about.mime), body)
}

fn beyond(tag: &str, length: u64, about: About<'_>) -> Result<Response, HttpError> {
    let head = head(StatusCode::RANGE_NOT_SATISFIABLE, tag, about);
    finish(head.header(header::CONTENT_RANGE, format!("bytes */{length}")), Body::empty())
}

/// Fails only if a header is invalid; all of them are made here.
fn finish(head: Builder, body: Body) -> Result<Response, HttpError> {
    head.body(body).map_err(|error| {
        tracing::error!("a response can't be made: {error}");
        MasterError::Disk.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_the_standard_wants() {
        for (range, length, expected) in [
            ("bytes=0-0", 10, Wanted::Part(0..1)),
            ("bytes=2-5", 10, Wanted::Part(2..6)),
            ("bytes=2-99", 10, Wanted::Part(2..10)),
            ("bytes=9-", 10, Wanted::Part(9..10)),
            ("bytes=-3", 10, Wanted::Part(7..10)),
            ("bytes=-30", 10, Wanted::Part(0..10)),
            ("BYTES = 1-2", 10, Wanted::Part(1..3)),
            ("bytes=10-", 10, Wanted::Beyond),
            ("bytes=99999999999999999999999-", 10, Wanted::Beyond),
            ("bytes=-0", 10, Wanted::Beyond),
            ("bytes=0-", 0, Wanted::Beyond),
            ("bytes=-5", 0, Wanted::Whole),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=0-1,4-5", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=+1-2", 10, Wanted::Whole),
            ("lines=1-2", 10, Wanted::Whole),
            ("", 10, Wanted::Whole),
        ] {
            assert_eq!(part(range, length), expected, "{range:?} of {length}");
        }
    }

    #[test]
    fn tags_in_a_list_are_found() {
        assert!(names("\"a\", W/\"b\"", "\"b\"") && names("*", "\"b\""));
        assert!(!names("\"abc\"", "\"b\"") && !names("", "\"b\""));
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file_and_is_not_empty(range in "(bytes=)?[0-9]{0,22}-?[0-9]{0,22}", length in 0u64..100) {
            if let Wanted::Part(Range { start, end }) = part(&range, length) {
                prop_assert!(start < end && end <= length);
            }
        }
    }
}
