//! A frame looked at closely: who tried it, which samples are where, its passes, any of them as a picture, its logs. Films are
//! read by `netrender_film` alone.

use super::{
    download::{About, known, not_modified, send_made},
    error::MasterError,
    http::{App, Asked, At, OfFrame, blocking},
    live::Seen,
    view,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use netrender_core::{
    digest::Digest,
    error::Refusal,
    farm::Farm,
    ids::{Frame, JobId, SlaveId, Timestamp},
    job::Job,
    lease::Lease,
    task::{Task, TaskState},
    wire::{FrameDetail, PassView},
};
use netrender_film::{Choice, Expect, FilmError, PassHeader, Picture};
use serde::Deserialize;
use std::{
    collections::VecDeque,
    io::{Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
    time::UNIX_EPOCH,
};
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;
use utoipa::IntoParams;

/// Pictures of passes that are kept for the next exposure.
const KEPT_BYTES: usize = 128 << 20;
/// Read from a film at a time.
const WINDOW: usize = 256 << 10;
/// Films decoded at a time. Each takes the memory of a block of lines and of the picture.
const AT_ONCE: usize = 2;
/// Width of a picture when none is asked for.
const WIDTH: u32 = 1920;
/// Of JPEGs.
const QUALITY: u8 = 90;
/// Most of a log in one answer.
const MAX_LOG: u64 = 256 << 10;

/// How many bytes the log has, and where the next part begins.
const LOG_SIZE: HeaderName = HeaderName::from_static("x-log-size");
const LOG_NEXT: HeaderName = HeaderName::from_static("x-log-next");

/// A frame looked at closely: who tried it, which samples are where.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}", tag = "frames", operation_id = "frame",
    params(OfFrame),
    responses((status = OK, body = FrameDetail)),
)]
pub(super) async fn detail(
    State(app): State<App>,
    At(OfFrame { job, frame }): At<OfFrame>,
) -> Result<Json<FrameDetail>, MasterError> {
    let look = move |farm: &Farm, job: &Job, task: &Task| (view::frame(farm, job, frame, task), film_of(task));
    let (mut detail, film) = look_at(&app, job, frame, look).await?;
    if let Some(film) = film
        && let Some(last) = detail.attempts.last_mut()
    {
        // The log of events does not say when a frame was done; its film came then.
        let path = app.blobs.path(&film);
        let made = blocking(move || std::fs::metadata(path).and_then(|film| film.modified()).ok()).await?;
        last.at_ms =
            made.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|since| Timestamp(since.as_millis() as u64));
    }
    Ok(Json(detail))
}

async fn look_at<T: Send + 'static>(
    app: &App,
    job: JobId,
    frame: Frame,
    look: impl FnOnce(&Farm, &Job, &Task) -> T + Send + 'static,
) -> Result<T, MasterError> {
    let found = app.owner.job(job, move |farm, job| job.tasks.get(&frame).map(|task| look(farm, job, task))).await?;
    found.ok_or(Refusal::UnknownFrame(job, frame).into())
}

fn film_of(task: &Task) -> Option<Digest> {
    match &task.state {
        TaskState::Done(result) => Some(result.film),
        _ => None,
    }
}

/// The film of a frame that is done, and what size it must be of.
async fn film(app: &App, job: JobId, frame: Frame) -> Result<(Digest, Expect), MasterError> {
    let look = move |_: &Farm, job: &Job, task: &Task| {
        film_of(task).map(|film| (film, Expect { width: job.spec.width, height: job.spec.height }))
    };
    let found = look_at(app, job, frame, look).await?;
    found.ok_or_else(|| MasterError::NotThere(format!("frame {frame} of job {job} is not rendered yet")))
}

/// The passes of a frame that is done.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/passes", tag = "frames",
    params(OfFrame),
    responses((status = OK, body = [PassView])),
)]
pub(super) async fn passes(
    State(app): State<App>,
    At(OfFrame { job, frame }): At<OfFrame>,
) -> Result<Json<Vec<PassView>>, MasterError> {
    let (film, expect) = film(&app, job, frame).await?;
    let path = app.blobs.path(&film);
    let passes = blocking(move || netrender_film::passes(&path, &expect)).await?.map_err(unreadable)?;
    let view = |PassHeader { layer, view, pass, channels }| PassView { layer, pass, view, channels };
    Ok(Json(passes.into_iter().map(view).collect()))
}

fn unreadable(error: FilmError) -> MasterError {
    match error {
        FilmError::NoSuchPass { .. } => MasterError::NotThere(error.to_string()),
        error => MasterError::BadPicture(error.to_string()),
    }
}

