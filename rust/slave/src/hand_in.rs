//! Handing in a frame after Blender is done with it, while the next one renders: the film is
//! inspected, a preview made, and everything sent; or the failure reported. Nothing rendered is
//! lost while the master is away.

use super::{
    connection::{Link, may_work_later},
    failure::failure,
    outputs::{self, Output, check_written},
    shared::Shared,
    spool::{Saved, outputs_of},
    task::Task,
    view::{View, view},
    worker::{LogBook, last_lines},
};
use netrender_core::{
    model::{
        digest::Digest,
        ids::SlaveId,
        result::{FailureKind, TaskError},
    },
    wire::{ErrorCode, FailRequest, HandInRequest, PartOf},
};
use netrender_film::Expect;
use netrender_net::{
    api::{Api, ApiError},
    retry::Backoff,
};
use netrender_store::blobs::{digest_of, digest_of_file};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// JPEG quality of previews.
const PREVIEW_QUALITY: u8 = 90;
/// Upper bounds of the log's end that is quoted in an error message.
const QUOTED_LINES: usize = 30;
const QUOTED_BYTES: usize = 4096;

/// A film as Blender wrote it.
pub struct RenderedFilm {
    /// The multilayer EXR; removed once it is handed in.
    pub path: PathBuf,
    /// Rendering time as Blender says.
    pub seconds: f64,
    /// Time that fetching and loading the scene took before.
    pub warm_up_s: f64,
    /// View transform for the preview.
    pub view: Arc<View>,
    /// File that the view transform was read from, if there is one.
    pub table: Option<PathBuf>,
    /// Blender's output for the frame.
    pub log: LogSource,
}

/// Place of a film's log.
pub enum LogSource {
    /// In a worker's log book, under this request number.
    Worker(Arc<LogBook>, u64),
    /// Read from the spool: an earlier run of this slave rendered the film.
    Saved(String),
}

impl From<Saved> for RenderedFilm {
    fn from(saved: Saved) -> Self {
        let Saved { film, seconds, log, view: table, .. } = saved;
        let view = Arc::new(view(table.clone()));
        Self { path: film, seconds, warm_up_s: 0.0, view, table: table.map(PathBuf::from), log: LogSource::Saved(log) }
    }
}

/// Outcome of a hand-in.
enum Outcome {
    /// The master has the film, or knows that there is none.
    Settled,
    /// The slave stops, or belongs to another farm by now.
    Waits,
}

/// An inspected film with everything that is handed in beside it. A part of a frame has no preview:
/// the master makes one of all parts, with the view transform.
struct Upload {
    film: Digest,
    preview: Option<(Digest, Vec<u8>)>,
    view: Option<(Digest, Vec<u8>)>,
    log: (Digest, String),
    outputs: Vec<Output>,
}

/// Result of a look at a film and at the files beside it.
struct Inspected {
    film: Digest,
    preview: Option<Vec<u8>>,
    outputs: Vec<Output>,
}

/// Hands a film in, or reports that it is unusable. The permit bounds how many films wait.
pub async fn hand_in(shared: Arc<Shared>, task: Task, film: RenderedFilm, permit: Option<OwnedSemaphorePermit>) {
    let (log, new) = match &film.log {
        LogSource::Worker(book, id) => {
            // Twice, so that the film is not lost while the last line of its log is awaited.
            keep(&shared, &task, film.seconds, "");
            let log = book.take(*id).await;
            keep(&shared, &task, film.seconds, &log);
            (log, true)
        }
        LogSource::Saved(log) => (log.clone(), false),
    };
    let written = if new { check_written(&log) } else { Ok(()) };
    let inspected = match written {
        Ok(()) => inspect(&shared, &task, &film).await,
        Err(why) => Err(why),
    };
    let outcome = match inspected {
        Ok(Inspected { film: film_digest, preview: jpeg, outputs }) => {
            let named = |bytes: Vec<u8>| (digest_of(&bytes), bytes);
            let table = film.table.as_ref().filter(|_| task.share.is_some());
            let view = table.and_then(|table| tokio::task::block_in_place(|| std::fs::read(table)).ok());
            let (preview, view) = (jpeg.map(named), view.map(named));
            let upload = Upload { film: film_digest, preview, view, log: (digest_of(log.as_bytes()), log), outputs };
            deliver(&shared, &task, &film, &upload).await
        }
        Err(why) if new && shared.folder.is_nearly_full() => {
            // The fault is this machine's and must not count as an attempt of the frame.
            tracing::warn!(job = %task.key.job, frame = %task.frame, why, "given back: the disk is full");
            shared.leases.send_modify(|leases| leases.give_back(&task));
            Outcome::Settled
        }
        Err(why) if new => {
            report_failure(&shared, &task, bad_picture(&task, &why), &log).await;
            Outcome::Settled
        }
        Err(why) => {
            // After a power cut, for example: that is no failed attempt of the frame.
            tracing::warn!(job = %task.key.job, frame = %task.frame, why, "a film did not survive");
            shared.leases.send_modify(|leases| leases.give_back(&task));
            Outcome::Settled
        }
    };
    if let Outcome::Settled = outcome
        && let Err(error) = shared.folder.spool.remove(&task)
    {
        tracing::warn!(path = %film.path.display(), %error, "a film stays in the spool");
    }
    drop(permit);
}

