//! What happens to a frame after Blender is done with it, while the next one renders: the picture is looked at, a preview
//! made, everything sent and handed in; or the failure told. Nothing rendered is lost while the master is away.

use super::{
    Shared,
    assets::failure,
    backoff::{Backoff, may_work_later},
    desk::Task,
    spool::Saved,
    worker::{LogBook, last_lines},
};
use crate::{
    api::{Api, ApiError},
    blobs::{digest_of, digest_of_file},
};
use netrender_core::{
    digest::Digest,
    ids::SlaveId,
    task::TaskError,
    wire::{FailRequest, HandInRequest, PartOf},
};
use netrender_film::{Expect, ViewTable};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};
use tokio::sync::OwnedSemaphorePermit;

/// Of JPEG previews.
const PREVIEW_QUALITY: u8 = 90;
/// Of a log at the end of an error message.
const QUOTED_LINES: usize = 30;
const QUOTED_BYTES: usize = 4096;

/// A job's view transform, read when the first preview needs it.
pub type View = LazyLock<ViewTable, Box<dyn FnOnce() -> ViewTable + Send>>;

/// The view transform the worker baked, or the plain curve.
pub fn view(table: Option<String>) -> View {
    LazyLock::new(Box::new(move || {
        let Some(path) = table else { return ViewTable::srgb() };
        ViewTable::from_png(Path::new(&path)).unwrap_or_else(|error| {
            tracing::warn!(target: "netrender::slave", %error, "the view transform's table can't be read");
            ViewTable::srgb()
        })
    }))
}

/// A film as Blender left it.
pub struct Film {
    /// The multilayer EXR; removed when it is handed in.
    pub path: PathBuf,
    /// Blender's time for it.
    pub seconds: f64,
    /// How long the scene was fetched and loaded before.
    pub warm_up_s: f64,
    /// How to show it.
    pub view: Arc<View>,
    /// What that was read from, if there is a table.
    pub table: Option<PathBuf>,
    /// What Blender printed for it.
    pub log: Printed,
}

/// Where a film's log is.
pub enum Printed {
    /// In a worker's book, under this number.
    Book(Arc<LogBook>, u64),
    /// Here; the worker was of an earlier life of this slave.
    Before(String),
}

impl From<Saved> for Film {
    fn from(saved: Saved) -> Self {
        let Saved { film, seconds, log, view: table, .. } = saved;
        let view = Arc::new(view(table.clone()));
        Self { path: film, seconds, warm_up_s: 0.0, view, table: table.map(PathBuf::from), log: Printed::Before(log) }
    }
}

/// What became of a film.
pub enum Outcome {
    /// The master has it, or knows that there is none.
    Settled,
    /// The slave stops, or belongs to another farm by now.
    Waits,
}

/// A film that was looked at. A part of a frame has no preview: the master makes one of all parts, with the view.
struct Parcel {
    film: Digest,
    preview: Option<(Digest, Vec<u8>)>,
    view: Option<(Digest, Vec<u8>)>,
    log: (Digest, String),
}

/// Hands a film in, or tells why it is none. The permit bounds how many wait.
pub async fn film(shared: Arc<Shared>, task: Task, film: Film, permit: Option<OwnedSemaphorePermit>) {
    let (log, new) = match &film.log {
        Printed::Book(book, id) => {
            // Twice: what is rendered must not be lost while the last line of its log is waited for.
            keep(&shared, &task, film.seconds, "");
            let log = book.take(*id).await;
            keep(&shared, &task, film.seconds, &log);
            (log, true)
        }
        Printed::Before(log) => (log.clone(), false),
    };
    let outcome = match look(&shared, &task, &film).await {
        Ok((film_digest, jpeg)) => {
            let named = |bytes: Vec<u8>| (digest_of(&bytes), bytes);
            let table = film.table.as_ref().filter(|_| task.share.is_some());
            let view = table.and_then(|table| tokio::task::block_in_place(|| std::fs::read(table)).ok());
            let (preview, view) = (jpeg.map(named), view.map(named));
            let parcel = Parcel { film: film_digest, preview, view, log: (digest_of(log.as_bytes()), log) };
            deliver(&shared, &task, &film, &parcel).await
        }
        Err(why) if new => failed(&shared, &task, bad_picture(&task, &why), &log).await,
        Err(why) => {
            // A power cut, say: that is no attempt that failed.
            tracing::warn!(target: "netrender::slave", job = %task.key.job, frame = %task.frame, why, "a film did not survive");
            shared.desk.send_modify(|desk| desk.give_back(&task));
            Outcome::Settled
        }
    };
    if let Outcome::Settled = outcome
        && let Err(error) = shared.folder.spool.remove(&task)
    {
        tracing::warn!(target: "netrender::slave", path = %film.path.display(), %error, "a film stays in the spool");
    }
    drop(permit);
}

fn keep(shared: &Shared, task: &Task, seconds: f64, log: &str) {
    if let Err(error) = tokio::task::block_in_place(|| shared.folder.spool.keep(task, seconds, log)) {
        tracing::warn!(target: "netrender::slave", frame = %task.frame, %error, "the film would not survive a restart");
    }
}

fn bad_picture(task: &Task, why: &str) -> TaskError {
    failure("bad_picture", format!("the picture of frame {} is not what the job asks for: {why}", task.frame))
}

