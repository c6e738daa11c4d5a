//! The folder of a job: its files, linked read-only from the cache, at the same relative places as
//! on the artist's machine. What Blender may write is copied.

use super::{
    cache::{Cache, Pin, remove_read_only},
    libraries::point_libraries,
    writable::WritablePlaces,
};
use crate::failure::failure;
use netrender_core::{
    files::manifest::{Asset, Manifest},
    model::result::{FailureKind, TaskError},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Raw path under which a colour configuration of the artist's own travels among the path uses. No
/// datablock holds it; the environment of the artist's Blender did.
const COLOR_CONFIGURATION: &str = "$OCIO";

/// A job's files in place.
#[derive(Debug)]
pub struct JobTree {
    /// Path of the scene file.
    pub blend: String,
    /// Path of the scene file on the artist's machine.
    pub source: String,
    /// Path on the artist's machine → path here, for every file.
    pub files: BTreeMap<String, String>,
    /// Every path that a datablock holds: library here, raw string, path here, whether a file must
    /// be there.
    pub paths: Vec<(String, String, String, bool)>,
    /// Folder that the scene may write to.
    pub scratch: String,
    /// The files, as the job lists them.
    pub assets: Vec<Asset>,
    /// Files that Blender may write, with size and time of change as they were laid out.
    copies: BTreeMap<PathBuf, (u64, SystemTime)>,
    /// Folders that hold only such files.
    cache_folders: Vec<PathBuf>,
    /// Keeps the files in the cache.
    _pins: Vec<Pin>,
}

impl JobTree {
    /// True if no Blender wrote a file that it may write, or added one to a cache.
    pub fn is_as_laid_out(&self) -> bool {
        let is_same = |(path, was): (&PathBuf, &(u64, SystemTime))| state_of(path).is_ok_and(|is| is == *was);
        let is_ours = |path: &PathBuf| self.copies.contains_key(path);
        self.copies.iter().all(is_same)
            && self.cache_folders.iter().all(|folder| files_below(folder).iter().all(is_ours))
    }

    /// Path here of the colour configuration that the job's scene is made for; `None` for
    /// Blender's own.
    pub fn color_configuration(&self) -> Option<&str> {
        self.paths.iter().find(|path| path.1 == COLOR_CONFIGURATION).map(|path| path.2.as_str())
    }
}

/// Size and time of change of a file.
fn state_of(path: &Path) -> io::Result<(u64, SystemTime)> {
    let meta = fs::metadata(path)?;
    Ok((meta.len(), meta.modified()?))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { waiting.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files
}

/// Removes a folder whose files may be read-only. A missing one is no error.
pub fn remove_tree(dir: &Path) -> io::Result<()> {
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

/// Lays the files of a job out in the folder `dir`, which is replaced. A `baked` .blend takes the
/// place of the job's own.
pub fn build(
    dir: &Path,
    cache: &Cache,
    manifest: &Manifest,
    pins: Vec<Pin>,
    baked: Option<&Path>,
) -> Result<JobTree, TaskError> {
    let failed = |place: &str, error: io::Error| {
        failure(FailureKind::FetchFailed, format!("{place} could not be put in place: {error}"))
    };
    let text = |path: PathBuf| {
        let odd = |path: std::ffi::OsString| {
            failure(FailureKind::FetchFailed, format!("{path:?} is not Unicode: choose another data folder"))
        };
        path.into_os_string().into_string().map_err(odd)
    };
    remove_tree(dir).map_err(|error| failed("the job's folder", error))?;
    let (tree, scratch) = (dir.join("tree"), dir.join("scratch"));
    fs::create_dir_all(&scratch).map_err(|error| failed("the job's folder", error))?;
    let writable = WritablePlaces::of(manifest);
    let (mut files, mut copies) = (BTreeMap::new(), BTreeMap::new());
    let mut source = String::new();
    let original = |asset: &Asset| match baked.filter(|_| asset.place == manifest.blend) {
        Some(baked) => baked.to_owned(),
        None => cache.path(&asset.digest),
    };
    let pointed =
        point_libraries(manifest, &tree, original).map_err(|error| failed("a .blend with libraries", error))?;
    for asset in &manifest.assets {
        let place = tree.join(&asset.place);
        if place.exists() {
            // A copy whose libraries' paths are right already.
        } else if writable.contains(&asset.place) {
            let copied = copy(&original(asset), &place).map_err(|error| failed(&asset.source, error))?;
            copies.insert(place.clone(), copied);
        } else {
            link(&original(asset), &place).map_err(|error| failed(&asset.source, error))?;
        }
        files.insert(asset.source.clone(), text(place)?);
        if asset.place == manifest.blend {
            source.clone_from(&asset.source);
        }
    }
    let here = |place: &str| if place.is_empty() { Ok(String::new()) } else { text(tree.join(place)) };
    let used = manifest.paths.iter().map(|path| (&path.library, &path.raw, &path.place, path.must_exist));
    let pointed = pointed.iter().map(|path| (&path.blend, &path.raw, &path.place, true));
    let paths = used
        .chain(pointed)
        .map(|(library, raw, place, must_exist)| Ok((here(library)?, raw.clone(), here(place)?, must_exist)))
        .collect::<Result<_, TaskError>>()?;
    Ok(JobTree {
        blend: text(tree.join(&manifest.blend))?,
        source,
        files,
        paths,
        scratch: text(scratch)?,
        assets: manifest.assets.clone(),
        copies,
        cache_folders: writable.folders().map(|folder| tree.join(folder)).collect(),
        _pins: pins,
    })
}

/// Copies a file of the cache, for Blender to write. Shares the blocks where the file system can.
fn copy(cached: &Path, place: &Path) -> io::Result<(u64, SystemTime)> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(cached, place)?;
    let mut permissions = fs::metadata(place)?.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    #[cfg(windows)]
    #[allow(clippy::permissions_set_readonly_false)] // Windows has no other writers to let in
    permissions.set_readonly(false);
    fs::set_permissions(place, permissions)?;
    state_of(place)
}

/// Links a file of the cache to another place; copies it where links are not possible.
fn link(cached: &Path, place: &Path) -> io::Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    // Some file systems (exFAT) have no hard links, others allow few to one file.
    fs::hard_link(cached, place).or_else(|_| fs::copy(cached, place).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::files::{
        manifest::{MANIFEST_VERSION, PathUse},
        recipe::Piece,
    };
    use netrender_store::blobs::digest_of;
    use std::sync::Arc;

    fn keep(cache: &Arc<Cache>, place: &str, bytes: &[u8]) -> (Asset, Pin) {
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
    }

    #[test]
    fn what_blender_may_write_is_no_link_into_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(&dir.path().join("cache"), 1 << 20).unwrap());
        let places = ["x/s.blend", "x/fluid/config/config_0001.uni", "x/fluid/data/fluid_data_0001.vdb"];
        let (assets, pins) = places.iter().map(|place| keep(&cache, place, place.as_bytes())).unzip();
        let manifest = Manifest { version: MANIFEST_VERSION, blend: "x/s.blend".into(), assets, paths: vec![] };
        let tree = build(&dir.path().join("job"), &cache, &manifest, pins, None).unwrap();
        assert!(tree.is_as_laid_out());
        // When Blender writes as a replay of a fluid does
        let frame = PathBuf::from(&tree.files["/x/fluid/data/fluid_data_0001.vdb"]);
        let added = frame.with_file_name("fluid_data_0002.vdb");
        fs::write(&added, "new").unwrap();
        assert!(!tree.is_as_laid_out(), "a file was added");
        fs::remove_file(added).unwrap();
        assert!(tree.is_as_laid_out());
        fs::write(&frame, "other").unwrap();
        assert!(!tree.is_as_laid_out(), "a file was written");
        // Then the cache has what it had
        assert!(cache.prove(&tree.assets, true).is_empty());
    }

    #[test]
    fn a_tree_mirrors_the_artists_folders_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(&dir.path().join("cache"), 1 << 20).unwrap());
        let (blend, first) = keep(&cache, "x/s.blend", b"scene file");
        let (texture, second) = keep(&cache, "x/t/a.png", b"file");
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
        let tree = build(&dir.path().join("job"), &cache, &manifest, vec![first, second], None).unwrap();
        assert_eq!(fs::read(&tree.blend).unwrap(), b"scene file");
        assert_eq!(tree.source, "/x/s.blend");
        assert_eq!(fs::read(&tree.files["/x/t/a.png"]).unwrap(), b"file");
        assert_eq!(tree.paths[0].2, tree.files["/x/t/a.png"]);
        assert!(fs::metadata(&tree.blend).unwrap().permissions().readonly());
    }
}
