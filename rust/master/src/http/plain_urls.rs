//! Plain addresses for people and wget: frames' films, previews and logs, a job's pictures as a
//! zip, and lists of addresses.

use super::{
    downloads::{About, known, send_blob, send_bytes},
    error::HttpError,
    extract::{JobPath, PathParams, QueryParams},
};
use crate::{app::App, error::MasterError, services::archive::PictureKinds};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header, uri::Authority},
    response::{IntoResponse, Response},
};
use netrender_core::model::{
    digest::Digest,
    frames::FrameList,
    ids::{Frame, JobId},
    job::Job,
    task::{Task, TaskState},
};
use serde::Deserialize;
use std::fmt::Write;
use utoipa::IntoParams;

/// The pictures of a job that are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PicturesQuery {
    /// Frames, such as `1-10,15`; by default all that are done.
    #[param(value_type = Option<String>)]
    frames: Option<FrameList>,
    /// Films (`exr`), previews (`jpg`), or both (`all`).
    #[serde(default)]
    #[param(inline)]
    what: PictureKinds,
}

/// The preview, film or log of a frame: `/thumb_1_7.jpg`, `/render_1_7.exr`, `/log_1_7.log`. The
/// last preview of a job: `/thumb_1.jpg`. All pictures of a job: `/result_1.zip`.
#[utoipa::path(
    get, path = "/{name}", tag = "downloads",
    params(
        (
            "name" = String,
            Path,
            pattern = r"^((thumb|render|log)_[0-9]{1,9}_-?[0-9]{1,6}\.(jpg|exr|log)|thumb_[0-9]{1,9}\.jpg|result_[0-9]{1,9}\.zip)$",
        ),
        PicturesQuery,
    ),
    responses((status = OK, description = "The file")),
)]
pub(super) async fn plain(
    State(app): State<App>,
    Path(name): Path<String>,
    method: Method,
    asked: HeaderMap,
    QueryParams(query): QueryParams<PicturesQuery>,
) -> Result<Response, HttpError> {
    match address(&name) {
        Some(Address::Frame(kind, job, frame)) => send_frame(&app, &asked, kind, job, frame, &name).await,
        Some(Address::Cover(job)) => send_cover(&app, &asked, job, &name).await,
        Some(Address::Result(job)) => send_zip(&app, &method, &asked, job, query).await,
        None => Err(HttpError::NotFound(format!("/{name}"))),
    }
}

/// The meaning of a plain address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    Frame(Plain, JobId, Frame),
    Cover(JobId),
    Result(JobId),
}

fn address(name: &str) -> Option<Address> {
    let (kind, rest) = name.split_once('_')?;
    let (numbers, extension) = rest.rsplit_once('.')?;
    let Some((job, frame)) = numbers.split_once('_') else {
        let job = JobId(numbers.parse().ok()?);
        return match (kind, extension) {
            ("thumb", "jpg") => Some(Address::Cover(job)),
            ("result", "zip") => Some(Address::Result(job)),
            _ => None,
        };
    };
    let kind = match (kind, extension) {
        ("thumb", "jpg") => Plain::Thumb,
        ("render", "exr") => Plain::Render,
        ("log", "log") => Plain::Log,
        _ => return None,
    };
    Some(Address::Frame(kind, JobId(job.parse().ok()?), Frame(frame.parse().ok()?)))
}

async fn send_frame(
    app: &App,
    asked: &HeaderMap,
    kind: Plain,
    job: JobId,
    frame: Frame,
    name: &str,
) -> Result<Response, HttpError> {
    let digest = app.farm.task(job, frame, move |_, _, task| kind.blob(task)).await?;
    if let (Plain::Thumb, None, Some(picture)) = (kind, digest, app.unfinished.get(job, frame)) {
        return send_bytes(asked, (*picture.jpeg).clone().into(), kind.about(name));
    }
    let digest =
        digest.ok_or_else(|| MasterError::NotThere(format!("frame {frame} of job {job} {}", kind.absent())))?;
    send_blob(&app.reader, asked, digest, kind.about(name)).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Thumb,
    Render,
    Log,
}

