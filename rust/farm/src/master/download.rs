//! How bytes leave the master: proved on their way, whole or from some byte on, and not at all when the other side has them.
//! What proves damaged goes into quarantine, and its frame is rendered again. Which bytes are asked for is not decided here.

use super::{
    error::MasterError,
    http::{App, blocking},
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, StatusCode, header, response::Builder},
    response::Response,
};
use futures_util::{Stream, StreamExt, stream};
use netrender_core::{digest::Digest, farm::Farm, scheduler::Command, task::TaskState};
use std::{io, ops::Range};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Read from a file at a time.
const WINDOW: usize = 256 << 10;

/// What is said of the bytes.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub mime: &'static str,
    /// As what a browser saves them.
    pub name: Option<&'a str>,
    /// Whether the address means these very bytes for ever.
    pub lasts: bool,
}

/// A blob, or the part of it that is asked for.
pub(super) async fn send_blob(
    app: &App,
    asked: &HeaderMap,
    digest: Digest,
    about: About<'_>,
) -> Result<Response, MasterError> {
    let mut file = open(app, digest).await?;
    let length = file.metadata().await.map(|meta| meta.len()).map_err(|_| MasterError::Disk)?;
    let tag = format!("\"{digest}\"");
    let part = match wanted(asked, &tag, length) {
        Wanted::Nothing => return not_modified(&tag, about),
        Wanted::Beyond => return beyond(&tag, length, about),
        Wanted::Whole => None,
        Wanted::Part(part) => Some(part),
    };
    let body = match &part {
        // The whole file is proved even if only its end is sent: who goes on with what broke off has the right file then.
        Some(part) if part.end < length => {
            file.seek(io::SeekFrom::Start(part.start)).await.map_err(|_| MasterError::Disk)?;
            Body::from_stream(ReaderStream::with_capacity(file.take(part.end - part.start), WINDOW))
        }
        part => Body::from_stream(proved(app.clone(), digest, file, part.as_ref().map_or(0, |part| part.start))),
    };
    answer(&tag, part, length, about, body)
}

/// Bytes that are in memory.
pub(super) fn send_bytes(asked: &HeaderMap, bytes: Bytes, about: About<'_>) -> Result<Response, MasterError> {
    let tag = format!("\"{}\"", blake3::hash(&bytes).to_hex());
    let length = bytes.len() as u64;
    match wanted(asked, &tag, length) {
        Wanted::Nothing => not_modified(&tag, about),
        Wanted::Beyond => beyond(&tag, length, about),
        Wanted::Whole => answer(&tag, None, length, about, Body::from(bytes)),
        Wanted::Part(part) => {
            let some = bytes.slice(part.start as usize..part.end as usize);
            answer(&tag, Some(part), length, about, Body::from(some))
        }
    }
}

/// The other side has it.
pub(super) fn not_modified(tag: &str, about: About<'_>) -> Result<Response, MasterError> {
    finish(head(StatusCode::NOT_MODIFIED, tag, about), Body::empty())
}

/// Bytes that were made for this answer and go by another name than what they are.
pub(super) fn send_made(tag: &str, bytes: Bytes, about: About<'_>) -> Result<Response, MasterError> {
    answer(tag, None, bytes.len() as u64, about, Body::from(bytes))
}

/// The file of a blob. One that should be here and is not is rendered again.
pub(super) async fn open(app: &App, digest: Digest) -> Result<tokio::fs::File, MasterError> {
    match tokio::fs::File::open(app.blobs.path(&digest)).await {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            spoil(app, digest).await;
            Err(MasterError::NotThere(format!("there is no blob {digest}")))
        }
        Err(error) => {
            tracing::error!(%digest, "{error}");
            Err(MasterError::Disk)
        }
    }
}