/// Decodes the picture, away from the async threads and few at a time: decoded films are large.
async fn look(shared: &Shared, task: &Task, film: &Film) -> Result<(Digest, Option<Vec<u8>>), String> {
    let _turn = shared.decoding.acquire().await.map_err(|error| error.to_string())?;
    let (path, view) = (film.path.clone(), Arc::clone(&film.view));
    let expect = Expect { width: task.spec.width, height: task.spec.film_lines(task.share) };
    let whole = task.share.is_none();
    let looking = tokio::task::spawn_blocking(move || {
        let seen = netrender_film::read(&path, &expect).map_err(|error| error.to_string())?;
        let jpeg = whole.then(|| netrender_film::preview_jpeg(&seen, &view, PREVIEW_QUALITY)).transpose();
        let jpeg = jpeg.map_err(|error| error.to_string())?;
        let digest = digest_of_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((digest, jpeg))
    });
    // A decoder that panics on a film says something about the film.
    looking.await.unwrap_or_else(|error| Err(format!("it can't be decoded ({error})")))
}

async fn deliver(shared: &Arc<Shared>, task: &Task, film: &Film, parcel: &Parcel) -> Outcome {
    let mut backoff = Backoff::new();
    // Also when the frame was dropped meanwhile: the master takes a late picture of an open frame, and says when it
    // needs none.
    while let Some(link) = shared.link_to(&task.key.farm).await {
        match attempt(&link.api, link.slave, task, film, parcel).await {
            Ok(fresh) => {
                let (job, frame) = (task.key.job, task.frame);
                tracing::info!(target: "netrender::slave", %job, %frame, fresh, "handed in");
                shared.desk.send_modify(|desk| desk.done(task));
                shared.snapshot.send_modify(|shown| shown.rendered += 1);
                return Outcome::Settled;
            }
            Err(error) if error.is_code("unknown_job") || error.is_code("unknown_frame") => {
                let (job, frame) = (task.key.job, task.frame);
                tracing::info!(target: "netrender::slave", %job, %frame, "nobody needs it any more");
                shared.desk.send_modify(|desk| desk.done(task));
                return Outcome::Settled;
            }
            // Pieces may go between the question and the hand-in, with a job that was deleted.
            Err(error) if may_work_later(&error) || error.is_code("missing_pieces") => {
                tracing::debug!(target: "netrender::slave", frame = %task.frame, %error, "not handed in yet");
                backoff.wait().await;
            }
            Err(error) if error.is_code("bad_picture") => {
                return failed(shared, task, bad_picture(task, &error.to_string()), &parcel.log.1).await;
            }
            Err(error) => {
                let why = format!("frame {} was rendered but not taken: {error}", task.frame);
                return failed(shared, task, failure("hand_in_failed", why), &parcel.log.1).await;
            }
        }
    }
    Outcome::Waits
}

async fn attempt(api: &Api, slave: SlaveId, task: &Task, film: &Film, parcel: &Parcel) -> Result<bool, ApiError> {
    let Parcel { film: digest, preview, view, log } = parcel;
    let small: Vec<&(Digest, Vec<u8>)> = preview.iter().chain(view).collect();
    let asked: Vec<Digest> = [*digest, log.0].into_iter().chain(small.iter().map(|(digest, _)| *digest)).collect();
    let missing = api.missing(&asked).await?;
    let send_film = async { if missing.contains(digest) { api.put_file(*digest, &film.path).await } else { Ok(()) } };
    let send_small = async {
        for (digest, bytes) in small.into_iter().filter(|(digest, _)| missing.contains(digest)) {
            api.put_blob(*digest, bytes.clone()).await?;
        }
        Ok(())
    };
    let send_log = async { if missing.contains(&log.0) { api.put_blob(log.0, log.1.clone()).await } else { Ok(()) } };
    tokio::try_join!(send_film, send_small, send_log)?;
    let request = HandInRequest {
        slave,
        job: task.key.job,
        frame: task.frame,
        film: *digest,
        preview: preview.as_ref().map(|(digest, _)| *digest),
        log: Some(log.0),
        seconds: film.seconds,
        part: task.share.map(|share| PartOf {
            lease: task.lease,
            share,
            view: view.as_ref().map(|(digest, _)| *digest),
            warm_up_s: film.warm_up_s,
        }),
    };
    Ok(api.hand_in(&request).await?.fresh)
}

/// Tells the master that a frame failed; the message ends with the log's last lines.
pub async fn failed(shared: &Arc<Shared>, task: &Task, mut error: TaskError, log: &str) -> Outcome {
    let quoted = last_lines(log, QUOTED_LINES, QUOTED_BYTES);
    let (job, frame) = (task.key.job, task.frame);
    tracing::warn!(target: "netrender::slave", %job, %frame, kind = %error.kind, why = %error.message, "frame failed");
    shared.snapshot.send_modify(|shown| {
        shown.failed += 1;
        shown.error = Some(format!("job {job}, frame {frame}: {}", error.message));
    });
    if !quoted.is_empty() {
        error.message.push_str("\nThe log's last lines:\n");
        error.message.push_str(&quoted);
    }
    let digest = (!log.is_empty()).then(|| digest_of(log.as_bytes()));
    let mut backoff = Backoff::new();
    while let Some(link) = shared.link_to(&task.key.farm).await {
        let told = async {
            if let Some(digest) = digest {
                link.api.put_blob(digest, log.to_owned()).await?;
            }
            let (slave, lease, error) = (link.slave, task.lease, error.clone());
            link.api.fail(&FailRequest { slave, lease, job, frame, error, log: digest }).await
        };
        match told.await {
            Err(why) if may_work_later(&why) => backoff.wait().await,
            ended => {
                if let Err(why) = ended {
                    // The frame leaves our hands, the next poll says so, and the master gives it out again.
                    tracing::error!(target: "netrender::slave", %job, %frame, %why, "the master does not take the failure");
                }
                shared.desk.send_modify(|desk| desk.give_back(task));
                break;
            }
        }
    }
    Outcome::Settled
}
