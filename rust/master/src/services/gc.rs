//! Garbage collection: removes the files of deleted jobs, and blobs that were sent or replaced and
//! are not needed.
//!
//! A deleted job stays in the log as `Deleted` until its files are removed, so after a crash in
//! between they are removed by the next start.

use super::job_files;
use crate::{
    blocking::blocking,
    error::MasterError,
    ledger::{
        blob_refs::{blobs_of_job, kept_jobs},
        farm_handle::FarmHandle,
    },
};
use netrender_core::{
    decide::Command,
    model::{
        digest::Digest,
        farm::Farm,
        ids::JobId,
        job::{Job, JobState},
    },
};
use netrender_store::{blobs::BlobStore, pieces::PieceStore};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::sync::{Notify, OwnedRwLockReadGuard, RwLock};

/// Age after which a blob that no job refers to is garbage: a job refers to what was sent for it
/// within moments. Only a killed master leaves such blobs.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Time between two looks for garbage when no job is deleted, and when some files could not be
/// removed: an antivirus program may have had one open.
const PERIOD: Duration = Duration::from_secs(3600);
const RETRY: Duration = Duration::from_secs(60);

/// The garbage collector, and the gate between it and those who are about to refer to files.
pub struct Gc {
    farm: FarmHandle,
    blobs: BlobStore,
    pieces: Arc<PieceStore>,
    /// Read: files that exist stay. Write: files are removed.
    gate: RwLock<()>,
    /// Read: blobs may be about to become garbage, and are collected before the guard goes.
    unsettled: Arc<RwLock<()>>,
    deleted: Notify,
}

impl Gc {
    pub fn new(farm: FarmHandle, blobs: BlobStore, pieces: Arc<PieceStore>) -> Self {
        let (gate, unsettled, deleted) = (RwLock::default(), Arc::default(), Notify::default());
        Self { farm, blobs, pieces, gate, unsettled, deleted }
    }

    /// Runs `work` while nothing is collected, so that files it finds still exist when the farm
    /// refers to them. `work` also returns the blobs that may be without use now; those that the
    /// farm does not refer to are collected in the background.
    pub async fn transact<T>(self: &Arc<Self>, work: impl Future<Output = (T, Vec<Digest>)>) -> T {
        let unsettled = self.unsettled.clone().read_owned().await;
        let paused = self.gate.read().await;
        let (value, unneeded) = work.await;
        drop(paused);
        self.collect_later(unneeded, unsettled);
        value
    }

    /// Collects these blobs in the background, except those that the farm refers to.
    pub async fn discard(self: &Arc<Self>, blobs: Vec<Digest>) {
        let unsettled = self.unsettled.clone().read_owned().await;
        self.collect_later(blobs, unsettled);
    }

    fn collect_later(self: &Arc<Self>, blobs: Vec<Digest>, unsettled: OwnedRwLockReadGuard<()>) {
        if blobs.is_empty() {
            return;
        }
        let gc = self.clone();
        tokio::spawn(async move {
            gc.collect(blobs).await;
            drop(unsettled);
        });
    }

    /// Waits until every transaction has ended and what it left is collected.
    pub async fn settle(&self) {
        drop(self.unsettled.write().await);
    }

    /// Starts the collection of deleted jobs.
    pub fn wake(&self) {
        self.deleted.notify_one();
    }

    /// Collects the files of deleted jobs until the farm's thread ends.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.sweep().await;
            let deleted = |farm: &Farm| {
                let deleted = farm.jobs.values().filter(|job| job.state == JobState::Deleted);
                deleted.map(|job| job.id).collect::<Vec<_>>()
            };
            let Ok(jobs) = self.farm.read(deleted).await else { return };
            let mut period = PERIOD;
            for job in jobs {
                match self.remove(job).await {
                    Ok(()) => tracing::info!(%job, "deleted"),
                    Err(error) => {
                        period = RETRY;
                        tracing::error!(%job, "its files can't be removed yet: {error}");
                    }
                }
            }
            let pieces = self.pieces.clone();
            match blocking(move || pieces.compact()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(bytes)) => tracing::info!(bytes, "given back to the disk"),
                Ok(Err(error)) => tracing::error!("packs can't be compacted yet: {error}"),
                Err(_) => return,
            }
            let _ = tokio::time::timeout(period, self.deleted.notified()).await;
        }
    }

    /// Collects old blobs that a killed master was about to collect.
    async fn sweep(&self) {
        let blobs = self.blobs.clone();
        match blocking(move || blobs.older_than(ABANDONED)).await {
            Ok(Ok(old)) => self.collect(old).await,
            Ok(Err(error)) => tracing::warn!("the folder of files can't be read: {error}"),
            Err(_) => {}
        }
    }

    /// Removes the files that only this job needs, and then the job.
    async fn remove(&self, id: JobId) -> Result<(), MasterError> {
        let lists = move |farm: &Farm| {
            let others: HashSet<Digest> = kept_jobs(farm).map(|job| job.spec.manifest).collect();
            (farm.jobs.get(&id).map(|job| job.spec.manifest), others)
        };
        let (Some(own), others) = self.farm.read(lists).await? else { return Ok(()) };
        let (blobs, pieces) = (self.blobs.clone(), self.pieces.clone());
        let known = others.clone();
        // The long part comes before the gate is closed.
        let mut unneeded = blocking(move || {
            let mut unneeded = HashSet::new();
            if !known.contains(&own) {
                job_files::each_piece(&blobs, &pieces, own, |digest| _ = unneeded.insert(digest));
                for other in known {
                    job_files::each_piece(&blobs, &pieces, other, |digest| _ = unneeded.remove(&digest));
                }
            }
            unneeded
        })
        .await?;

        let _closed = self.gate.write().await;
        let needed = move |farm: &Farm| {
            let mut unneeded = farm.jobs.get(&id).map(blobs_of_job).unwrap_or_default();
            remove_referred(farm, &mut unneeded);
            let new = kept_jobs(farm).map(|job| job.spec.manifest).filter(|list| !others.contains(list));
            (unneeded, new.collect::<Vec<Digest>>())
        };
        let (unneeded_blobs, new_lists) = self.farm.read(needed).await?;
        let (blobs, pieces) = (self.blobs.clone(), self.pieces.clone());
        blocking(move || {
            for new in new_lists {
                job_files::each_piece(&blobs, &pieces, new, |digest| _ = unneeded.remove(&digest));
            }
            pieces.forget(&unneeded.into_iter().collect::<Vec<_>>())?;
            for digest in unneeded_blobs {
                blobs.remove(&digest)?;
            }
            Ok::<_, MasterError>(())
        })
        .await??;
        self.farm.command(Command::Forget(id)).await.map(drop)
    }

    /// Removes these blobs, except those that the farm refers to.
    async fn collect(&self, blobs: Vec<Digest>) {
        let mut unneeded = HashSet::from_iter(blobs);
        let _closed = self.gate.write().await;
        let needed = move |farm: &Farm| {
            remove_referred(farm, &mut unneeded);
            unneeded
        };
        let Ok(unneeded) = self.farm.read(needed).await else { return };
        let blobs = self.blobs.clone();
        let removed = blocking(move || unneeded.iter().try_for_each(|digest| blobs.remove(digest))).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!("blobs without use stay on the disk: {error}");
        }
    }
}

fn remove_referred(farm: &Farm, blobs: &mut HashSet<Digest>) {
    let referred = kept_jobs(farm).flat_map(|job: &Job| blobs_of_job(job));
    referred.for_each(|digest| _ = blobs.remove(&digest));
}