/// Notes in the spool what the film is, so that it survives a restart.
fn keep(shared: &Shared, task: &Task, seconds: f64, log: &str) {
    if let Err(error) = tokio::task::block_in_place(|| shared.folder.spool.keep(task, seconds, log)) {
        tracing::warn!(frame = %task.frame, %error, "the film would not survive a restart");
    }
}

fn bad_picture(task: &Task, why: &str) -> TaskError {
    failure(FailureKind::BadPicture, format!("the picture of frame {} is not what the job asks for: {why}", task.frame))
}

/// Checks and decodes the film; names it and the files beside it by their digests and makes, for a
/// whole frame, the preview. Runs away from the async threads and few at a time: decoded films are
/// large.
async fn inspect(shared: &Shared, task: &Task, film: &RenderedFilm) -> Result<Inspected, String> {
    let _turn = shared.decoding.acquire().await.map_err(|error| error.to_string())?;
    let (path, view) = (film.path.clone(), Arc::clone(&film.view));
    let expect = Expect { width: task.spec.width, height: task.spec.film_lines(task.share) };
    let whole = task.share.is_none();
    let inspecting = tokio::task::spawn_blocking(move || {
        let seen = netrender_film::read(&path, &expect).map_err(|error| error.to_string())?;
        let jpeg = whole.then(|| netrender_film::preview_jpeg(&seen, &view, PREVIEW_QUALITY)).transpose();
        let jpeg = jpeg.map_err(|error| error.to_string())?;
        let digest = digest_of_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Inspected { film: digest, preview: jpeg, outputs: outputs::read(&outputs_of(&path))? })
    });
    // A decoder that panics on a film says something about the film.
    inspecting.await.unwrap_or_else(|error| Err(format!("it can't be decoded ({error})")))
}

/// Tries to hand a film in until the master has it or refuses it.
async fn deliver(shared: &Arc<Shared>, task: &Task, film: &RenderedFilm, upload: &Upload) -> Outcome {
    let mut backoff = Backoff::default();
    // A frame that was dropped meanwhile is handed in too: the master takes a late film of an open
    // frame, and says when it needs none.
    while let Some(link) = shared.connection.to(&task.key.farm).await {
        match attempt(&link.api, link.slave, task, film, upload).await {
            Ok(fresh) => {
                let (job, frame) = (task.key.job, task.frame);
                tracing::info!(%job, %frame, fresh, "handed in");
                shared.leases.send_modify(|leases| leases.done(task));
                shared.snapshot.send_modify(|shown| shown.rendered += 1);
                return Outcome::Settled;
            }
            Err(error) if error.is_code(ErrorCode::UnknownJob) || error.is_code(ErrorCode::UnknownFrame) => {
                let (job, frame) = (task.key.job, task.frame);
                tracing::info!(%job, %frame, "nobody needs it any more");
                shared.leases.send_modify(|leases| leases.done(task));
                return Outcome::Settled;
            }
            // Blobs may vanish between the question and the hand-in, with a job that was deleted.
            Err(error) if may_work_later(&error) || error.is_code(ErrorCode::MissingPieces) => {
                tracing::debug!(frame = %task.frame, %error, "not handed in yet");
                backoff.wait().await;
            }
            Err(error) if error.is_code(ErrorCode::BadPicture) => {
                report_failure(shared, task, bad_picture(task, &error.to_string()), &upload.log.1).await;
                return Outcome::Settled;
            }
            Err(error) => {
                let why = format!("frame {} was rendered but not taken: {error}", task.frame);
                report_failure(shared, task, failure(FailureKind::HandInFailed, why), &upload.log.1).await;
                return Outcome::Settled;
            }
        }
    }
    Outcome::Waits
}

