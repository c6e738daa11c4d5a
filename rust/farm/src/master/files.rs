//! Files as they leave the master: frames' pictures, previews and logs under plain URLs, blobs by their digest. Each is proved
//! on its way; what proves damaged goes into quarantine, and its frame is rendered again.

use super::{
    error::MasterError,
    http::{App, blocking, digest},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use netrender_core::{
    digest::Digest,
    ids::{Frame, JobId},
    job::Job,
    scheduler::Command,
    task::TaskState,
};

/// A blob by its digest.
pub(super) async fn get_blob(State(app): State<App>, Path(name): Path<String>) -> Result<Response, MasterError> {
    send_blob(&app, digest(&name)?, "application/octet-stream", None).await
}

/// `/thumb_1_7.jpg`, `/render_1_7.exr`, `/log_1_7.log`; `/thumb_1.jpg` for the last frame of the job that has a picture.
pub(super) async fn plain(State(app): State<App>, Path(name): Path<String>) -> Result<Response, MasterError> {
    let unknown = || MasterError::NotFound(format!("/{name}"));
    let (kind, rest) = name.split_once('_').ok_or_else(unknown)?;
    let (numbers, extension) = rest.rsplit_once('.').ok_or_else(unknown)?;
    let Some((job, frame)) = numbers.split_once('_') else {
        let job = JobId(numbers.parse().map_err(|_| unknown())?);
        return if (kind, extension) == ("thumb", "jpg") { send_cover(&app, job, &name).await } else { Err(unknown()) };
    };
    let job = JobId(job.parse().map_err(|_| unknown())?);
    let frame = Frame(frame.parse().map_err(|_| unknown())?);
    let kind = match (kind, extension) {
        ("thumb", "jpg") => Plain::Thumb,
        ("render", "exr") => Plain::Render,
        ("log", "log") => Plain::Log,
        _ => return Err(unknown()),
    };
    let digest = app.owner.job(job, move |_, job| job.tasks.get(&frame).map(|task| kind.blob(task))).await?;
    let digest = digest.ok_or(netrender_core::error::Refusal::UnknownFrame(job, frame))?;
    if let (Plain::Thumb, None, Some(jpeg)) = (kind, digest, app.pictures.get(job, frame)) {
        let headers = [(header::CONTENT_TYPE, kind.mime()), (header::CACHE_CONTROL, "no-cache")];
        return Ok((headers, (*jpeg).clone()).into_response());
    }
    let digest =
        digest.ok_or_else(|| MasterError::NotThere(format!("frame {frame} of job {job} {}", kind.absent())))?;
    send_blob(&app, digest, kind.mime(), Some(&name)).await
}

#[derive(Clone, Copy)]
enum Plain {
    Thumb,
    Render,
    Log,
}

impl Plain {
    fn blob(self, task: &netrender_core::task::Task) -> Option<Digest> {
        match (self, &task.state) {
            (Self::Thumb, TaskState::Done(result)) => result.preview,
            (Self::Render, TaskState::Done(result)) => Some(result.film),
            (Self::Log, TaskState::Done(result)) => result.log,
            (Self::Log, _) => task.failures.last().and_then(|failure| failure.log),
            _ => None,
        }
    }

    fn mime(self) -> &'static str {
        match self {
            Self::Thumb => "image/jpeg",
            Self::Render => "image/x-exr",
            Self::Log => "text/plain; charset=utf-8",
        }
    }

    fn absent(self) -> &'static str {
        match self {
            Self::Thumb | Self::Render => "is not rendered yet",
            Self::Log => "has no log yet",
        }
    }
}

/// The picture that stands for a job.
async fn send_cover(app: &App, job: JobId, name: &str) -> Result<Response, MasterError> {
    let last = |job: &Job| job.tasks.values().rev().find_map(|task| Plain::Thumb.blob(task));
    match app.owner.job(job, move |_, job| last(job)).await? {
        Some(digest) => send_blob(app, digest, Plain::Thumb.mime(), Some(name)).await,
        None => Err(MasterError::NotThere(format!("job {job} {}", Plain::Thumb.absent()))),
    }
}

async fn send_blob(app: &App, digest: Digest, mime: &'static str, name: Option<&str>) -> Result<Response, MasterError> {
    let file = match tokio::fs::File::open(app.blobs.path(&digest)).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            spoil(app, digest).await;
            return Err(MasterError::NotThere(format!("there is no blob {digest}")));
        }
        Err(error) => {
            tracing::error!(%digest, "{error}");
            return Err(MasterError::Disk);
        }
    };
    let length = file.metadata().await.map(|meta| meta.len()).map_err(|_| MasterError::Disk)?;
    let body = Body::from_stream(proved(app.clone(), digest, file));
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, mime)
        .header(header::CONTENT_LENGTH, length)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::ETAG, format!("\"{digest}\""));
    if let Some(name) = name {
        response = response.header(header::CONTENT_DISPOSITION, format!("inline; filename=\"{name}\""));
    }
    response.body(body).map_err(|_| MasterError::Disk)
}

/// A blob's bytes. The last of them are given only when all of them are what the blob's name says: who receives a whole
/// body received the right one.
fn proved(
    app: App,
    digest: Digest,
    file: tokio::fs::File,
) -> impl Stream<Item = std::io::Result<axum::body::Bytes>> + Send {
    let bytes = tokio_util::io::ReaderStream::with_capacity(file, 256 << 10);
    let state = (app, Box::pin(bytes), blake3::Hasher::new(), None);
    stream::try_unfold(state, move |(app, mut bytes, mut hash, mut held)| async move {
        loop {
            match bytes.next().await.transpose()? {
                Some(next) => {
                    hash.update(&next);
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
                    return Err(std::io::Error::other(format!("{digest} is damaged on the master's disk")));
                }
            }
        }
    })
}

/// A picture is not what it was, or not there any more: its frames are rendered again, or finished.
async fn spoil(app: &App, film: Digest) {
    let frames = move |farm: &netrender_core::farm::Farm| {
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
