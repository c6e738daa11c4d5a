//! A job's files in place: brought into the cache (by `fetch`) and linked read-only into a folder of the job, where they lie
//! to each other as on the artist's machine. One preparation per job, shared by all who wait for it.

use super::{
    Shared,
    cache::{Cache, Pin, remove_read_only},
    desk::JobKey,
    fetch::{DISK_FULL, Fetch, fetch_list},
};
use futures_util::{FutureExt, future};
use netrender_core::{digest::Digest, job::JobSpec, manifest::Manifest, task::TaskError};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Job folders kept: artists often send the same scene again.
const KEPT_JOBS: usize = 2;

/// A job's files in place.
#[derive(Debug)]
pub struct JobTree {
    /// The scene.
    pub blend: String,
    /// The scene's path on the artist's machine.
    pub source: String,
    /// The artist's path of every file → its path here.
    pub files: BTreeMap<String, String>,
    /// Every path a datablock holds: library here, raw string, path here, whether something must be there.
    pub paths: Vec<(String, String, String, bool)>,
    /// Where the scene may write.
    pub scratch: String,
    /// Keeps the files in the cache.
    _pins: Vec<Pin>,
}

type Preparation = future::Shared<future::BoxFuture<'static, Result<Arc<JobTree>, TaskError>>>;

/// All preparations, newest last.
#[derive(Debug, Default)]
pub struct Assets {
    jobs: Mutex<Vec<(JobKey, Preparation)>>,
    /// One job's files at a time: two jobs with the same texture shall not both fetch it.
    fetching: tokio::sync::Mutex<()>,
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

    /// Removes the folders of jobs long done, but for those in use. Their files are no longer pinned then.
    pub fn tidy(&self, shared: &Shared, in_use: &BTreeSet<JobKey>) {
        self.drop_jobs(shared, in_use, KEPT_JOBS);
    }

    fn drop_jobs(&self, shared: &Shared, in_use: &BTreeSet<JobKey>, kept: usize) {
        let mut old = Vec::new();
        {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut spare = jobs.len().saturating_sub(kept);
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
            tokio::task::spawn_blocking(move || old.iter().try_for_each(|dir| remove_tree(dir)));
        }
    }
}

fn job_dir(shared: &Shared, key: &JobKey) -> PathBuf {
    // The farm's name comes from the network.
    let farm: String = key.farm.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    shared.folder.jobs().join(format!("{farm}-{}", key.job))
}

