//! What a job would send, looked at before a byte goes out: which files, how large, and what would go wrong. A job with
//! problems is refused with this report, unless the artist sends it anyway; notes are for her to know.

use super::trace::Description;
use netrender_core::manifest::{MANIFEST_VERSION, MAX_ASSET_BYTES, MAX_PLACE, Manifest, PathUse, folded, mirror};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    fs::Metadata,
    path::{Path, PathBuf},
};

/// Files named one by one in a message; the report itself has them all.
const SHOWN: usize = 10;
/// Findings that a panel lists.
const PANEL: usize = 100;
/// Largest files listed.
const LARGEST: usize = 5;
/// Smaller files may be as sparse as they like.
const SPARSE_BYTES: u64 = 1 << 30;

/// What a finding is about, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A file the scene names is not there.
    Missing,
    /// It is there and can't be read.
    Unreadable,
    /// A painted image that is in no file yet.
    UnsavedImage,
    /// Two files that other systems take for one.
    Collision,
    /// A file that is mostly holes, or too large to be true.
    OddSize,
    /// The scene needs Python that the farm does not run.
    Scripts,
    /// Files that lie elsewhere than the scene.
    Outside,
    /// Anything else worth knowing.
    Note,
}

/// One thing to know before sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// The file, folder or datablock.
    pub path: String,
    /// Who needs it; may be empty.
    pub user: String,
    /// What is wrong, in words.
    pub why: String,
}

impl Finding {
    /// Worth knowing, of no file in particular.
    pub fn note(why: String) -> Self {
        Self::new(FindingKind::Note, "", "", why)
    }

    fn new(kind: FindingKind, path: &str, user: &str, why: impl Into<String>) -> Self {
        Self { kind, path: path.to_owned(), user: user.to_owned(), why: why.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.is_empty(), self.user.is_empty()) {
            (true, _) => f.write_str(&self.why),
            (false, true) => write!(f, "{}: {}", self.path, self.why),
            (false, false) => write!(f, "{} (used by {}): {}", self.path, self.user, self.why),
        }
    }
}

/// A file and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// On this machine.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// What a job would send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many files, the .blend included.
    pub files: usize,
    /// Their sizes together.
    pub bytes: u64,
    /// How many problems there are; a look at a transfer shows the first hundred.
    pub problem_count: usize,
    /// What would go wrong.
    pub problems: Vec<Finding>,
    /// What else is worth knowing.
    pub notes: Vec<Finding>,
    /// The largest files first.
    pub largest: Vec<FileSize>,
}

