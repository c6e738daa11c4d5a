//! The cache of jobs' files: whole, read-only, by digest, each with the list of its pieces beside
//! it. Pieces of any cached file serve to put the next one together. The size is bounded: the least
//! recently used file goes first, but never one that a job has pinned.
//!
//! Nothing here is synced to the disk, because it can all be fetched again. Therefore a file is
//! trusted only after it was read and verified once since the slave started. A Blender that runs as
//! root can write through a link whatever its mode: a file whose time of change is not the one that
//! the cache gave it is trusted no more ([`Cache::prove`]).

use netrender_core::{
    files::{
        manifest::Asset,
        recipe::{self, Piece},
    },
    model::digest::Digest,
};
use netrender_net::random_hex;
use netrender_store::blobs::digest_of;
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

/// Unfinished files. On the same file system as the finished ones.
const INCOMING: &str = "incoming";
const FILES: &str = "files";
const LIST: &str = "list";

#[derive(Debug)]
struct Entry {
    bytes: u64,
    used: SystemTime,
    pins: u32,
    verified: bool,
    /// Time of change that the cache gave the file, or found when it verified it. Any write by
    /// others gives it another one.
    stamp: Option<SystemTime>,
}

impl Entry {
    /// True if nobody wrote the file since [`Self::touch`].
    fn is_untouched(&self, path: &Path) -> bool {
        let meta = fs::metadata(path);
        self.stamp.is_some() && meta.is_ok_and(|meta| meta.len() == self.bytes && meta.modified().ok() == self.stamp)
    }

    /// Notes that the file is used now, on the disk too, which keeps the order of use over a
    /// restart.
    fn touch(&mut self, path: &Path) {
        // The owner may set the time of a file that is read-only; on Windows nobody may.
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        self.stamp = time_of_change(path);
    }
}

fn time_of_change(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Digest, Entry>,
    /// Place of each piece: a file and the offset in it.
    pieces: HashMap<Digest, (Digest, u64)>,
    total: u64,
}

/// An open cache.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    limit_bytes: AtomicU64,
    state: Mutex<State>,
}

/// Keeps a file in the cache while it lives.
#[derive(Debug)]
pub struct Pin {
    cache: Arc<Cache>,
    digest: Digest,
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(entry) = self.cache.state.lock().files.get_mut(&self.digest) {
            entry.pins = entry.pins.saturating_sub(1);
            entry.used = SystemTime::now();
        }
    }
}

impl Cache {
    /// Opens or makes the folder, and removes files that a crash left unfinished.
    pub fn open(dir: &Path, limit_bytes: u64) -> io::Result<Self> {
        match fs::remove_dir_all(dir.join(INCOMING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for name in [INCOMING, FILES] {
            fs::create_dir_all(dir.join(name))?;
        }
        let mut state = State::default();
        for folder in fs::read_dir(dir.join(FILES))?.flatten() {
            for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(digest) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
                let Ok(meta) = entry.metadata() else { continue };
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                state.files.insert(digest, Entry { bytes: meta.len(), used, pins: 0, verified: false, stamp: None });
                state.total += meta.len();
            }
        }
        let limit_bytes = AtomicU64::new(limit_bytes);
        let cache = Self { dir: dir.to_owned(), limit_bytes, state: Mutex::new(state) };
        let known: Vec<Digest> = cache.state.lock().files.keys().copied().collect();
        for digest in known {
            let list = cache.list_of(&digest).unwrap_or_default();
            cache.learn(&mut cache.state.lock(), digest, &list);
        }
        cache.make_room(0);
        Ok(cache)
    }

    /// Path of this file, whether it is cached or not.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(FILES).join(&name[..2]).join(name)
    }