/// Sends what the master lacks of an upload and hands the frame in. True unless the frame was
/// handed in before.
async fn attempt(
    api: &Api,
    slave: SlaveId,
    task: &Task,
    film: &RenderedFilm,
    upload: &Upload,
) -> Result<bool, ApiError> {
    let Upload { film: digest, preview, view, log, outputs } = upload;
    let small: Vec<&(Digest, Vec<u8>)> = preview.iter().chain(view).collect();
    let others = small.iter().map(|(digest, _)| *digest).chain(outputs.iter().map(|output| output.file.digest));
    let asked: Vec<Digest> = [*digest, log.0].into_iter().chain(others).collect();
    let missing = api.missing(&asked).await?;
    let send_film = async { if missing.contains(digest) { api.put_file(*digest, &film.path).await } else { Ok(()) } };
    let send_small = async {
        for (digest, bytes) in small.into_iter().filter(|(digest, _)| missing.contains(digest)) {
            api.put_blob(*digest, bytes.clone()).await?;
        }
        Ok(())
    };
    let send_log = async { if missing.contains(&log.0) { api.put_blob(log.0, log.1.clone()).await } else { Ok(()) } };
    let send_outputs = async {
        for Output { file, path } in outputs.iter().filter(|output| missing.contains(&output.file.digest)) {
            api.put_file(file.digest, path).await?;
        }
        Ok(())
    };
    tokio::try_join!(send_film, send_small, send_log, send_outputs)?;
    let request = HandInRequest {
        slave,
        job: task.key.job,
        frame: task.frame,
        film: *digest,
        preview: preview.as_ref().map(|(digest, _)| *digest),
        log: Some(log.0),
        seconds: film.seconds,
        outputs: outputs.iter().map(|output| output.file.clone()).collect(),
        part: task.share.map(|share| PartOf {
            lease: task.lease,
            share,
            view: view.as_ref().map(|(digest, _)| *digest),
            warm_up_s: film.warm_up_s,
        }),
    };
    Ok(api.hand_in(&request).await?.fresh)
}

/// Reports a failed frame to the master. The message ends with the log's last lines.
pub async fn report_failure(shared: &Shared, task: &Task, mut error: TaskError, log: &str) {
    let quoted = last_lines(log, QUOTED_LINES, QUOTED_BYTES);
    let (job, frame) = (task.key.job, task.frame);
    tracing::warn!(%job, %frame, kind = %error.kind, why = %error.message, "frame failed");
    shared.snapshot.send_modify(|shown| {
        shown.failed += 1;
        shown.error = Some(format!("job {job}, frame {frame}: {}", error.message));
    });
    if !quoted.is_empty() {
        error.message.push_str("\nThe log's last lines:\n");
        error.message.push_str(&quoted);
    }
    let digest = (!log.is_empty()).then(|| digest_of(log.as_bytes()));
    let error = &error;
    let report = move |link: Link| async move {
        if let Some(digest) = digest {
            link.api.put_blob(digest, log.to_owned()).await?;
        }
        let (slave, lease, error) = (link.slave, task.lease, error.clone());
        link.api.fail(&FailRequest { slave, lease, job, frame, error, log: digest }).await
    };
    let Some(reported) = shared.connection.ask(&task.key.farm, report).await else { return };
    if let Err(why) = reported {
        // The frame is not held any more; the next poll says so, and the master leases it again.
        tracing::error!(%job, %frame, %why, "the master does not take the failure");
    }
    shared.leases.send_modify(|leases| leases.give_back(task));
}
