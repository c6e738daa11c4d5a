//! Preparation of jobs' files: one per job, shared by everybody who waits for it.

use super::{
    cache::Cache,
    fetch::Fetch,
    tree::{JobTree, build, remove_tree},
};
use crate::{connection::Connection, failure::failure, leases::Leases, task::JobKey};
use futures_util::{FutureExt, future};
use netrender_core::{
    files::manifest::Manifest,
    model::{
        digest::Digest,
        result::{FailureKind, TaskError},
        spec::JobSpec,
    },
};
use netrender_store::blobs::BlobStore;
use parking_lot::Mutex;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Instant};
use tokio::sync::watch;

/// Number of idle jobs whose folders are kept: artists often send the same scene again.
const KEPT_JOBS: usize = 2;

type Preparation = future::Shared<future::BoxFuture<'static, Result<Arc<JobTree>, TaskError>>>;

/// Preparations of jobs' files.
#[derive(Debug)]
pub struct JobFiles {
    cache: Arc<Cache>,
    /// Manifests of jobs.
    lists: BlobStore,
    /// Folder that jobs' folders are made in.
    jobs_dir: PathBuf,
    connection: Arc<Connection>,
    leases: watch::Receiver<Leases>,
    /// The least recently used job first.
    jobs: Mutex<Vec<(JobKey, Preparation)>>,
    /// Held while files of a job are fetched, so that two jobs with a file in common do not both
    /// fetch it.
    fetching: tokio::sync::Mutex<()>,
}

impl JobFiles {
    /// No job is prepared yet.
    pub fn new(
        cache: Arc<Cache>,
        lists: BlobStore,
        jobs_dir: PathBuf,
        connection: Arc<Connection>,
        leases: watch::Receiver<Leases>,
    ) -> Self {
        let (jobs, fetching) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { cache, lists, jobs_dir, connection, leases, jobs, fetching }
    }

    /// Returns the job's preparation and begins it if there is none. A failed one is forgotten: the
    /// next call tries again.
    pub fn prepare(self: &Arc<Self>, key: &JobKey, spec: &JobSpec) -> Preparation {
        let mut jobs = self.jobs.lock();
        let failed = |preparation: &Preparation| matches!(preparation.peek(), Some(Err(_)));
        if let Some(at) = jobs.iter().position(|(known, preparation)| known == key && !failed(preparation)) {
            let entry = jobs.remove(at);
            let preparation = entry.1.clone();
            jobs.push(entry);
            return preparation;
        }
        jobs.retain(|(known, _)| known != key);
        let (files, job, manifest) = (Arc::clone(self), key.clone(), spec.manifest);
        let work = tokio::spawn(async move { files.work(&job, manifest).await });
        let preparation = work
            .map(|ended| {
                ended.unwrap_or_else(|error| {
                    Err(failure(FailureKind::Internal, format!("fetching files broke: {error}")))
                })
            })
            .boxed()
            .shared();
        jobs.push((key.clone(), preparation.clone()));
        preparation
    }

    /// Proves a job's files after a Blender that could write them has ended; a `thorough` proof
    /// reads them. Where a file is not as it was, jobs that have it are prepared again: what
    /// differs is fetched or copied then.
    pub async fn prove(self: &Arc<Self>, tree: Arc<JobTree>, thorough: bool) {
        let files = Arc::clone(self);
        let proving = tokio::task::spawn_blocking(move || {
            let changed = files.cache.prove(&tree.assets, thorough);
            let has_changed = |other: &JobTree| {
                other.assets.iter().any(|asset| changed.contains(&asset.digest))
                    || other.blend == tree.blend && !tree.is_as_laid_out()
            };
            let stays = |preparation: &Preparation| match preparation.peek() {
                Some(Ok(other)) => !has_changed(other),
                _ => true,
            };
            files.jobs.lock().retain(|(_, preparation)| stays(preparation));
        });
        if let Err(error) = proving.await {
            tracing::error!(%error, "proving a job's files broke");
        }
    }

    /// Removes folders of jobs that are not in use, except for the most recent ones. Their files
    /// are not pinned any more then.
    pub fn tidy(&self, in_use: &BTreeSet<JobKey>) {
        self.drop_jobs(in_use, KEPT_JOBS);
    }

    fn drop_jobs(&self, in_use: &BTreeSet<JobKey>, kept: usize) {
        let mut old = Vec::new();
        {
            let mut jobs = self.jobs.lock();
            let mut spare = jobs.len().saturating_sub(kept);
            jobs.retain(|(key, preparation)| {
                let goes = spare > 0 && !in_use.contains(key) && preparation.peek().is_some();
                if goes {
                    spare -= 1;
                    old.push(self.dir(key));
                }
                !goes
            });
        }
        if !old.is_empty() {
            tokio::task::spawn_blocking(move || old.iter().try_for_each(|dir| remove_tree(dir)));
        }
    }

    fn dir(&self, key: &JobKey) -> PathBuf {
        // The farm's id comes from the network and must not name another folder.
        let farm: String = key.farm.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let baked = if key.baked.is_some() { "-baked" } else { "" };
        self.jobs_dir.join(format!("{farm}-{}{baked}", key.job))
    }

    /// Fetches a job's files and lays them out.
    async fn work(&self, key: &JobKey, manifest: Digest) -> Result<Arc<JobTree>, TaskError> {
        let bad =
            |why: String| failure(FailureKind::FetchFailed, format!("the job's list of files is not usable: {why}"));
        let fetch = Fetch::new(&self.connection, &self.cache, &self.lists, &key.farm);
        let list = fetch.list(manifest).await?;
        let manifest: Manifest = serde_json::from_slice(&list).map_err(|error| bad(error.to_string()))?;
        manifest.check().map_err(|error| bad(error.to_string()))?;
        let _one = self.fetching.lock().await;
        let begun = Instant::now();
        let mut fetched = fetch.files(&manifest.assets).await;
        if fetched.as_ref().is_err_and(|error| error.kind == FailureKind::DiskFull) {
            // Files that no job needs now make room.
            let mut in_use = self.leases.borrow().jobs();
            in_use.insert(key.clone());
            self.drop_jobs(&in_use, 0);
            if self.cache.empty() {
                fetched = fetch.files(&manifest.assets).await;
            }
        }
        let (pins, fetched_bytes) = fetched?;
        let baked = match key.baked {
            Some(baked) => {
                fetch.blob("the baked scene", baked).await?;
                Some(self.lists.path(&baked))
            }
            None => None,
        };
        let (dir, cache) = (self.dir(key), Arc::clone(&self.cache));
        let built = tokio::task::spawn_blocking(move || build(&dir, &cache, &manifest, pins, baked.as_deref())).await;
        if let Some(baked) = key.baked {
            let _ = tokio::task::block_in_place(|| self.lists.remove(&baked));
        }
        let tree = built
            .unwrap_or_else(|error| Err(failure(FailureKind::Internal, format!("laying out files broke: {error}"))))?;
        let (job, files, seconds) = (key.job, tree.files.len(), begun.elapsed().as_secs_f64());
        let cached_bytes = self.cache.total();
        tracing::info!(%job, files, fetched_bytes, cached_bytes, seconds, "files are here");
        Ok(Arc::new(tree))
    }
}