    /// Pins the file if it is cached and undamaged. Reads it to verify it, once per start of the
    /// slave and after anybody wrote it.
    pub fn pin(self: &Arc<Self>, asset: &Asset) -> Option<Pin> {
        let path = self.path(&asset.digest);
        let verified = {
            let mut state = self.state.lock();
            let entry = state.files.get_mut(&asset.digest)?;
            entry.pins += 1;
            entry.used = SystemTime::now();
            entry.verified && entry.is_untouched(&path)
        };
        let pin = Pin { cache: Arc::clone(self), digest: asset.digest };
        if !verified && self.verify(&path, asset).is_err() {
            tracing::warn!(file = asset.source, "a file in the cache is damaged: it is fetched again");
            self.forget(&asset.digest);
            return None;
        }
        if let Some(entry) = self.state.lock().files.get_mut(&asset.digest) {
            entry.verified = true;
            entry.touch(&path);
        }
        Some(pin)
    }

    /// Forgets those of these files that were written by anybody else since they were verified; in
    /// a `thorough` proof those whose bytes are not theirs any more, for a Blender that could have
    /// hidden it. Returns them.
    pub fn prove(&self, assets: &[Asset], thorough: bool) -> BTreeSet<Digest> {
        let mut changed = BTreeSet::new();
        for asset in assets {
            let path = self.path(&asset.digest);
            let untouched = match self.state.lock().files.get(&asset.digest) {
                Some(entry) => entry.is_untouched(&path),
                // Evicted or forgotten already.
                None => false,
            };
            if !untouched || thorough && self.verify(&path, asset).is_err() {
                tracing::warn!(file = asset.source, "a cached file was changed by others: it is fetched again");
                self.forget(&asset.digest);
                changed.insert(asset.digest);
            }
        }
        changed
    }

