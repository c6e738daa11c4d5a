//! A job's pictures in one download: a zip that is made while it is sent, and lists of addresses for wget. A film is not worth
//! compressing again, so files are stored as they are and the length is known before the first byte.

mod zip;

use super::{
    download::{known, open, proved},
    error::MasterError,
    http::{App, Asked, At, OfJob, blocking},
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, header, uri::Authority},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use netrender_core::{
    digest::Digest,
    frames::FrameList,
    ids::{Frame, JobId},
    job::Job,
    task::TaskState,
};
use serde::Deserialize;
use std::{fmt::Write, io, time::SystemTime};
use tokio::{
    io::AsyncSeekExt,
    sync::mpsc::{self, Sender},
};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zip::{Directory, Entry};

/// Read from a file at a time.
const WINDOW: usize = 256 << 10;

/// Which of a job's pictures.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Chosen {
    /// Such as `1-10,15`; all that are done without it.
    #[param(value_type = Option<String>)]
    frames: Option<FrameList>,
    /// Films, JPEGs, or both.
    #[serde(default)]
    #[param(inline)]
    what: What,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    Exr,
    Jpg,
    #[default]
    All,
}

/// A picture of a frame that is done.
struct Picture {
    name: String,
    digest: Digest,
}

impl Chosen {
    /// Of these, what is there, in order of frames.
    fn of(&self, job: &Job) -> Vec<Picture> {
        let frames = self.frames.as_ref().map(FrameList::frames);
        let chosen = job.tasks.iter().filter(|(frame, _)| frames.as_ref().is_none_or(|all| all.contains(frame)));
        let mut pictures = Vec::new();
        for (frame, task) in chosen {
            let TaskState::Done(result) = &task.state else { continue };
            if self.what != What::Jpg {
                pictures.push(Picture { name: render_name(job.id, *frame), digest: result.film });
            }
            if let Some(digest) = result.preview.filter(|_| self.what != What::Exr) {
                pictures.push(Picture { name: thumb_name(job.id, *frame), digest });
            }
        }
        pictures
    }

    async fn look(self, app: &App, job: JobId) -> Result<Vec<Picture>, MasterError> {
        let pictures = app.owner.job(job, move |_, job| self.of(job)).await?;
        if pictures.is_empty() {
            return Err(MasterError::NotThere(format!("none of these frames of job {job} is rendered yet")));
        }
        Ok(pictures)
    }
}

fn render_name(job: JobId, frame: Frame) -> String {
    format!("render_{job}_{frame}.exr")
}

fn thumb_name(job: JobId, frame: Frame) -> String {
    format!("thumb_{job}_{frame}.jpg")
}

/// `/result_1.zip`
pub(super) async fn result(
    app: &App,
    method: &Method,
    asked: &HeaderMap,
    job: JobId,
    chosen: Chosen,
) -> Result<Response, MasterError> {
    let pictures = chosen.look(app, job).await?;
    let mut hash = blake3::Hasher::new();
    for Picture { name, digest } in &pictures {
        hash.update(name.as_bytes()).update(&digest.0);
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
    let entries = measure(app, pictures).await?;
    let length = zip::length(entries.iter().map(|(entry, _)| entry));
    let more = [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    let body = if method == Method::HEAD { Body::empty() } else { Body::from_stream(packed(app.clone(), entries)) };
    Ok((about, more, body).into_response())
}

/// How large each file is, and when it came.
async fn measure(app: &App, pictures: Vec<Picture>) -> Result<Vec<(Entry, Digest)>, MasterError> {
    let blobs = app.blobs.clone();
    let look = move |Picture { name, digest }| match std::fs::metadata(blobs.path(&digest)) {
        Ok(found) => {
            Ok((Entry { name, bytes: found.len(), at: found.modified().unwrap_or(SystemTime::UNIX_EPOCH) }, digest))
        }
        Err(_) => Err(digest),
    };
    match blocking(move || pictures.into_iter().map(look).collect::<Result<Vec<_>, _>>()).await? {
        Ok(entries) => Ok(entries),
        // Says what is wrong with it, and sees to it.
        Err(digest) => Err(open(app, digest).await.err().unwrap_or(MasterError::Disk)),
    }
}

/// The archive's bytes, made no faster than they are taken.
fn packed(app: App, entries: Vec<(Entry, Digest)>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (pipe, out) = mpsc::channel(4);
    tokio::spawn(async move {
        if let Err(error) = pack(&app, entries, &pipe).await {
            // The length was promised, so the other side sees that the archive is not whole.
            let _ = pipe.send(Err(error)).await;
        }
    });
    stream::unfold(out, |mut out| async move { out.recv().await.map(|bytes| (bytes, out)) })
}

async fn pack(app: &App, entries: Vec<(Entry, Digest)>, pipe: &Sender<io::Result<Bytes>>) -> io::Result<()> {
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let mut directory = Directory::default();
    for (entry, digest) in entries {
        let mut file = open(app, digest).await.map_err(io::Error::other)?;
        // A checksum stands before the bytes. So each file is read to its end first, which proves it before any of it leaves;
        // the second time it mostly comes from memory.
        let first = file.try_clone().await?;
        let sum = proved(app.clone(), digest, first, 0)
            .try_fold(crc32fast::Hasher::new(), |mut sum, bytes| async move {
                sum.update(&bytes);
                Ok(sum)
            })
            .await?;
        file.rewind().await?;
        let head = directory.add(&entry, sum.finalize());
        pipe.send(Ok(head.into())).await.map_err(gone)?;
        let mut bytes = ReaderStream::with_capacity(file, WINDOW);
        while let Some(bytes) = bytes.next().await {
            pipe.send(Ok(bytes?)).await.map_err(gone)?;
        }
    }
    pipe.send(Ok(directory.end().into())).await.map_err(gone)
}

/// The addresses of a job's pictures, one a line, for `wget -i`.
#[utoipa::path(
    get, path = "/jobs/{job}/urls.txt", tag = "downloads",
    params(OfJob, Chosen),
    responses((status = OK, body = String)),
)]
pub(super) async fn urls(
    State(app): State<App>,
    At(OfJob { job }): At<OfJob>,
    asked: HeaderMap,
    Asked(chosen): Asked<Chosen>,
) -> Result<Response, MasterError> {
    let host = asked.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = host.ok_or_else(|| MasterError::BadRequest("the request does not say which host it asks".into()))?;
    let mut list = String::new();
    for picture in chosen.look(&app, job).await? {
        let _ = writeln!(list, "http://{host}/{}", picture.name);
    }
    let about = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    Ok((about, list).into_response())
}