impl Report {
    /// Short enough to be copied into a panel again and again.
    pub fn short(&self) -> Self {
        let mut short = self.clone();
        short.problems.truncate(PANEL);
        short.notes.truncate(PANEL);
        short
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problem_count;
        write!(f, "{count} {} would go wrong, so nothing was sent:", if count == 1 { "thing" } else { "things" })?;
        for problem in self.problems.iter().take(SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        if count > SHOWN {
            write!(f, "\n  and {} more", count - SHOWN)?;
        }
        f.write_str("\nMend that, or send anyway")
    }
}

/// A file to be sent.
#[derive(Clone, Debug)]
pub struct PlannedFile {
    /// Where its bytes are.
    pub read: PathBuf,
    /// Its path as the scene knows it.
    pub source: String,
    /// Where it lies on the slaves.
    pub place: String,
    /// Its size when it was looked at.
    pub bytes: u64,
}

/// What to send, and how it looks from the artist's side.
#[derive(Debug)]
pub struct Plan {
    /// Every file once.
    pub files: Vec<PlannedFile>,
    /// Everything but the assets.
    pub manifest: Manifest,
    /// For the artist.
    pub report: Report,
}

/// The name a path really has. Bytes of file names that are no UTF-8 travel as U+10DC80 to U+10DCFF (the tracer's doing,
/// after Python's surrogate escapes), private characters that are valid everywhere.
pub fn real_path(text: &str) -> PathBuf {
    #[cfg(unix)]
    if text.chars().any(is_escaped_byte) {
        use std::os::unix::ffi::OsStringExt;
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            if is_escaped_byte(c) {
                bytes.push((u32::from(c) & 0xff) as u8);
            } else {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        return std::ffi::OsString::from_vec(bytes).into();
    }
    PathBuf::from(text)
}

#[cfg(unix)]
fn is_escaped_byte(c: char) -> bool {
    ('\u{10DC80}'..='\u{10DCFF}').contains(&c)
}

/// Looks at every file. `blend` is the copy whose bytes are sent; `added` are files and folders of the artist's own list.
pub fn plan(scene: &Description, blend: &Path, added: &[String], unsaved: &[String], scripts_allowed: bool) -> Plan {
    let mut planner = Planner::default();
    planner.add(blend.to_owned(), &scene.source, "");
    let mut sources: BTreeSet<&str> = scene.files.iter().map(String::as_str).collect();
    sources.remove(scene.source.as_str());
    for source in sources {
        planner.add(real_path(source), source, "");
    }
    for path in added {
        planner.add_tree(Path::new(path));
    }
    for missing in &scene.missing {
        let user = format!("{} {}", missing.kind, missing.user);
        planner.problem(FindingKind::Missing, &missing.path, user.trim(), missing.why.clone());
    }
    for image in unsaved {
        planner.problem(
            FindingKind::UnsavedImage,
            image,
            "",
            "the painted image is not saved; save it with Image > Save",
        );
    }
    let needs_scripts = if scripts_allowed { &mut planner.report.notes } else { &mut planner.report.problems };
    for why in &scene.scripts {
        let rest = if scripts_allowed { "the farm runs it" } else { "the farm runs no scripts of scenes" };
        needs_scripts.push(Finding::new(FindingKind::Scripts, "", "", format!("{why}: it needs Python, and {rest}")));
    }
    for warning in &scene.warnings {
        planner.report.notes.push(Finding::new(FindingKind::Note, "", "", warning.clone()));
    }
    planner.outside(&scene.source);
    planner.finish(scene)
}

#[derive(Default)]
struct Planner {
    files: Vec<PlannedFile>,
    /// By folded place, to notice twins.
    taken: HashMap<String, String>,
    /// Source → place.
    places: HashMap<String, String>,
    /// Sources that are there and are left out.
    refused: HashSet<String>,
    report: Report,
}

impl Planner {
    fn problem(&mut self, kind: FindingKind, path: &str, user: &str, why: impl Into<String>) {
        self.report.problems.push(Finding::new(kind, path, user, why));
    }

    fn add(&mut self, read: PathBuf, source: &str, user: &str) {
        if self.places.contains_key(source) || self.refused.contains(source) {
            return;
        }
        let bytes = match look(&read) {
            Ok(meta) => meta.len(),
            Err(why) => {
                self.refused.insert(source.to_owned());
                return self.problem(FindingKind::Unreadable, source, user, why);
            }
        };
        if bytes > MAX_ASSET_BYTES {
            self.refused.insert(source.to_owned());
            let why = format!("it has {}, a job's file may have {}", size(bytes), size(MAX_ASSET_BYTES));
            return self.problem(FindingKind::OddSize, source, user, why);
        }
        if let Some(written) = written_bytes(&read).filter(|written| bytes > SPARSE_BYTES && *written < bytes / 2) {
            let why =
                format!("of its {} only {} were ever written: is it still being made?", size(bytes), size(written));
            self.problem(FindingKind::OddSize, source, user, why);
        }
        let mut place = mirror(source);
        if let Some(twin) = self.taken.get(&folded(&place)).cloned() {
            self.problem(
                FindingKind::Collision,
                source,
                user,
                format!("its name differs from {twin} only in case or accents, which other systems don't tell apart"),
            );
            place = (2..)
                .map(|number| numbered(&place, number))
                .find(|place| !self.taken.contains_key(&folded(place)))
                .unwrap_or(place);
        }
        self.taken.insert(folded(&place), source.to_owned());
        self.places.insert(source.to_owned(), place.clone());
        self.files.push(PlannedFile { read, source: source.to_owned(), place, bytes });
    }

    /// A file or a folder with all below it; links are followed, rings of them end.
    fn add_tree(&mut self, path: &Path) {
        let mut waiting = vec![path.to_owned()];
        let mut seen = HashSet::new();
        while let Some(path) = waiting.pop() {
            let shown = path.to_string_lossy().into_owned();
            if !path.is_dir() {
                self.add(path, &shown, "");
                continue;
            }
            match std::fs::canonicalize(&path).and_then(|real| Ok((real, std::fs::read_dir(&path)?))) {
                Ok((real, entries)) => {
                    if seen.insert(real) {
                        waiting.extend(entries.flatten().map(|entry| entry.path()));
                    }
                }
                Err(error) => self.problem(FindingKind::Unreadable, &shown, "", error.to_string()),
            }
        }
    }

    /// Files in other trees than the scene's are sent like any other; that they are there is good to know.
    fn outside(&mut self, blend: &str) {
        let home = folder_of(blend);
        let mut trees: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for file in self.files.iter().filter(|file| !file.source.starts_with(&home)) {
            let tree = trees.entry(tree_of(&file.source)).or_default();
            *tree = (tree.0 + 1, tree.1 + file.bytes);
        }
        for (tree, (files, bytes)) in trees {
            let files = if files == 1 { "1 file".into() } else { format!("{files} files") };
            let why = format!("{files} ({}) outside the scene's folder are sent too", size(bytes));
            self.report.notes.push(Finding::new(FindingKind::Outside, &tree, "", why));
        }
    }

    fn finish(mut self, scene: &Description) -> Plan {
        self.report.files = self.files.len();
        self.report.problem_count = self.report.problems.len();
        self.report.bytes = self.files.iter().map(|file| file.bytes).sum();
        let mut by_size: Vec<&PlannedFile> = self.files.iter().collect();
        by_size.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let largest = by_size.iter().take(LARGEST);
        self.report.largest = largest.map(|file| FileSize { path: file.source.clone(), bytes: file.bytes }).collect();
        let place = |source: &str| self.places.get(source).cloned().unwrap_or_else(|| mirror(source));
        let use_of = |path: &super::trace::TracedPath| PathUse {
            library: if path.library.is_empty() { String::new() } else { place(&path.library) },
            raw: path.raw.clone(),
            place: place(&path.path),
            user: format!("{} {}", path.kind, path.user).trim().to_owned(),
            must_exist: path.found > 0 && !self.refused.contains(&path.path),
        };
        let usable = |path: &PathUse| !path.place.is_empty() && path.place.len() <= MAX_PLACE;
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            blend: place(&scene.source),
            assets: Vec::new(),
            paths: scene.paths.iter().map(use_of).filter(usable).collect(),
        };
        Plan { files: self.files, manifest, report: self.report }
    }
}

/// A plain file that can be read. Devices and pipes would never end.
fn look(path: &Path) -> Result<Metadata, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("it is not a plain file".into());
    }
    std::fs::File::open(path).map_err(|error| error.to_string())?;
    Ok(meta)
}