/// What of a film is shown, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    /// The view layer; the film's own picture without `pass`.
    #[serde(default)]
    layer: String,
    pass: Option<String>,
    /// Which eye or camera; the first without it.
    view: Option<String>,
    /// In stops.
    #[serde(default)]
    exposure: f32,
    /// In pixels; no more than the film's.
    width: Option<u32>,
}

/// Pictures of passes, as they were read from films: another exposure needs no other reading.
#[derive(Debug)]
pub struct Passes {
    kept: Mutex<VecDeque<(Key, Arc<Picture>)>>,
    readers: Semaphore,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    film: Digest,
    choice: Option<Choice>,
    width: u32,
}

impl Default for Passes {
    fn default() -> Self {
        Self { kept: Mutex::default(), readers: Semaphore::new(AT_ONCE) }
    }
}

impl Passes {
    fn get(&self, key: &Key) -> Option<Arc<Picture>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(one, _)| one == key)?;
        let found = kept.remove(at)?;
        kept.push_back(found);
        kept.back().map(|(_, picture)| picture.clone())
    }

    /// The least recently used go.
    fn put(&self, key: Key, picture: Arc<Picture>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((key, picture));
        let mut bytes: usize = kept.iter().map(|(_, picture)| picture.bytes()).sum();
        while bytes > KEPT_BYTES
            && let Some((_, oldest)) = kept.pop_front()
        {
            bytes -= oldest.bytes();
        }
    }
}

/// What there is of a frame whose samples still come: all its passes, as if these were all. Another one every few seconds.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/unfinished.exr", tag = "frames",
    params(OfFrame),
    responses((status = OK, body = [u8], content_type = "image/x-exr")),
)]
pub(super) async fn unfinished(
    State(app): State<App>,
    At(OfFrame { job, frame }): At<OfFrame>,
) -> Result<Response, MasterError> {
    look_at(&app, job, frame, |_, _, _| ()).await?;
    let Some(film) = app.pictures.get(job, frame).and_then(|picture| picture.film) else {
        return Err(MasterError::NotThere(format!("frame {frame} of job {job} has nothing to show yet")));
    };
    // Open, it can be read to its end, whatever replaces it meanwhile; only Windows needs its name for as long.
    let file = tokio::fs::File::open(&**film).await.map_err(|_| MasterError::Disk)?;
    let length = file.metadata().await.map_err(|_| MasterError::Disk)?.len();
    let bytes = ReaderStream::with_capacity(file, WINDOW).map(move |bytes| {
        let _keep = &film;
        bytes
    });
    let headers = [
        (header::CONTENT_TYPE, "image/x-exr".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// A pass of a frame as a PNG.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/image.png", tag = "frames",
    params(OfFrame, Shown),
    responses((status = OK, body = [u8], content_type = "image/png")),
)]
pub(super) async fn png(
    State(app): State<App>,
    At(of): At<OfFrame>,
    asked: HeaderMap,
    Asked(shown): Asked<Shown>,
) -> Result<Response, MasterError> {
    image(&app, of, &asked, shown, "image/png", Picture::png).await
}

/// A pass of a frame as a JPEG.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/image.jpg", tag = "frames",
    params(OfFrame, Shown),
    responses((status = OK, body = [u8], content_type = "image/jpeg")),
)]
pub(super) async fn jpeg(
    State(app): State<App>,
    At(of): At<OfFrame>,
    asked: HeaderMap,
    Asked(shown): Asked<Shown>,
) -> Result<Response, MasterError> {
    image(&app, of, &asked, shown, "image/jpeg", |picture, exposure| picture.jpeg(exposure, QUALITY)).await
}