    /// Verifies a file by its pieces' digests.
    fn verify(&self, path: &Path, asset: &Asset) -> io::Result<()> {
        let list = match asset.pieces {
            0 => Vec::new(),
            1 => vec![Piece { digest: asset.digest, bytes: asset.bytes as u32 }],
            several => {
                recipe::decode(&self.list_bytes(&asset.digest)?, several, asset.bytes).map_err(io::Error::other)?
            }
        };
        let mut file = File::open(path)?;
        let mut buffer = Vec::new();
        for piece in list {
            buffer.resize(piece.bytes as usize, 0);
            file.read_exact(&mut buffer)?;
            if digest_of(&buffer) != piece.digest {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        if file.read(&mut [0])? == 0 { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Reads a piece out of any cached file; `None` if no file has it.
    pub fn piece(&self, piece: &Piece) -> Option<Vec<u8>> {
        let (holder, offset) = *self.state.lock().pieces.get(&piece.digest)?;
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.path(&holder))?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = vec![0; piece.bytes as usize];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        read().ok().filter(|bytes| digest_of(bytes) == piece.digest)
    }

    /// Begins a file of this size and makes room for it first.
    pub fn begin(&self, bytes: u64) -> io::Result<Unfinished> {
        self.make_room(bytes);
        let path = self.dir.join(INCOMING).join(random_hex());
        let file = File::options().create_new(true).write(true).open(&path)?;
        Ok(Unfinished { path, file })
    }

    /// Adds a file whose pieces were all written and verified.
    pub fn finish(self: &Arc<Self>, unfinished: Unfinished, asset: &Asset, list: &[Piece]) -> io::Result<Pin> {
        let path = self.path(&asset.digest);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if list.len() > 1 {
            fs::write(path.with_extension(LIST), recipe::encode(list))?;
        }
        let mut permissions = unfinished.file.metadata()?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&unfinished.path, permissions)?;
        fs::rename(&unfinished.path, &path)?;
        let mut state = self.state.lock();
        let entry = Entry {
            bytes: asset.bytes,
            used: SystemTime::now(),
            pins: 1,
            verified: true,
            stamp: time_of_change(&path),
        };
        if let Some(before) = state.files.insert(asset.digest, entry) {
            state.total -= before.bytes;
        }
        state.total += asset.bytes;
        let whole = [Piece { digest: asset.digest, bytes: asset.bytes as u32 }];
        self.learn(&mut state, asset.digest, if list.len() > 1 { list } else { &whole });
        Ok(Pin { cache: Arc::clone(self), digest: asset.digest })
    }

    /// Changes the size limit, at once.
    pub fn limit(&self, bytes: u64) {
        self.limit_bytes.store(bytes, Relaxed);
        self.make_room(0);
    }

    /// Evicts files that are not pinned, the least recently used first, until this many more bytes
    /// fit.
    pub fn make_room(&self, bytes: u64) {
        let mut state = self.state.lock();
        let over = (state.total.saturating_add(bytes)).saturating_sub(self.limit_bytes.load(Relaxed));
        self.evict(&mut state, over);
    }

    /// Evicts all files that are not pinned. Returns whether that made room.
    pub fn empty(&self) -> bool {
        let mut state = self.state.lock();
        let before = state.total;
        self.evict(&mut state, u64::MAX);
        state.total < before
    }

    fn evict(&self, state: &mut State, mut over: u64) {
        if over == 0 {
            return;
        }
        let mut oldest: Vec<(SystemTime, Digest)> = state
            .files
            .iter()
            .filter(|(_, entry)| entry.pins == 0)
            .map(|(digest, entry)| (entry.used, *digest))
            .collect();
        oldest.sort_unstable();
        let mut gone = std::collections::HashSet::new();
        for (_, digest) in oldest {
            if over == 0 {
                break;
            }
            if let Some(entry) = state.files.remove(&digest) {
                over = over.saturating_sub(entry.bytes);
                state.total -= entry.bytes;
                gone.insert(digest);
                self.remove(&digest);
            }
        }
        if !gone.is_empty() {
            state.pieces.retain(|_, (holder, _)| !gone.contains(holder));
            tracing::info!(files = gone.len(), left_bytes = state.total, "cache: old files thrown out");
        }
    }

    fn forget(&self, digest: &Digest) {
        let mut state = self.state.lock();
        if let Some(entry) = state.files.remove(digest) {
            state.total -= entry.bytes;
        }
        state.pieces.retain(|_, (holder, _)| holder != digest);
        self.remove(digest);
    }

    fn remove(&self, digest: &Digest) {
        let path = self.path(digest);
        let _ = fs::remove_file(path.with_extension(LIST));
        if let Err(error) = remove_read_only(&path) {
            tracing::warn!(path = %path.display(), %error, "a file stays in the cache's folder");
        }
    }

    /// Size of all cached files in bytes.
    pub fn total(&self) -> u64 {
        self.state.lock().total
    }

    fn list_bytes(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let bytes = fs::read(self.path(digest).with_extension(LIST))?;
        if digest_of(&bytes) == *digest { Ok(bytes) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn list_of(&self, digest: &Digest) -> Option<Vec<Piece>> {
        let bytes = self.state.lock().files.get(digest)?.bytes;
        match self.list_bytes(digest) {
            Ok(list) => recipe::decode(&list, (list.len() / 36) as u32, bytes).ok(),
            Err(_) => u32::try_from(bytes).ok().map(|bytes| vec![Piece { digest: *digest, bytes }]),
        }
    }

    fn learn(&self, state: &mut State, holder: Digest, list: &[Piece]) {
        let mut offset = 0;
        for piece in list {
            state.pieces.insert(piece.digest, (holder, offset));
            offset += u64::from(piece.bytes);
        }
    }
}

/// A file being put together. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    /// Writes verified bytes at this offset.
    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // A finished file has moved already.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a file that may be read-only. Windows refuses that without help.
pub fn remove_read_only(path: &Path) -> io::Result<()> {
    #[cfg(windows)]
    if let Ok(meta) = fs::metadata(path) {
        let mut permissions = meta.permissions();
        #[allow(clippy::permissions_set_readonly_false)] // Windows has no other writers to let in
        permissions.set_readonly(false);
        let _ = fs::set_permissions(path, permissions);
    }
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(parts: &[&[u8]]) -> (Asset, Vec<Piece>) {
        let list: Vec<Piece> =
            parts.iter().map(|part| Piece { digest: digest_of(part), bytes: part.len() as u32 }).collect();
        let digest = if let [only] = &list[..] { only.digest } else { digest_of(&recipe::encode(&list)) };
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let asset = Asset { source: "/x".into(), place: "x".into(), digest, bytes, pieces: list.len() as u32 };
        (asset, list)
    }

    fn put(cache: &Arc<Cache>, parts: &[&[u8]]) -> (Asset, Pin) {
        let (asset, list) = asset(parts);
        let unfinished = cache.begin(asset.bytes).unwrap();
        unfinished.write(&parts.concat(), 0).unwrap();
        let pin = cache.finish(unfinished, &asset, &list).unwrap();
        (asset, pin)
    }

    #[test]
    fn the_least_recently_used_goes_first_and_pinned_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(dir.path(), 100).unwrap());
        let (old, pin) = put(&cache, &[&[1; 40]]);
        drop(pin);
        let (pinned, _pin) = put(&cache, &[&[2; 40]]);
        let (_, pin) = put(&cache, &[&[3; 40]]);
        assert!(cache.pin(&old).is_none());
        drop(pin);
        assert_eq!(cache.total(), 80);
        put(&cache, &[&[4; 90]]);
        cache.limit(50);
        assert_eq!(cache.total(), 40, "a lower limit holds at once");
        assert!(cache.pin(&pinned).is_some());
        assert_eq!(fs::read_dir(dir.path().join(INCOMING)).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_somebody_wrote_is_never_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(dir.path(), 1000).unwrap());
        let ((kept, _pin), (first, _first), (second, _second)) =
            (put(&cache, &[b"texture"]), put(&cache, &[b"a scene ", b"in two"]), put(&cache, &[b"pixels"]));
        let write = |asset: &Asset, bytes: &[u8], hide: bool| {
            let (path, linked) = (cache.path(&asset.digest), dir.path().join("linked"));
            let before = fs::metadata(&path).unwrap();
            fs::hard_link(&path, &linked).unwrap();
            // As root may, whatever the mode says.
            fs::set_permissions(&linked, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
            fs::write(&linked, bytes).unwrap();
            if hide {
                File::open(&linked).unwrap().set_modified(before.modified().unwrap()).unwrap();
            }
            fs::remove_file(&linked).unwrap();
        };
        let all = [kept.clone(), first.clone(), second.clone()];
        assert!(cache.prove(&all, true).is_empty());
        assert!(cache.pin(&second).is_some(), "using a file is no change of it");
        assert!(cache.prove(&all, false).is_empty());

        write(&first, b"a scene in twX", false);
        assert_eq!(cache.prove(&all, false), BTreeSet::from([first.digest]));
        assert!(!cache.path(&first.digest).exists());
        write(&second, b"pixelz", true);
        assert!(cache.prove(&all[2..], false).is_empty(), "the time of change was put back");
        assert_eq!(cache.prove(&all[2..], true), BTreeSet::from([second.digest]));

        // And before a proof, when another job wants the file
        write(&kept, b"textuRe", false);
        assert!(cache.pin(&kept).is_none());
        assert_eq!(cache.total(), 0);
    }

    #[test]
    fn after_a_restart_files_are_verified_and_their_pieces_known() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, rotten) = {
            let cache = Arc::new(Cache::open(dir.path(), 1000).unwrap());
            (put(&cache, &[b"a scene ", b"in two"]).0, put(&cache, &[b"pixels"]).0)
        };
        let cache = Arc::new(Cache::open(dir.path(), 1000).unwrap());
        let path = cache.path(&rotten.digest);
        remove_read_only(&path).unwrap();
        fs::write(&path, b"pixelz").unwrap();
        assert!(cache.pin(&rotten).is_none());
        assert!(!path.exists());
        assert!(cache.pin(&whole).is_some());
        let second = Piece { digest: digest_of(b"in two"), bytes: 6 };
        assert_eq!(cache.piece(&second).as_deref(), Some(&b"in two"[..]));
    }
}