/// Removes a folder whose files are read-only.
fn remove_tree(dir: &Path) -> io::Result<()> {
    if cfg!(windows) {
        let mut waiting = vec![dir.to_owned()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_type()?.is_dir() {
                    waiting.push(entry.path());
                } else {
                    remove_read_only(&entry.path())?;
                }
            }
        }
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn prepare(shared: &Arc<Shared>, key: &JobKey, manifest: Digest) -> Result<Arc<JobTree>, TaskError> {
    let bad = |why: String| failure("fetch_failed", format!("the job's list of files is not usable: {why}"));
    let list = fetch_list(shared, key, manifest).await?;
    let manifest: Manifest = serde_json::from_slice(&list).map_err(|error| bad(error.to_string()))?;
    manifest.check().map_err(|error| bad(error.to_string()))?;
    let _one = shared.assets.fetching.lock().await;
    let begun = std::time::Instant::now();
    let fetch = Fetch::new(shared, key);
    let mut fetched = fetch.files(&manifest.assets).await;
    if fetched.as_ref().is_err_and(|error| error.kind == DISK_FULL) {
        // Whatever no job needs now makes room.
        let mut in_use = shared.desk.borrow().jobs();
        in_use.insert(key.clone());
        shared.assets.drop_jobs(shared, &in_use, 0);
        if shared.folder.cache.empty() {
            fetched = fetch.files(&manifest.assets).await;
        }
    }
    let (pins, fetched_bytes) = fetched?;
    let (dir, cache) = (job_dir(shared, key), Arc::clone(&shared.folder.cache));
    let built = tokio::task::spawn_blocking(move || build(&dir, &cache, &manifest, pins)).await;
    let tree = built.unwrap_or_else(|error| Err(failure("internal", format!("laying out files broke: {error}"))))?;
    let (job, files, seconds) = (key.job, tree.files.len(), begun.elapsed().as_secs_f64());
    let cached_bytes = shared.folder.cache.total();
    tracing::info!(target: "netrender::slave", %job, files, fetched_bytes, cached_bytes, seconds, "files are here");
    Ok(Arc::new(tree))
}

fn build(dir: &Path, cache: &Cache, manifest: &Manifest, pins: Vec<Pin>) -> Result<JobTree, TaskError> {
    let failed =
        |place: &str, error: io::Error| failure("fetch_failed", format!("{place} could not be put in place: {error}"));
    let text = |path: PathBuf| {
        let odd = |path: std::ffi::OsString| {
            failure("fetch_failed", format!("{path:?} is not Unicode: choose another data folder"))
        };
        path.into_os_string().into_string().map_err(odd)
    };
    remove_tree(dir).map_err(|error| failed("the job's folder", error))?;
    let (tree, scratch) = (dir.join("tree"), dir.join("scratch"));
    fs::create_dir_all(&scratch).map_err(|error| failed("the job's folder", error))?;
    let mut files = BTreeMap::new();
    let mut source = String::new();
    for asset in &manifest.assets {
        let place = tree.join(&asset.place);
        link(&cache.path(&asset.digest), &place).map_err(|error| failed(&asset.source, error))?;
        files.insert(asset.source.clone(), text(place)?);
        if asset.place == manifest.blend {
            source.clone_from(&asset.source);
        }
    }
    let here = |place: &str| if place.is_empty() { Ok(String::new()) } else { text(tree.join(place)) };
    let paths = manifest
        .paths
        .iter()
        .map(|path| Ok((here(&path.library)?, path.raw.clone(), here(&path.place)?, path.must_exist)))
        .collect::<Result<_, TaskError>>()?;
    Ok(JobTree { blend: text(tree.join(&manifest.blend))?, source, files, paths, scratch: text(scratch)?, _pins: pins })
}

fn link(cached: &Path, place: &Path) -> io::Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    // Some file systems (exFAT) have no hard links, others allow few to one file.
    fs::hard_link(cached, place).or_else(|_| fs::copy(cached, place).map(drop))
}

pub(super) fn failure(kind: &str, message: String) -> TaskError {
    TaskError { kind: kind.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::digest_of;
    use netrender_core::{
        manifest::{Asset, MANIFEST_VERSION, PathUse},
        recipe::Piece,
    };

    #[test]
    fn a_tree_mirrors_the_artists_folders_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(&dir.path().join("cache"), 1 << 20).unwrap());
        let asset = |place: &str, bytes: &[u8]| {
            let piece = Piece { digest: digest_of(bytes), bytes: bytes.len() as u32 };
            let asset = Asset {
                source: format!("/{place}"),
                place: place.into(),
                digest: piece.digest,
                bytes: bytes.len() as u64,
                pieces: 1,
            };
            let unfinished = cache.begin(asset.bytes).unwrap();
            unfinished.write(bytes, 0).unwrap();
            let pin = cache.finish(unfinished, &asset, &[piece]).unwrap();
            (asset, pin)
        };
        let (blend, first) = asset("x/s.blend", b"scene file");
        let (texture, second) = asset("x/t/a.png", b"file");
        let path = PathUse {
            library: String::new(),
            raw: "//t\\a.png".into(),
            place: "x/t/a.png".into(),
            user: String::new(),
            must_exist: true,
        };
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            blend: "x/s.blend".into(),
            assets: vec![blend, texture],
            paths: vec![path],
        };
        let tree = build(&dir.path().join("job"), &cache, &manifest, vec![first, second]).unwrap();
        assert_eq!(fs::read(&tree.blend).unwrap(), b"scene file");
        assert_eq!(tree.source, "/x/s.blend");
        assert_eq!(fs::read(&tree.files["/x/t/a.png"]).unwrap(), b"file");
        assert_eq!(tree.paths[0].2, tree.files["/x/t/a.png"]);
        assert!(fs::metadata(&tree.blend).unwrap().permissions().readonly());
    }
}
