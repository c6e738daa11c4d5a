//! The room on the master's disk: intake pauses before it is gone, and what deleted jobs took is given back.
//!
//! A deleted job stays in the log as `Deleted` until its files are removed, so that a crash in between only means that
//! they are removed after the next start.

use super::{
    error::MasterError,
    http::{App, blocking},
};
use crate::{blobs::BlobStore, disk::is_nearly_full, pieces::PieceStore};
use netrender_core::{
    digest::Digest,
    farm::Farm,
    ids::JobId,
    job::{Job, JobState},
    manifest::Manifest,
    recipe,
    scheduler::Command,
    share::{Merged, Part},
    task::{Task, TaskState},
};
use std::{collections::HashSet, path::Path, time::Duration};
use tokio::sync::{Notify, RwLock, RwLockReadGuard};

/// A file that is sent is referred to within moments.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Refuses when only the reserve is left.
pub fn check_room(data: &Path) -> Result<(), MasterError> {
    if is_nearly_full(data) { Err(MasterError::DiskFull) } else { Ok(()) }
}

/// Between those who find files here and refer to them, and the clean-up that removes what nobody refers to.
#[derive(Debug, Default)]
pub struct Space {
    gate: RwLock<()>,
    deleted: Notify,
    tidying: RwLock<()>,
}

impl Space {
    /// While this is held, a file that is found here stays.
    pub async fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// While this is held, files are about to be without use: a master that ends waits for it.
    pub async fn tidy(&self) -> RwLockReadGuard<'_, ()> {
        self.tidying.read().await
    }

    /// Ends when nobody tidies up.
    pub async fn is_tidy(&self) {
        drop(self.tidying.write().await);
    }

    /// A job was deleted.
    pub fn wake(&self) {
        self.deleted.notify_one();
    }
}

/// Cleans up after deleted jobs, for ever.
pub async fn tend(app: App) {
    sweep(&app).await;
    loop {
        let deleted = |farm: &Farm| {
            let deleted = farm.jobs.values().filter(|job| job.state == JobState::Deleted);
            deleted.map(|job| job.id).collect::<Vec<_>>()
        };
        let Ok(jobs) = app.owner.look(deleted).await else { return };
        let mut left = false;
        for job in jobs {
            match remove(&app, job).await {
                Ok(()) => tracing::info!(%job, "deleted"),
                Err(error) => {
                    left = true;
                    tracing::error!(%job, "its files can't be removed yet: {error}");
                }
            }
        }
        let pieces = app.pieces.clone();
        match blocking(move || pieces.compact()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(bytes)) => tracing::info!(bytes, "given back to the disk"),
            Ok(Err(error)) => tracing::error!("packs can't be written anew yet: {error}"),
            Err(_) => return,
        }
        // What went wrong is tried again: an antivirus program may have had a file open.
        let again = Duration::from_secs(if left { 60 } else { 3600 });
        let _ = tokio::time::timeout(again, app.space.deleted.notified()).await;
    }
}

/// Removes what a killed master was about to remove. Only what is old: somebody may have sent it and be about to refer to it.
async fn sweep(app: &App) {
    let blobs = app.blobs.clone();
    match blocking(move || blobs.older_than(ABANDONED)).await {
        Ok(Ok(old)) => discard(app, old).await,
        Ok(Err(error)) => tracing::warn!("the folder of files can't be read: {error}"),
        Err(_) => {}
    }
}

