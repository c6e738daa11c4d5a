//! Files under the addresses people and wget use: frames' pictures, previews and logs. How their bytes
//! travel is in `download.rs`.

use super::{
    archive::{self, Chosen},
    download::{About, send_blob, send_bytes},
    error::MasterError,
    http::{App, Asked},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method},
    response::Response,
};
use netrender_core::{
    digest::Digest,
    error::Refusal,
    ids::{Frame, JobId},
    job::Job,
    task::{Task, TaskState},
};

/// `/thumb_1_7.jpg`, `/render_1_7.exr`, `/log_1_7.log`; `/thumb_1.jpg` for the last frame of the job that has a picture;
/// `/result_1.zip` for all of them.
#[utoipa::path(
    get, path = "/{name}", tag = "downloads",
    params(
        (
            "name" = String,
            Path,
            pattern = r"^((thumb|render|log)_[0-9]{1,9}_-?[0-9]{1,6}\.(jpg|exr|log)|thumb_[0-9]{1,9}\.jpg|result_[0-9]{1,9}\.zip)$",
        ),
        Chosen,
    ),
    responses((status = OK, description = "The file")),
)]
pub(super) async fn plain(
    State(app): State<App>,
    Path(name): Path<String>,
    method: Method,
    asked: HeaderMap,
    Asked(chosen): Asked<Chosen>,
) -> Result<Response, MasterError> {
    match address(&name) {
        Some(Address::Frame(kind, job, frame)) => send_frame(&app, &asked, kind, job, frame, &name).await,
        Some(Address::Cover(job)) => send_cover(&app, &asked, job, &name).await,
        Some(Address::Result(job)) => archive::result(&app, &method, &asked, job, chosen).await,
        None => Err(MasterError::NotFound(format!("/{name}"))),
    }
}

/// What a plain address means.
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
) -> Result<Response, MasterError> {
    let digest = app.owner.job(job, move |_, job| job.tasks.get(&frame).map(|task| kind.blob(task))).await?;
    let digest = digest.ok_or(Refusal::UnknownFrame(job, frame))?;
    if let (Plain::Thumb, None, Some(picture)) = (kind, digest, app.pictures.get(job, frame)) {
        return send_bytes(asked, (*picture.jpeg).clone().into(), kind.about(name));
    }
    let digest =
        digest.ok_or_else(|| MasterError::NotThere(format!("frame {frame} of job {job} {}", kind.absent())))?;
    send_blob(app, asked, digest, kind.about(name)).await
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
            (Self::Thumb, TaskState::Done(result)) => result.preview,
            (Self::Render, TaskState::Done(result)) => Some(result.film),
            (Self::Log, TaskState::Done(result)) => result.log,
            (Self::Log, _) => task.failures.last().and_then(|failure| failure.log),
            _ => None,
        }
    }

    /// A frame may be rendered again, so the address does not mean these bytes for ever.
    fn about(self, name: &str) -> About<'_> {
        let mime = match self {
            Self::Thumb => "image/jpeg",
            Self::Render => "image/x-exr",
            Self::Log => "text/plain; charset=utf-8",
        };
        About { mime, name: Some(name), lasts: false }
    }

    fn absent(self) -> &'static str {
        match self {
            Self::Thumb | Self::Render => "is not rendered yet",
            Self::Log => "has no log yet",
        }
    }
}

/// The picture that stands for a job.
async fn send_cover(app: &App, asked: &HeaderMap, job: JobId, name: &str) -> Result<Response, MasterError> {
    let last = |job: &Job| job.tasks.values().rev().find_map(|task| Plain::Thumb.blob(task));
    match app.owner.job(job, move |_, job| last(job)).await? {
        Some(digest) => send_blob(app, asked, digest, Plain::Thumb.about(name)).await,
        None => Err(MasterError::NotThere(format!("job {job} {}", Plain::Thumb.absent()))),
    }
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