async fn image(
    app: &App,
    OfFrame { job, frame }: OfFrame,
    asked: &HeaderMap,
    Shown { layer, pass, view, exposure, width }: Shown,
    mime: &'static str,
    encode: impl FnOnce(&Picture, f32) -> Result<Vec<u8>, FilmError> + Send + 'static,
) -> Result<Response, MasterError> {
    if !exposure.is_finite() {
        return Err(MasterError::BadRequest("the exposure is a number of stops, such as -1.5".into()));
    }
    let (film, expect) = film(app, job, frame).await?;
    let choice = pass.map(|pass| Choice { layer, pass, view });
    let width = width.unwrap_or(WIDTH).min(expect.width);
    let key = Key { film, choice, width };
    let tag = format!("\"{}\"", blake3::hash(format!("{key:?} {exposure} {mime}").as_bytes()).to_hex());
    let about = About { mime, name: None, lasts: false };
    if known(asked, &tag) {
        return not_modified(&tag, about);
    }
    let _turn = app.passes.readers.acquire().await.map_err(|_| MasterError::Stopping)?;
    let (passes, path) = (app.passes.clone(), app.blobs.path(&film));
    let made = blocking(move || {
        let picture = match passes.get(&key) {
            Some(picture) => picture,
            None => {
                let read = netrender_film::picture(&path, &expect, key.choice.as_ref(), key.width)?;
                let picture = Arc::new(read);
                passes.put(key, picture.clone());
                picture
            }
        };
        encode(&picture, exposure)
    });
    send_made(&tag, made.await?.map_err(unreadable)?.into(), about)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogPart {
    /// The first byte wanted.
    #[serde(default)]
    offset: u64,
    /// Of which attempt, counted from 0; without it of the one that is on its way, or else the last that has one.
    attempt: Option<usize>,
    /// Of several slaves that render it now, which.
    slave: Option<u32>,
}

/// A part of what Blender printed, or prints; 256 KiB at most. Nothing, while a frame is on its way and nothing was heard of it.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/log", tag = "frames",
    params(OfFrame, LogPart),
    responses(
        (
            status = OK,
            body = String,
            headers(
                ("X-Log-Size" = u64, description = "How many bytes there are"),
                ("X-Log-Next" = u64, description = "Where the next part begins"),
            ),
        ),
    ),
)]
pub(super) async fn log(
    State(app): State<App>,
    At(OfFrame { job, frame }): At<OfFrame>,
    Asked(LogPart { offset, attempt, slave }): Asked<LogPart>,
) -> Result<Response, MasterError> {
    let slave = slave.map(SlaveId);
    let look = move |farm: &Farm, _: &Job, task: &Task| {
        let on_its_way = matches!(task.state, TaskState::Leased { .. } | TaskState::Sharing(_))
            && attempt.is_none_or(|attempt| attempt == task.failures.len());
        let has_it = |lease: &Lease| Some(lease.slave) == slave && lease.job == job && lease.frames.contains(&frame);
        (logs(task), on_its_way, slave.is_none() || farm.leases.values().any(has_it))
    };
    let (logs, on_its_way, is_at_it) = look_at(&app, job, frame, look).await?;
    if on_its_way && let Some(Seen { text, at, size }) = app.live.see(job, frame, slave, offset) {
        return Ok(log_part(&text, at, size));
    }
    let log = match attempt {
        Some(attempt) => logs.get(attempt).copied().flatten(),
        None => logs.iter().rev().find_map(|log| *log),
    };
    if log.is_none() && on_its_way && is_at_it {
        return Ok(log_part(b"", 0, 0));
    }
    let log = log.ok_or_else(|| MasterError::NotThere(format!("frame {frame} of job {job} has no such log yet")))?;
    let path = app.blobs.path(&log);
    let read = blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset.min(size)))?;
        let mut text = Vec::new();
        file.take(MAX_LOG).read_to_end(&mut text)?;
        Ok::<_, std::io::Error>((text, size))
    });
    let (text, size) = read.await?.map_err(|error| {
        tracing::error!(%log, "{error}");
        MasterError::NotThere(format!("the log of frame {frame} of job {job} can't be read"))
    })?;
    Ok(log_part(&text, offset.min(size), size))
}

fn log_part(text: &[u8], at: u64, size: u64) -> Response {
    let text = whole_letters(text);
    let next = at + text.len() as u64;
    let headers = [(LOG_SIZE, size.to_string()), (LOG_NEXT, next.to_string())];
    (headers, [(header::CACHE_CONTROL, "no-store")], String::from_utf8_lossy(text).into_owned()).into_response()
}

/// The log of each attempt, as in [`view::frame`].
fn logs(task: &Task) -> Vec<Option<Digest>> {
    let mut logs: Vec<_> = task.failures.iter().map(|failure| failure.log).collect();
    match &task.state {
        TaskState::Done(result) => logs.push(result.log),
        TaskState::Sharing(sharing) => logs.extend(sharing.parts.last().map(|part| part.result.log)),
        _ => {}
    }
    logs
}

/// Without a letter cut in two at the end: it begins the next part.
fn whole_letters(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => &text[..error.valid_up_to()],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_is_cut_in_two() {
        let text = "Bild gespeichert: Möwe.exr\n".as_bytes();
        for end in 0..=text.len() {
            let part = whole_letters(&text[..end]);
            assert!(std::str::from_utf8(part).is_ok() && part.len() + 1 >= end);
        }
        assert_eq!(whole_letters(b"a\xffb"), b"a\xffb", "what is no text stays what it is");
    }
}
