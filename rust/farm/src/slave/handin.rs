//! From a rendered file to a durable result: decode it (nobody believes a picture unseen), make its preview, send both and
//! the log, hand in. Runs while the next frame renders. Everything may be repeated; a master that is away is waited for.

use super::shared::Shared;
use crate::{
    api::{Api, ApiError},
    blobs::{digest_of, digest_of_file},
};
use netrender_core::{
    digest::Digest,
    ids::Frame,
    task::TaskError,
    wire::{FailRequest, HandInRequest, LeaseGrant},
};
use netrender_film::{Expect, ViewTable};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// JPEG quality of previews.
const QUALITY: u8 = 90;
/// Tries for pieces of bad luck that are not the picture's fault.
const TRIES: u32 = 5;

/// A frame as Blender left it.
pub struct Rendered {
    /// The lease it belongs to.
    pub grant: Arc<LeaseGrant>,
    /// Which frame.
    pub frame: Frame,
    /// The multilayer EXR; removed when the master has it.
    pub film: PathBuf,
    /// The scene's view transform.
    pub view: Arc<ViewTable>,
    /// What Blender printed.
    pub log: String,
    /// Blender's time.
    pub seconds: f64,
}

struct Ready {
    film: Digest,
    preview: Option<Vec<u8>>,
}

/// Brings a frame home.
pub async fn hand_in(shared: &Shared, rendered: Rendered) {
    let Rendered { grant, frame, film, view, log, seconds } = rendered;
    let (path, expect) = (film.clone(), Expect { width: grant.spec.width, height: grant.spec.height });
    let looked = tokio::task::spawn_blocking(move || look(&path, &expect, &view)).await;
    let outcome = match looked {
        Ok(Ok(ready)) => send(shared, &grant, frame, &film, ready, &log, seconds).await,
        Ok(Err(error)) => Err(error),
        Err(error) => Err(bad_picture(format!("looking at the picture ended: {error}"))),
    };
    match outcome {
        Ok(()) => shared.show(|seen| seen.rendered += 1),
        Err(error) => fail(shared, &grant, frame, error, log).await,
    }
    shared.change(|hands| hands.settled(grant.lease, frame));
    let _ = std::fs::remove_file(&film);
}

/// Tells the master that an attempt failed; returns once it knows.
pub async fn fail(shared: &Shared, grant: &LeaseGrant, frame: Frame, error: TaskError, log: String) {
    tracing::warn!(job = %grant.job, %frame, kind = error.kind, "{}", error.message);
    shared.show(|seen| {
        seen.failed += 1;
        seen.error = Some(format!("job {} frame {frame}: {}", grant.job, error.message));
    });
    let told = patiently(shared, |api, slave| {
        let (log, error) = (log.clone(), error.clone());
        async move {
            let bytes = log.into_bytes();
            let log = digest_of(&bytes);
            api.put_blob(log, bytes).await?;
            let (lease, job) = (grant.lease, grant.job);
            api.fail(&FailRequest { slave, lease, job, frame, error, log: Some(log) }).await
        }
    });
    if let Err(error) = told.await {
        tracing::error!("the failure could not be reported: {error}");
    }
}

fn look(film: &std::path::Path, expect: &Expect, view: &ViewTable) -> Result<Ready, TaskError> {
    let pixels = netrender_film::read(film, expect).map_err(|error| bad_picture(error.to_string()))?;
    let preview = netrender_film::preview_jpeg(&pixels, view, QUALITY)
        .inspect_err(|error| tracing::warn!("no preview: {error}"))
        .ok();
    let film = digest_of_file(film).map_err(|error| bad_picture(error.to_string()))?;
    Ok(Ready { film, preview })
}

async fn send(
    shared: &Shared,
    grant: &LeaseGrant,
    frame: Frame,
    film: &std::path::Path,
    ready: Ready,
    log: &str,
    seconds: f64,
) -> Result<(), TaskError> {
    let log = (digest_of(log.as_bytes()), log.as_bytes().to_vec());
    let preview = ready.preview.map(|bytes| (digest_of(&bytes), bytes));
    patiently(shared, |api, slave| {
        let (log, preview) = (log.clone(), preview.clone());
        async move {
            let wanted: Vec<Digest> =
                [Some(ready.film), preview.as_ref().map(|p| p.0), Some(log.0)].into_iter().flatten().collect();
            let missing = api.missing(&wanted).await?;
            if missing.contains(&ready.film) {
                api.put_file(ready.film, film).await?;
            }
            let preview_digest = preview.as_ref().map(|preview| preview.0);
            let small = preview.into_iter().chain([log.clone()]);
            for (digest, bytes) in small.filter(|(digest, _)| missing.contains(digest)) {
                api.put_blob(digest, bytes).await?;
            }
            let (job, film, log) = (grant.job, ready.film, Some(log.0));
            api.hand_in(&HandInRequest { slave, job, frame, film, preview: preview_digest, log, seconds }).await
        }
    })
    .await
    .map(drop)
    .map_err(|error| match error {
        ApiError::Refused { .. } if error.is_code("bad_picture") => bad_picture(error.to_string()),
        error => TaskError { kind: "hand_in_failed".into(), message: error.to_string() },
    })
}

fn bad_picture(message: String) -> TaskError {
    TaskError { kind: "bad_picture".into(), message }
}

/// Tries again while the master is away, for as long as it takes; a few times for other bad luck.
async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(
    shared: &Shared,
    call: impl Fn(Api, netrender_core::ids::SlaveId) -> F,
) -> Result<T, ApiError> {
    let mut pause = Duration::from_millis(100);
    let mut unlucky = 0;
    loop {
        let link = shared.master().await;
        match call(link.api, link.slave).await {
            Ok(value) => return Ok(value),
            Err(error) if error.is_transient() => {}
            Err(error) if error.is_code("unknown_job") || error.is_code("bad_picture") => return Err(error),
            Err(error) => {
                unlucky += 1;
                if unlucky >= TRIES {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