/// Bytes on the disk; None where the system does not tell.
fn written_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return std::fs::metadata(path).ok().map(|meta| std::os::unix::fs::MetadataExt::blocks(&meta) * 512);
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn numbered(place: &str, number: u32) -> String {
    let (folder, name) = place.rsplit_once('/').map_or(("", place), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{folder}{slash}{stem}~{number}.{extension}"),
        None => format!("{folder}{slash}{name}~{number}"),
    }
}

fn folder_of(source: &str) -> String {
    let end = source.rfind(['/', '\\']).map_or(0, |at| at + 1);
    source[..end].to_owned()
}

/// The first two folders of a path: a mount point, a drive's folder, a share.
fn tree_of(source: &str) -> String {
    let folder = folder_of(source);
    let ends: Vec<usize> = folder.match_indices(['/', '\\']).map(|(at, _)| at).collect();
    let share = if source.starts_with(r"\\") { 4 } else { 3 };
    match ends.get(share - 1) {
        Some(end) => folder[..*end].to_owned(),
        None => folder,
    }
}

/// As people read it.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(source: &Path, files: &[PathBuf]) -> Description {
        serde_json::from_value(serde_json::json!({
            "blender": [3, 4], "source": source, "scene": "S", "engine": "CYCLES", "frames": "1",
            "width": 8, "height": 8, "has_camera": true, "files": files, "missing": [], "paths": [],
        }))
        .unwrap()
    }

    #[test]
    fn what_would_go_wrong_is_found_before_sending() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["shot.blend", "Wood.png", "wood.png"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::File::create(at("holes.vdb")).unwrap().set_len(2 << 30).unwrap();
        std::fs::File::create(at("monster.abc")).unwrap().set_len(1 << 40).unwrap();
        let files: Vec<PathBuf> =
            ["Wood.png", "wood.png", "holes.vdb", "monster.abc", "gone.png", "."].iter().map(|name| at(name)).collect();
        let plan = plan(&scene(&at("shot.blend"), &files), &at("shot.blend"), &[], &["Face".into()], false);
        let found: Vec<_> = plan.report.problems.iter().map(|problem| problem.kind).collect();
        use FindingKind::*;
        assert_eq!(found.len(), 6, "{:?}", plan.report.problems);
        for kind in [Collision, OddSize, Unreadable, UnsavedImage] {
            assert!(found.contains(&kind), "{kind:?} in {found:?}");
        }
        // What is left can be sent all the same
        let places: BTreeSet<_> = plan.files.iter().map(|file| folded(&file.place)).collect();
        assert_eq!(places.len(), 4);
        assert_eq!(plan.report.largest[0].bytes, 2 << 30);
    }

    #[cfg(unix)]
    #[test]
    fn folders_with_rings_of_links_end_and_names_that_are_no_unicode_are_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("extra")).unwrap();
        std::fs::write(dir.path().join("extra/a"), "a").unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("extra/up")).unwrap();
        std::fs::write(dir.path().join("shot.blend"), "b").unwrap();
        let odd = real_path(&format!("{}/caf\u{10DCE9}", dir.path().display()));
        std::fs::write(&odd, "odd").unwrap();
        assert!(odd.as_os_str().as_encoded_bytes().ends_with(b"caf\xe9"));
        let source = dir.path().join("shot.blend");
        let files = [PathBuf::from(format!("{}/caf\u{10DCE9}", dir.path().display()))];
        let added = [dir.path().join("extra").to_string_lossy().into_owned()];
        let plan = plan(&scene(&source, &files), &source, &added, &[], true);
        assert!(plan.files.iter().any(|file| file.read == odd));
        assert!(plan.files.iter().any(|file| file.source.ends_with("extra/a")));
    }

    #[test]
    fn trees_are_named_as_people_think_of_them() {
        assert_eq!(tree_of("/mnt/nas/tex/wood/a.png"), "/mnt/nas");
        assert_eq!(tree_of("/a.png"), "/");
        assert_eq!(tree_of(r"D:\tex\wood\a.png"), r"D:\tex\wood");
        assert_eq!(tree_of(r"\\srv\share\tex\a.png"), r"\\srv\share");
    }
}
