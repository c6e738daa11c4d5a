//! A job's files: fetched into the cache by pieces, put together whole, checked, and linked read-only into a folder of the
//! job where they lie to each other as on the artist's machine. One preparation per job, shared by all who wait for it.

use super::{
    Shared,
    backoff::{Backoff, may_work_later},
    desk::JobKey,
};
use crate::{
    api::ApiError,
    blobs::{BlobError, BlobStore},
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future, stream};
use netrender_core::{
    digest::Digest,
    job::JobSpec,
    manifest::{Asset, Manifest},
    task::TaskError,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Pieces fetched at the same time.
const CONNECTIONS: usize = 4;
/// Job folders kept: artists often send the same scene again.
const KEPT_JOBS: usize = 2;

/// A job's files in place.
#[derive(Debug)]
pub struct JobTree {
    /// The scene.
    pub blend: String,
    /// The artist's path of every file → its path here.
    pub paths: BTreeMap<String, String>,
    /// Where the scene may write.
    pub scratch: String,
    /// Where the table of its view transform goes.
    pub view_table: String,
}

type Preparation = future::Shared<future::BoxFuture<'static, Result<Arc<JobTree>, TaskError>>>;

/// All preparations, newest last.
#[derive(Debug, Default)]
pub struct Assets {
    jobs: Mutex<Vec<(JobKey, Preparation)>>,
}

impl Assets {
    /// The job's files; begins fetching them if nobody did. A failure is not remembered: the next one to ask tries anew.
    pub fn prepare(&self, shared: &Arc<Shared>, key: &JobKey, spec: &JobSpec) -> Preparation {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |preparation: &Preparation| matches!(preparation.peek(), Some(Err(_)));
        if let Some(at) = jobs.iter().position(|(known, preparation)| known == key && !failed(preparation)) {
            let entry = jobs.remove(at);
            let preparation = entry.1.clone();
            jobs.push(entry);
            return preparation;
        }
        jobs.retain(|(known, _)| known != key);
        let (shared, job, manifest) = (Arc::clone(shared), key.clone(), spec.manifest);
        let work = tokio::spawn(async move { prepare(&shared, &job, manifest).await });
        let preparation = work
            .map(|ended| {
                ended.unwrap_or_else(|error| Err(failure("internal", format!("fetching files broke: {error}"))))
            })
            .boxed()
            .shared();
        jobs.push((key.clone(), preparation.clone()));
        preparation
    }

    /// Removes the folders of jobs long done, but for those in use.
    pub fn tidy(&self, shared: &Shared, in_use: &BTreeSet<JobKey>) {
        let mut old = Vec::new();
        {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut spare = jobs.len().saturating_sub(KEPT_JOBS);
            jobs.retain(|(key, preparation)| {
                let goes = spare > 0 && !in_use.contains(key) && preparation.peek().is_some();
                if goes {
                    spare -= 1;
                    old.push(job_dir(shared, key));
                }
                !goes
            });
        }
        if !old.is_empty() {
            tokio::task::spawn_blocking(move || old.iter().try_for_each(fs::remove_dir_all));
        }
    }
}

fn job_dir(shared: &Shared, key: &JobKey) -> PathBuf {
    // The farm's name comes from the network.
    let farm: String = key.farm.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    shared.folder.jobs().join(format!("{farm}-{}", key.job))
}

async fn prepare(shared: &Arc<Shared>, key: &JobKey, manifest: Digest) -> Result<Arc<JobTree>, TaskError> {
    let begun = std::time::Instant::now();
    let bad = |why: String| failure("fetch_failed", format!("the job's list of files is not usable: {why}"));
    fetch(shared, key, "the list of files", manifest).await?;
    let cache = &shared.folder.cache;
    let bytes = tokio::fs::read(cache.path(&manifest)).await.map_err(|error| bad(error.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    manifest.check().map_err(|error| bad(error.to_string()))?;
    let mut missing: BTreeMap<Digest, String> = BTreeMap::new();
    for asset in manifest.assets.iter().filter(|asset| !cache.has(&asset.digest)) {
        let absent = asset.pieces.iter().filter(|piece| !cache.has(&piece.digest));
        missing.extend(absent.map(|piece| (piece.digest, asset.source.clone())));
    }
    let pieces = missing.len();
    let fetches = missing.into_iter().map(|(digest, source)| {
        let (shared, key) = (Arc::clone(shared), key.clone());
        async move { fetch(&shared, &key, &source, digest).await }
    });
    stream::iter(fetches).buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
    let (dir, store) = (job_dir(shared, key), cache.clone());
    let built = tokio::task::spawn_blocking(move || build(&dir, &store, &manifest)).await;
    let tree = built.unwrap_or_else(|error| Err(failure("internal", format!("laying out files broke: {error}"))))?;
    let (job, files, seconds) = (key.job, tree.paths.len(), begun.elapsed().as_secs_f64());
    tracing::info!(target: "netrender::slave", %job, files, pieces, seconds, "files are here");
    Ok(Arc::new(tree))
}

/// Fetches a blob into the cache, from a master that may be away for a while. Ends when the slave belongs to another farm.
async fn fetch(shared: &Shared, key: &JobKey, what: &str, digest: Digest) -> Result<(), TaskError> {
    let mut backoff = Backoff::new();
    loop {
        let Some(link) = shared.link_to(&key.farm).await else {
            return Err(failure("fetch_failed", format!("{what} was not fetched: the farm is another one now")));
        };
        match link.api.fetch_blob(digest, &shared.folder.cache).await {
            Ok(()) => return Ok(()),
            Err(error) if may_work_later(&error) => backoff.wait().await,
            Err(ApiError::Refused { status: 404, .. }) => {
                return Err(failure("missing_file", format!("the master no longer has {what}: send the job again")));
            }
            Err(error) => {
                let hint = disk_hint(&error);
                return Err(failure("fetch_failed", format!("{what} could not be fetched: {error}{hint}")));
            }
        }
    }
}

fn disk_hint(error: &ApiError) -> &'static str {
    match error {
        ApiError::Blob(error) if error.is_disk_full() => ": the slave's disk is full, make room in its data folder",
        _ => "",
    }
}

fn build(dir: &Path, cache: &BlobStore, manifest: &Manifest) -> Result<JobTree, TaskError> {
    let failed =
        |place: &str, why: String| failure("fetch_failed", format!("{place} could not be put in place: {why}"));
    let text = |path: PathBuf| {
        let odd = |path: std::ffi::OsString| {
            failure("fetch_failed", format!("{path:?} is not Unicode: choose another data folder"))
        };
        path.into_os_string().into_string().map_err(odd)
    };
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("the job's folder", error.to_string()));
        }
        _ => {}
    }
    let (tree, scratch) = (dir.join("tree"), dir.join("scratch"));
    fs::create_dir_all(&scratch).map_err(|error| failed("the job's folder", error.to_string()))?;
    let mut paths = BTreeMap::new();
    for asset in &manifest.assets {
        assemble(cache, asset).map_err(|error| failed(&asset.source, error.to_string()))?;
        let place = tree.join(&asset.place);
        link(&cache.path(&asset.digest), &place).map_err(|error| failed(&asset.source, error.to_string()))?;
        paths.insert(asset.source.clone(), text(place)?);
    }
    Ok(JobTree {
        blend: text(tree.join(&manifest.blend))?,
        paths,
        scratch: text(scratch)?,
        view_table: text(dir.join("view.png"))?,
    })
}

