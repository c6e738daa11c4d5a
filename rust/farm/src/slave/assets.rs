//! A job's files on this machine: pieces fetched into the cache, files put together and checked, then linked read-only
//! into a tree that keeps their relative positions.

use crate::{
    api::{Api, ApiError},
    blobs::{BlobError, BlobStore},
};
use futures_util::{TryStreamExt, stream};
use netrender_core::{
    digest::Digest,
    ids::JobId,
    manifest::{Asset, Manifest},
    task::TaskError,
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::OnceCell;

/// Pieces fetched at once.
const CONNECTIONS: usize = 4;
/// Trees kept for jobs that take turns.
const KEEP_TREES: usize = 2;

/// A job's files, ready to be opened.
#[derive(Debug)]
pub struct JobTree {
    /// The .blend in the tree.
    pub blend: PathBuf,
    /// Paths on the artist's machine → paths here.
    pub paths: BTreeMap<String, String>,
}

/// A tree that is there, being made, or not begun.
type TreeCell = Arc<OnceCell<Arc<JobTree>>>;

/// Makes and keeps job trees.
pub struct Assets {
    cache: BlobStore,
    jobs: PathBuf,
    trees: Mutex<Vec<(JobId, TreeCell)>>,
}

impl Assets {
    /// Opens the cache and sweeps the trees of earlier runs.
    pub fn open(data: &Path) -> Result<Self, BlobError> {
        let jobs = data.join("jobs");
        let failed = |source| BlobError::Io { path: jobs.clone(), source };
        match fs::remove_dir_all(&jobs) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::create_dir_all(&jobs).map_err(failed)?,
        }
        Ok(Self { cache: BlobStore::open(&data.join("cache"))?, jobs, trees: Mutex::default() })
    }

    /// The job's tree; made at the first call, however many ask at once. A master that is away is waited for.
    pub async fn prepare(&self, api: &Api, job: JobId, manifest: Digest) -> Result<Arc<JobTree>, TaskError> {
        let cell = self.cell(job);
        cell.get_or_try_init(|| async {
            let manifest = fetch_patiently(|| api.get_blob(manifest)).await?;
            let manifest: Manifest = serde_json::from_slice(&manifest)
                .map_err(|error| failure(format!("the job's list of files can't be read: {error}")))?;
            manifest.check().map_err(|error| failure(error.to_string()))?;
            stream::iter(manifest.pieces().into_iter().map(Ok::<_, TaskError>))
                .try_for_each_concurrent(CONNECTIONS, |piece| async move {
                    fetch_patiently(|| api.fetch_blob(piece, &self.cache)).await
                })
                .await?;
            let (cache, root) = (self.cache.clone(), self.jobs.join(job.to_string()));
            tokio::task::spawn_blocking(move || build_tree(&cache, &root, &manifest))
                .await
                .map_err(|error| failure(format!("the job's files could not be laid out: {error}")))?
                .map(Arc::new)
        })
        .await
        .cloned()
    }

    /// Another farm: its numbers mean other jobs.
    pub fn forget_all(&self) {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn cell(&self, job: JobId) -> TreeCell {
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let found = trees.iter().position(|(id, _)| *id == job).map(|at| trees.remove(at));
        // The latest last; those that drop out at the front are removed from disk.
        let entry = found.unwrap_or_else(|| (job, Arc::default()));
        let cell = entry.1.clone();
        trees.push(entry);
        // One more than is kept: the tree that renders now, and the one fetched ahead.
        while trees.len() > KEEP_TREES + 1 {
            let (old, _) = trees.remove(0);
            let _ = fs::remove_dir_all(self.jobs.join(old.to_string()));
        }
        cell
    }
}

fn failure(message: String) -> TaskError {
    TaskError { kind: "fetch_failed".into(), message }
}

async fn fetch_patiently<T, F: Future<Output = Result<T, ApiError>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, TaskError> {
    let mut pause = Duration::from_millis(200);
    let mut damaged = 0;
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(error) if error.is_transient() => {}
            Err(ApiError::Blob(BlobError::WrongDigest { .. })) if damaged < 3 => damaged += 1,
            Err(error) => return Err(failure(format!("a file of the job can't be fetched: {error}"))),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

fn build_tree(cache: &BlobStore, root: &Path, manifest: &Manifest) -> Result<JobTree, TaskError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| failure(format!("{}: {error}", path.display()));
    if root.exists() {
        fs::remove_dir_all(root).map_err(|error| failed(root, &error))?;
    }
    let mut paths = BTreeMap::new();
    for asset in &manifest.assets {
        assemble(cache, asset).map_err(|error| failure(format!("{}: {error}", asset.source)))?;
        let place = root.join("tree").join(&asset.place);
        let folder = place.parent().unwrap_or(root);
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        link(&cache.path(&asset.digest), &place).map_err(|error| failed(&place, &error))?;
        paths.insert(asset.source.clone(), place.to_string_lossy().into_owned());
    }
    fs::create_dir_all(root.join("scratch")).map_err(|error| failed(root, &error))?;
    Ok(JobTree { blend: root.join("tree").join(&manifest.blend), paths })
}

/// The whole file in the cache, checked. A file of one piece is that piece.
fn assemble(cache: &BlobStore, asset: &Asset) -> Result<(), BlobError> {
    if cache.has(&asset.digest) {
        return Ok(());
    }
    let mut whole = cache.incoming()?;
    for piece in &asset.pieces {
        let path = cache.path(&piece.digest);
        let bytes = fs::read(&path).map_err(|source| BlobError::Io { path, source })?;
        whole.write(&bytes)?;
    }
    whole.finish(Some(asset.digest)).map(drop)
}

/// A hard link where the file system can, else a copy; read-only, because the cache's bytes are shared by jobs.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to)?;
    }
    let mut permissions = fs::metadata(to)?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(to, permissions)
}
