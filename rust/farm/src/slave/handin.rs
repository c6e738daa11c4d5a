//! What happens to a frame after Blender is done with it, while the next one renders: the picture is looked at, a preview
//! made, everything sent and handed in; or the failure told. Nothing rendered is lost while the master is away.

use super::{
    Shared,
    assets::failure,
    backoff::{Backoff, may_work_later},
    desk::Task,
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
    wire::{FailRequest, HandInRequest},
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
    /// How to show it.
    pub view: Arc<View>,
    /// What Blender printed for it: whose log, and which part.
    pub log: (Arc<LogBook>, u64),
}

/// A film that was looked at.
struct Parcel {
    film: Digest,
    preview: (Digest, Vec<u8>),
    log: (Digest, String),
}

/// Hands a film in, or tells why it is none. The permit bounds how many wait.
pub async fn film(shared: Arc<Shared>, task: Task, film: Film, permit: OwnedSemaphorePermit) {
    let (book, id) = &film.log;
    let log = book.take(*id).await;
    match look(&shared, &task, &film).await {
        Ok((digest, jpeg)) => {
            let parcel =
                Parcel { film: digest, preview: (digest_of(&jpeg), jpeg), log: (digest_of(log.as_bytes()), log) };
            deliver(&shared, &task, &film, &parcel).await;
        }
        Err(why) => failed(&shared, &task, bad_picture(&task, &why), &log).await,
    }
    if let Err(error) = tokio::fs::remove_file(&film.path).await {
        tracing::warn!(target: "netrender::slave", path = %film.path.display(), %error, "a film stays in the spool");
    }
    drop(permit);
}

fn bad_picture(task: &Task, why: &str) -> TaskError {
    failure("bad_picture", format!("the picture of frame {} is not what the job asks for: {why}", task.frame))
}

/// Decodes the picture, away from the async threads and few at a time: decoded films are large.
async fn look(shared: &Shared, task: &Task, film: &Film) -> Result<(Digest, Vec<u8>), String> {
    let _turn = shared.decoding.acquire().await.map_err(|error| error.to_string())?;
    let (path, view) = (film.path.clone(), Arc::clone(&film.view));
    let expect = Expect { width: task.spec.width, height: task.spec.height };
    let looking = tokio::task::spawn_blocking(move || {
        let seen = netrender_film::read(&path, &expect).map_err(|error| error.to_string())?;
        let jpeg = netrender_film::preview_jpeg(&seen, &view, PREVIEW_QUALITY).map_err(|error| error.to_string())?;
        let digest = digest_of_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((digest, jpeg))
    });
    // A decoder that panics on a film says something about the film.
    looking.await.unwrap_or_else(|error| Err(format!("it can't be decoded ({error})")))
}

async fn deliver(shared: &Arc<Shared>, task: &Task, film: &Film, parcel: &Parcel) {
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
                return;
            }
            Err(error) if may_work_later(&error) => {
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
}

async fn attempt(api: &Api, slave: SlaveId, task: &Task, film: &Film, parcel: &Parcel) -> Result<bool, ApiError> {
    let Parcel { film: digest, preview, log } = parcel;
    let missing = api.missing(&[*digest, preview.0, log.0]).await?;
    let send_film = async { if missing.contains(digest) { api.put_file(*digest, &film.path).await } else { Ok(()) } };
    let send_preview =
        async { if missing.contains(&preview.0) { api.put_blob(preview.0, preview.1.clone()).await } else { Ok(()) } };
    let send_log = async { if missing.contains(&log.0) { api.put_blob(log.0, log.1.clone()).await } else { Ok(()) } };
    tokio::try_join!(send_film, send_preview, send_log)?;
    let request = HandInRequest {
        slave,
        job: task.key.job,
        frame: task.frame,
        film: *digest,
        preview: Some(preview.0),
        log: Some(log.0),
        seconds: film.seconds,
    };
    Ok(api.hand_in(&request).await?.fresh)
}

/// Tells the master that a frame failed; the message ends with the log's last lines.
pub async fn failed(shared: &Arc<Shared>, task: &Task, mut error: TaskError, log: &str) {
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
                shared.desk.send_modify(|desk| desk.failed(task));
                return;
            }
        }
    }
}