/// Puts a file together from its pieces, unless it is there; its digest is checked on the way.
fn assemble(cache: &BlobStore, asset: &Asset) -> Result<(), BlobError> {
    if cache.has(&asset.digest) {
        return Ok(());
    }
    let mut incoming = cache.incoming()?;
    let mut buffer = vec![0; 256 << 10];
    for piece in &asset.pieces {
        let path = cache.path(&piece.digest);
        let failed = |source| BlobError::Io { path: path.clone(), source };
        let mut file = fs::File::open(&path).map_err(failed)?;
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                length => incoming.write(&buffer[..length])?,
            }
        }
    }
    incoming.finish(Some(asset.digest))?;
    Ok(())
}

fn link(cached: &Path, place: &Path) -> io::Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut permissions = fs::metadata(cached)?.permissions();
    if !permissions.readonly() {
        permissions.set_readonly(true);
        fs::set_permissions(cached, permissions)?;
    }
    // Some file systems (exFAT) have no hard links.
    fs::hard_link(cached, place).or_else(|_| fs::copy(cached, place).map(drop))
}

pub(super) fn failure(kind: &str, message: String) -> TaskError {
    TaskError { kind: kind.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::manifest::Piece;

    #[test]
    fn a_tree_is_put_together_from_pieces_and_refuses_wrong_ones() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlobStore::open(&dir.path().join("cache")).unwrap();
        let (a, b) = (cache.put(b"scene ").unwrap(), cache.put(b"file").unwrap());
        let pieces = vec![Piece { digest: a, bytes: 6 }, Piece { digest: b, bytes: 4 }];
        let digest = crate::blobs::digest_of(b"scene file");
        let blend = Asset { source: "/x/s.blend".into(), place: "x/s.blend".into(), digest, bytes: 10, pieces };
        let one = Piece { digest: b, bytes: 4 };
        let other = Asset { source: "/x/t".into(), place: "x/t".into(), digest: b, bytes: 4, pieces: vec![one] };
        let mut manifest = Manifest { blend: "x/s.blend".into(), assets: vec![blend, other] };
        let tree = build(&dir.path().join("job"), &cache, &manifest).unwrap();
        assert_eq!(fs::read(&tree.blend).unwrap(), b"scene file");
        assert_eq!(fs::read(&tree.paths["/x/t"]).unwrap(), b"file");
        assert!(fs::metadata(&tree.blend).unwrap().permissions().readonly());

        manifest.assets[0].digest = a;
        manifest.assets[0].pieces.reverse();
        fs::remove_file(cache.path(&a)).unwrap();
        assert_eq!(build(&dir.path().join("job"), &cache, &manifest).unwrap_err().kind, "fetch_failed");
    }
}