impl Plain {
    fn blob(self, task: &Task) -> Option<Digest> {
        match (self, &task.state) {
            (Self::Thumb, TaskState::Done { result, .. }) => result.preview,
            (Self::Render, TaskState::Done { result, .. }) => Some(result.film),
            (Self::Log, TaskState::Done { result, .. }) => result.log,
            (Self::Log, _) => task.failures.last().and_then(|failure| failure.log),
            _ => None,
        }
    }

    /// The headers. A frame may be rendered again, so its address does not name these bytes only.
    fn about(self, name: &str) -> About<'_> {
        let mime = match self {
            Self::Thumb => "image/jpeg",
            Self::Render => "image/x-exr",
            Self::Log => "text/plain; charset=utf-8",
        };
        About { mime, name: Some(name), immutable: false }
    }

    fn absent(self) -> &'static str {
        match self {
            Self::Thumb | Self::Render => "is not rendered yet",
            Self::Log => "has no log yet",
        }
    }
}

/// Sends the picture that stands for a job: the last preview.
async fn send_cover(app: &App, asked: &HeaderMap, job: JobId, name: &str) -> Result<Response, HttpError> {
    let last = |job: &Job| job.tasks.values().rev().find_map(|task| Plain::Thumb.blob(task));
    match app.farm.job(job, move |_, job| last(job)).await? {
        Some(digest) => send_blob(&app.reader, asked, digest, Plain::Thumb.about(name)).await,
        None => Err(MasterError::NotThere(format!("job {job} {}", Plain::Thumb.absent())).into()),
    }
}

/// Sends the pictures in one archive.
async fn send_zip(
    app: &App,
    method: &Method,
    asked: &HeaderMap,
    job: JobId,
    PicturesQuery { frames, what }: PicturesQuery,
) -> Result<Response, HttpError> {
    let pictures = app.archive.pictures(job, frames, what).await?;
    let mut hash = blake3::Hasher::new();
    for picture in &pictures {
        hash.update(picture.name.as_bytes()).update(&picture.digest.0);
    }
    let tag = format!("\"{}\"", hash.finalize().to_hex());
    let about = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "no-cache".into()),
        (header::ACCEPT_RANGES, "none".into()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"result_{job}.zip\"")),
    ];
    if known(asked, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let zip = app.archive.zip(pictures).await?;
    let length = zip.length().to_string();
    let more = [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_LENGTH, length)];
    let body = if method == Method::HEAD { Body::empty() } else { Body::from_stream(app.archive.stream(zip)) };
    Ok((about, more, body).into_response())
}

/// The addresses of a job's pictures, one a line, for `wget -i`.
#[utoipa::path(
    get, path = "/jobs/{job}/urls.txt", tag = "downloads",
    params(JobPath, PicturesQuery),
    responses((status = OK, body = String)),
)]
pub(super) async fn urls(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    asked: HeaderMap,
    QueryParams(PicturesQuery { frames, what }): QueryParams<PicturesQuery>,
) -> Result<Response, HttpError> {
    let host = asked.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = host.ok_or_else(|| MasterError::Invalid("the request does not say which host it asks".into()))?;
    let mut list = String::new();
    for picture in app.archive.pictures(job, frames, what).await? {
        let _ = writeln!(list, "http://{host}/{}", picture.name);
    }
    let about = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    Ok((about, list).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_are_read() {
        let (job, frame) = (JobId(12), Frame(-3));
        assert_eq!(address("thumb_12_-3.jpg"), Some(Address::Frame(Plain::Thumb, job, frame)));
        assert_eq!(address("render_12_-3.exr"), Some(Address::Frame(Plain::Render, job, frame)));
        assert_eq!(address("log_12_-3.log"), Some(Address::Frame(Plain::Log, job, frame)));
        assert_eq!(address("thumb_12.jpg"), Some(Address::Cover(job)));
        assert_eq!(address("result_12.zip"), Some(Address::Result(job)));
        for nothing in
            ["thumb_12_-3.exr", "render_12.exr", "result_x.zip", "result_1_2.zip", "log", "", "_._", "thumb_1_2_3.jpg"]
        {
            assert_eq!(address(nothing), None, "{nothing:?}");
        }
    }
}