/// A blob's bytes from `from` on. The last of them are given only when all of the blob is what its name says: who receives a
/// whole body received the right one.
pub(super) fn proved(
    app: App,
    digest: Digest,
    file: tokio::fs::File,
    from: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let bytes = ReaderStream::with_capacity(file, WINDOW);
    let state = (app, Box::pin(bytes), blake3::Hasher::new(), None);
    stream::try_unfold(state, move |(app, mut bytes, mut hash, mut held)| async move {
        loop {
            match bytes.next().await.transpose()? {
                Some(mut next) => {
                    let skipped = from.saturating_sub(hash.count()).min(next.len() as u64);
                    hash.update(&next);
                    let next = next.split_off(skipped as usize);
                    if next.is_empty() {
                        continue;
                    }
                    if let Some(given) = held.replace(next) {
                        return Ok(Some((given, (app, bytes, hash, held))));
                    }
                }
                None if Digest(*hash.finalize().as_bytes()) == digest => {
                    return Ok(held.take().map(|last| (last, (app, bytes, hash, None))));
                }
                None => {
                    let blobs = app.blobs.clone();
                    tracing::error!(%digest, "a file is damaged on the disk: it is put into quarantine");
                    if let Ok(Err(error)) = blocking(move || blobs.quarantine(&digest)).await {
                        tracing::error!(%digest, "{error}");
                    }
                    spoil(&app, digest).await;
                    return Err(io::Error::other(format!("{digest} is damaged on the master's disk")));
                }
            }
        }
    })
}

/// A picture is not what it was, or not there any more: its frames are rendered again, or finished.
async fn spoil(app: &App, film: Digest) {
    let frames = move |farm: &Farm| {
        let tasks = farm.jobs.values().flat_map(|job| job.tasks.iter().map(|(frame, task)| (job.id, *frame, task)));
        let spoiled = tasks.filter(|(_, _, task)| {
            matches!(&task.state, TaskState::Done(done) if done.film == film)
                || task.merged.as_ref().is_some_and(|merged| merged.result.film == film)
        });
        spoiled.map(|(job, frame, _)| (job, frame)).collect::<Vec<_>>()
    };
    for (job, frame) in app.owner.look(frames).await.unwrap_or_default() {
        tracing::error!(%job, %frame, "its picture is damaged on the disk: it is rendered again");
        if let Err(error) = app.owner.command(Command::Spoil { job, frame, film }).await {
            tracing::error!(%job, %frame, "{error}");
        }
    }
}

/// What the other side lacks of something.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// It has it.
    Nothing,
    Whole,
    /// Never empty.
    Part(Range<u64>),
    /// A part that begins after the end.
    Beyond,
}

fn wanted(asked: &HeaderMap, tag: &str, length: u64) -> Wanted {
    let said = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    if known(asked, tag) {
        return Wanted::Nothing;
    }
    match said(header::RANGE) {
        // Of something else than what was begun, all is wanted.
        Some(range) if said(header::IF_RANGE).is_none_or(|begun| begun == tag) => part(range, length),
        _ => Wanted::Whole,
    }
}

/// Whether the other side has what this tag names.
pub(super) fn known(asked: &HeaderMap, tag: &str) -> bool {
    asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).is_some_and(|tags| names(tags, tag))
}

/// Whether a list of tags, as in `If-None-Match`, has this one.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// `bytes=5-9`, `bytes=5-`, `bytes=-5`. Several parts at once, and what is no range, count as no wish (RFC 9110, 14.2).
fn part(range: &str, length: u64) -> Wanted {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        // More digits than a number holds: farther than any file reaches.
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

/// What is said whether bytes follow or not.
fn head(status: StatusCode, tag: &str, about: About<'_>) -> Builder {
    let caching = if about.lasts { "public, max-age=31536000, immutable" } else { "no-cache" };
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

fn answer(
    tag: &str,
    part: Option<Range<u64>>,
    length: u64,
    about: About<'_>,
    body: Body,
) -> Result<Response, MasterError> {
    let head = match part {
        None => head(StatusCode::OK, tag, about).header(header::CONTENT_LENGTH, length),
        Some(Range { start, end }) => head(StatusCode::PARTIAL_CONTENT, tag, about)
            .header(header::CONTENT_LENGTH, end - start)
            .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{length}", end - 1)),
    };
    finish(head.header(header::CONTENT_TYPE, about.mime), body)
}

fn beyond(tag: &str, length: u64, about: About<'_>) -> Result<Response, MasterError> {
    let head = head(StatusCode::RANGE_NOT_SATISFIABLE, tag, about);
    finish(head.header(header::CONTENT_RANGE, format!("bytes */{length}")), Body::empty())
}

/// An error only if a header can't be one; all of them are made here.
fn finish(head: Builder, body: Body) -> Result<Response, MasterError> {
    head.body(body).map_err(|error| {
        tracing::error!("an answer can't be put together: {error}");
        MasterError::Disk
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
