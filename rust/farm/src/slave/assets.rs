//! A job's files: fetched into the cache by pieces, put together whole, proved, and linked read-only into a folder of the
//! job where they lie to each other as on the artist's machine. One preparation per job, shared by all who wait for it.

use super::{
    Shared,
    backoff::{Backoff, may_work_later},
    cache::{Cache, Pin, remove_read_only},
    desk::JobKey,
};
use crate::{api::ApiError, pieces::RecordError};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future, stream};
use netrender_core::{
    digest::Digest,
    job::JobSpec,
    manifest::{Asset, Manifest},
    recipe::{self, Piece},
    task::TaskError,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Requests for pieces at the same time.
const CONNECTIONS: usize = 4;
/// Asked for in one request.
const BATCH_BYTES: u64 = 8 << 20;
const BATCH_PIECES: usize = 4096;
/// Job folders kept: artists often send the same scene again.
const KEPT_JOBS: usize = 2;
/// The kind of a failure that room on the disk would mend.
const DISK_FULL: &str = "disk_full";
/// Pieces damaged on the way are asked for again this often.
const DAMAGED_TRIES: u32 = 5;

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
    let fetch = Fetch { shared, key, turns: tokio::sync::Semaphore::new(CONNECTIONS) };
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

async fn fetch_list(shared: &Shared, key: &JobKey, manifest: Digest) -> Result<Vec<u8>, TaskError> {
    let store = &shared.folder.lists;
    ask(shared, key, "the list of files", |link| async move { link.api.fetch_blob(manifest, store).await }).await?;
    tokio::fs::read(store.path(&manifest))
        .await
        .map_err(|error| failure("fetch_failed", format!("the list of files can't be read: {error}")))
}

/// Asks a master that may be away for a while. Ends when the slave belongs to another farm.
async fn ask<T, F: Future<Output = Result<T, ApiError>>>(
    shared: &Shared,
    key: &JobKey,
    what: &str,
    mut call: impl FnMut(super::Link) -> F,
) -> Result<T, TaskError> {
    let mut backoff = Backoff::new();
    loop {
        let Some(link) = shared.link_to(&key.farm).await else {
            return Err(failure("fetch_failed", format!("{what} was not fetched: the farm is another one now")));
        };
        match call(link).await {
            Ok(done) => return Ok(done),
            Err(error) if may_work_later(&error) => backoff.wait().await,
            Err(ApiError::Refused { status: 404, .. }) => {
                return Err(failure("missing_file", format!("the master no longer has {what}: send the job again")));
            }
            Err(ApiError::Blob(error)) if error.is_disk_full() => return Err(disk_full(what)),
            Err(error) => return Err(failure("fetch_failed", format!("{what} could not be fetched: {error}"))),
        }
    }
}

fn disk_full(what: &str) -> TaskError {
    let why = format!("{what} could not be fetched: the slave's disk is full, make room in its data folder");
    failure(DISK_FULL, why)
}

/// Files that are fetched together.
enum Unit<'a> {
    /// Each a single piece.
    Small(Vec<&'a Asset>),
    /// Several pieces.
    Large(&'a Asset),
}

struct Fetch<'a> {
    shared: &'a Arc<Shared>,
    key: &'a JobKey,
    turns: tokio::sync::Semaphore,
}

impl Fetch<'_> {
    /// All of these, pinned in the cache; and how many bytes came over the network for them.
    async fn files(&self, assets: &[Asset]) -> Result<(Vec<Pin>, u64), TaskError> {
        let wanted: HashMap<Digest, Asset> = assets.iter().map(|asset| (asset.digest, asset.clone())).collect();
        let cache = Arc::clone(&self.shared.folder.cache);
        let looking = tokio::task::spawn_blocking(move || {
            let (mut pins, mut absent) = (Vec::new(), Vec::new());
            for asset in wanted.into_values() {
                match cache.pin(&asset) {
                    Some(pin) => pins.push(pin),
                    None => absent.push(asset),
                }
            }
            (pins, absent)
        });
        let looked = looking.await;
        let (mut pins, mut absent) =
            looked.map_err(|error| failure("internal", format!("looking into the cache broke: {error}")))?;
        absent.sort_by(|a, b| a.place.cmp(&b.place));
        // Boxed, or the compiler loses track of the borrows.
        let units: Vec<_> = units(&absent).into_iter().map(|unit| self.unit(unit).boxed()).collect();
        let fetched = stream::iter(units)
            .buffer_unordered(CONNECTIONS)
            .try_fold((Vec::new(), 0), |(mut all, sum), (pins, bytes)| async move {
                all.extend(pins);
                Ok((all, sum + bytes))
            })
            .await?;
        pins.extend(fetched.0);
        Ok((pins, fetched.1))
    }

    async fn unit(&self, unit: Unit<'_>) -> Result<(Vec<Pin>, u64), TaskError> {
        match unit {
            Unit::Small(assets) => {
                let pieces: Vec<Piece> =
                    assets.iter().map(|a| Piece { digest: a.digest, bytes: a.bytes as u32 }).collect();
                let filled: Vec<Piece> = pieces.iter().filter(|piece| piece.bytes > 0).copied().collect();
                let mut pins = Vec::new();
                let by_digest: HashMap<Digest, &Asset> = assets.iter().map(|asset| (asset.digest, *asset)).collect();
                for asset in assets.iter().filter(|asset| asset.bytes == 0) {
                    pins.push(self.keep(asset, &[], &[])?);
                }
                let what = assets.first().map_or("a file", |asset| &asset.source);
                let mut sum = 0;
                let mut each = |piece: Piece, bytes: &[u8]| {
                    sum += bytes.len() as u64;
                    let asset =
                        by_digest.get(&piece.digest).ok_or_else(|| failure("internal", "a stray piece".into()))?;
                    pins.push(self.keep(asset, bytes, &[piece])?);
                    Ok(())
                };
                self.pieces(what, &filled, &mut each).await?;
                Ok((pins, sum))
            }
            Unit::Large(asset) => self.large(asset).await.map(|(pin, bytes)| (vec![pin], bytes)),
        }
    }

    fn keep(&self, asset: &Asset, bytes: &[u8], list: &[Piece]) -> Result<Pin, TaskError> {
        let cache = &self.shared.folder.cache;
        let kept = tokio::task::block_in_place(|| {
            let unfinished = cache.begin(asset.bytes)?;
            unfinished.write(bytes, 0)?;
            cache.finish(unfinished, asset, list)
        });
        kept.map_err(|error| self.not_kept(asset, &error))
    }

    fn not_kept(&self, asset: &Asset, error: &io::Error) -> TaskError {
        if is_disk_full(error) {
            return disk_full(&asset.source);
        }
        failure("fetch_failed", format!("{} could not be written: {error}", asset.source))
    }

    async fn large(&self, asset: &Asset) -> Result<(Pin, u64), TaskError> {
        let mut list = Vec::new();
        let bad = |why: String| failure("fetch_failed", format!("{} is not what it claims: {why}", asset.source));
        let recipe = Piece { digest: asset.digest, bytes: asset.pieces.saturating_mul(36) };
        let mut each = |_: Piece, bytes: &[u8]| {
            list = recipe::decode(bytes, asset.pieces, asset.bytes).map_err(|error| bad(error.to_string()))?;
            Ok(())
        };
        self.pieces(&asset.source, &[recipe], &mut each).await?;

        let cache = &self.shared.folder.cache;
        let unfinished = tokio::task::block_in_place(|| cache.begin(asset.bytes));
        let unfinished = unfinished.map_err(|error| self.not_kept(asset, &error))?;
        // What other files here have is copied, the rest fetched; a piece may be wanted in several places.
        let mut places: HashMap<Digest, Vec<u64>> = HashMap::new();
        let mut absent: Vec<Piece> = Vec::new();
        let mut offset = 0;
        for piece in &list {
            let there = tokio::task::block_in_place(|| {
                let bytes = cache.piece(piece);
                bytes.map(|bytes| unfinished.write(&bytes, offset)).transpose()
            });
            if there.map_err(|error| self.not_kept(asset, &error))?.is_none() {
                let offsets = places.entry(piece.digest).or_default();
                if offsets.is_empty() {
                    absent.push(*piece);
                }
                offsets.push(offset);
            }
            offset += u64::from(piece.bytes);
        }
        let unfinished = Mutex::new(unfinished);
        let mut fetched = Vec::new();
        for batch in batches(&absent) {
            let (unfinished, places) = (&unfinished, &places);
            let mut each = move |piece: Piece, bytes: &[u8]| {
                let unfinished = unfinished.lock().unwrap_or_else(PoisonError::into_inner);
                for offset in places.get(&piece.digest).into_iter().flatten() {
                    tokio::task::block_in_place(|| unfinished.write(bytes, *offset))
                        .map_err(|error| self.not_kept(asset, &error))?;
                }
                Ok(())
            };
            fetched.push(async move { self.pieces(&asset.source, batch, &mut each).await }.boxed());
        }
        // The turns bound how many of these ask at once.
        stream::iter(fetched).buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
        let unfinished = unfinished.into_inner().unwrap_or_else(PoisonError::into_inner);
        let pin = tokio::task::block_in_place(|| cache.finish(unfinished, asset, &list));
        let pin = pin.map_err(|error| self.not_kept(asset, &error))?;
        Ok((pin, absent.iter().map(|piece| u64::from(piece.bytes)).sum()))
    }

    /// Fetches these pieces and hands each on, proved, in this order. What came before the line broke is not asked for again.
    async fn pieces(
        &self,
        what: &str,
        pieces: &[Piece],
        each: &mut impl FnMut(Piece, &[u8]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let Ok(_turn) = self.turns.acquire().await else { return Ok(()) };
        let mut damaged = 0;
        let mut left = pieces;
        while !left.is_empty() {
            let digests: Vec<Digest> = left.iter().take(BATCH_PIECES).map(|piece| piece.digest).collect();
            let digests = &digests;
            let asked = ask(self.shared, self.key, what, |link| async move { link.api.get_pieces(digests).await });
            let mut records = asked.await?;
            let mut backoff = Backoff::new();
            while let Some(expected) = left.first() {
                let got = match records.next().await {
                    Ok(None) => break,
                    Ok(Some(record)) => tokio::task::block_in_place(|| record.open().map(std::borrow::Cow::into_owned))
                        .and_then(|bytes| {
                            let same = record.piece == *expected;
                            if same { Ok(bytes) } else { Err(RecordError::Damaged("another piece came".into())) }
                        }),
                    Err(error) => Err(error),
                };
                match got {
                    Ok(bytes) => {
                        each(*expected, &bytes)?;
                        left = &left[1..];
                    }
                    // The line broke, or the bytes did: ask again for what is left.
                    Err(error) => {
                        damaged += u32::from(!matches!(error, RecordError::Broken(_) | RecordError::Short));
                        if damaged > DAMAGED_TRIES {
                            let why = format!("{what} could not be fetched: {error}");
                            return Err(failure("fetch_failed", why));
                        }
                        tracing::debug!(target: "netrender::slave", what, %error, "a piece did not arrive");
                        backoff.wait().await;
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn units(assets: &[Asset]) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    let (mut small, mut bytes) = (Vec::new(), 0);
    for asset in assets {
        if asset.pieces > 1 {
            units.push(Unit::Large(asset));
            continue;
        }
        if !small.is_empty() && (bytes + asset.bytes > BATCH_BYTES || small.len() >= BATCH_PIECES) {
            units.push(Unit::Small(std::mem::take(&mut small)));
            bytes = 0;
        }
        bytes += asset.bytes;
        small.push(asset);
    }
    if !small.is_empty() {
        units.push(Unit::Small(small));
    }
    units
}

fn batches(pieces: &[Piece]) -> Vec<&[Piece]> {
    let mut bytes = 0;
    pieces
        .chunk_by(|_, next| {
            bytes += u64::from(next.bytes);
            let more = bytes <= BATCH_BYTES;
            if !more {
                bytes = 0;
            }
            more
        })
        .flat_map(|batch| batch.chunks(BATCH_PIECES))
        .collect()
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
    use netrender_core::manifest::{MANIFEST_VERSION, PathUse};

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

    #[test]
    fn batches_keep_every_piece_in_order() {
        let piece = |number: u8, bytes: u32| Piece { digest: Digest([number; 32]), bytes };
        let pieces: Vec<Piece> = (0..40).map(|n| piece(n, if n % 7 == 0 { 16 << 20 } else { 1 << 20 })).collect();
        let batches = batches(&pieces);
        assert_eq!(batches.concat(), pieces);
        assert!(batches.len() > 5);
    }
}