/// Removes what only this job needs, and then the job.
async fn remove(app: &App, id: JobId) -> Result<(), MasterError> {
    let lists = move |farm: &Farm| {
        let others: HashSet<Digest> = open_jobs(farm).map(|job| job.spec.manifest).collect();
        (farm.jobs.get(&id).map(|job| job.spec.manifest), others)
    };
    let (Some(own), others) = app.owner.look(lists).await? else { return Ok(()) };
    let (blobs, pieces) = (app.blobs.clone(), app.pieces.clone());
    let known = others.clone();
    // The long part, before anybody has to wait.
    let mut unneeded = blocking(move || {
        let mut unneeded = HashSet::new();
        if !known.contains(&own) {
            each_piece(&blobs, &pieces, own, |digest| _ = unneeded.insert(digest));
            for other in known {
                each_piece(&blobs, &pieces, other, |digest| _ = unneeded.remove(&digest));
            }
        }
        unneeded
    })
    .await?;

    let _alone = app.space.gate.write().await;
    let needed = move |farm: &Farm| {
        let mut unneeded = farm.jobs.get(&id).map(blobs_of).unwrap_or_default();
        open_jobs(farm).flat_map(blobs_of).for_each(|digest| _ = unneeded.remove(&digest));
        let new: Vec<Digest> =
            open_jobs(farm).map(|job| job.spec.manifest).filter(|list| !others.contains(list)).collect();
        (unneeded, new)
    };
    let (unneeded_blobs, new_jobs) = app.owner.look(needed).await?;
    let (blobs, pieces) = (app.blobs.clone(), app.pieces.clone());
    blocking(move || {
        for new in new_jobs {
            each_piece(&blobs, &pieces, new, |digest| _ = unneeded.remove(&digest));
        }
        pieces.forget(&unneeded.into_iter().collect::<Vec<_>>())?;
        for digest in unneeded_blobs {
            blobs.remove(&digest)?;
        }
        Ok::<_, MasterError>(())
    })
    .await??;
    app.owner.command(Command::Forget(id)).await.map(drop)
}

/// What was sent and is of no use: a second picture of a frame, or one that is not believed.
pub async fn discard(app: &App, sent: impl IntoIterator<Item = Digest>) {
    let mut unneeded: HashSet<Digest> = sent.into_iter().collect();
    let _alone = app.space.gate.write().await;
    let needed = move |farm: &Farm| {
        open_jobs(farm).flat_map(blobs_of).for_each(|digest| _ = unneeded.remove(&digest));
        unneeded
    };
    let Ok(unneeded) = app.owner.look(needed).await else { return };
    let blobs = app.blobs.clone();
    let removed = blocking(move || unneeded.iter().try_for_each(|digest| blobs.remove(digest))).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!("what is of no use stays on the disk: {error}");
    }
}

fn open_jobs(farm: &Farm) -> impl Iterator<Item = &Job> {
    farm.jobs.values().filter(|job| job.state != JobState::Deleted)
}

/// Everything a job has in the blobs' folder.
pub fn blobs_of(job: &Job) -> HashSet<Digest> {
    let mut all = HashSet::from([job.spec.manifest]);
    all.extend(job.tasks.values().flat_map(blobs_of_task));
    all
}

/// Everything a frame has there.
pub fn blobs_of_task(task: &Task) -> Vec<Digest> {
    let mut all: Vec<Digest> = task.failures.iter().filter_map(|failure| failure.log).collect();
    let of_part = |part: &Part| [Some(part.result.film), part.result.log, part.view];
    if let Some(merged) = &task.merged {
        let Merged { result, view, .. } = &**merged;
        all.extend([Some(result.film), result.preview, result.log, *view].into_iter().flatten());
    }
    match &task.state {
        TaskState::Done(result) => all.extend([Some(result.film), result.preview, result.log].into_iter().flatten()),
        TaskState::Sharing(sharing) => all.extend(sharing.parts.iter().flat_map(of_part).flatten()),
        _ => {}
    }
    all
}

/// Every piece of a job's files, their lists included. What can't be read has none.
fn each_piece(blobs: &BlobStore, pieces: &PieceStore, manifest: Digest, mut each: impl FnMut(Digest)) {
    let read = std::fs::read(blobs.path(&manifest)).ok();
    let Some(manifest) = read.and_then(|text| serde_json::from_slice::<Manifest>(&text).ok()) else { return };
    for asset in manifest.assets.iter().filter(|asset| asset.pieces > 0) {
        each(asset.digest);
        if asset.pieces > 1
            && let Ok(Some(record)) = pieces.get(&asset.digest)
            && let Ok(list) = record.open()
            && let Ok(list) = recipe::decode(&list, asset.pieces, asset.bytes)
        {
            list.iter().for_each(|piece| each(piece.digest));
        }
    }
}
