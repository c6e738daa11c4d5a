//! Plan of a transfer: every file of a job is looked at before a byte is sent.

use super::{
    disk_caches::DiskCaches,
    report::{FileSize, LARGEST, Report, size},
    same_file::FileId,
    trace::{Description, TracedPath},
};
use netrender_core::{
    files::manifest::{
        Asset, MANIFEST_VERSION, MAX_ASSET_BYTES, MAX_MANIFEST_BYTES, MAX_PLACE, Manifest, PathUse, folded, mirror,
        mirror_file, without_tiles,
    },
    files::recipe::MAX_PIECE_BYTES,
    model::{
        digest::Digest,
        verdict::{Finding, Severity},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs::Metadata,
    path::{Path, PathBuf},
};

/// Most reasons of a refusal that are told.
const MOST_REFUSALS: usize = 20;
/// Size up to which a file may be sparse without being suspect.
const SPARSE_BYTES: u64 = 1 << 30;

/// A file to send.
#[derive(Clone, Debug)]
pub struct PlannedFile {
    /// Path to read the bytes from.
    pub read: PathBuf,
    /// Path as the scene names it.
    pub source: String,
    /// Relative path on the slaves.
    pub place: String,
    /// Size in bytes when the plan was made.
    pub bytes: u64,
}

/// Plan of a transfer.
#[derive(Debug)]
pub struct Plan {
    /// Files to send, each once.
    pub files: Vec<PlannedFile>,
    /// Manifest of the job, without the assets.
    pub manifest: Manifest,
    /// Report for the artist, without findings.
    pub report: Report,
    /// Findings about files, those of the tracer included.
    pub findings: Vec<Finding>,
}

/// Decodes a path of the tracer. It writes bytes of file names that are not UTF-8 as the private
/// characters U+10DC80 to U+10DCFF, after the example of Python's surrogate escapes.
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

/// Makes the plan of a transfer. `blend` is the copy that is sent, `added` are further files and
/// folders, `unsaved` images that are in no file.
pub fn plan(scene: &Description, blend: &Path, added: &[String], unsaved: &[String], scripts_allowed: bool) -> Plan {
    let named = scene.paths.iter().filter(|path| path.found > 0).map(|path| path.path.clone()).collect();
    let caches = DiskCaches::among(scene.files.iter().map(String::as_str));
    let mut planner = Planner { named, caches, ..Planner::default() };
    planner.add_blend(blend.to_owned(), &scene.source);
    let mut sources: BTreeSet<&str> = scene.files.iter().map(String::as_str).collect();
    sources.remove(scene.source.as_str());
    for library in scene.paths.iter().filter(|path| path.kind == "library") {
        if sources.remove(library.path.as_str()) {
            planner.add_blend(real_path(&library.path), &library.path);
        }
    }
    for source in sources {
        planner.add(real_path(source), source);
    }
    for path in added {
        planner.add_tree(Path::new(path));
    }
    for missing in &scene.missing {
        let user = format!("{} {}", missing.kind, missing.user);
        let is_here = missing.why.contains("No such file") && real_path(&missing.path).exists();
        let hidden = "it is there, but this Blender cannot see it: it seems to be in a sandbox";
        let why = if is_here { hidden } else { &missing.why };
        let mut found = Finding::new("missing", Severity::Wrong, &missing.path, used_by(user.trim(), why));
        if is_here {
            found.hint = "let this Blender see the file's folder, or choose another Blender".to_owned();
        }
        planner.findings.push(found);
    }
    for image in unsaved {
        planner.wrong("unsaved_image", image, "the painted image is in no file yet, so the farm would not have it");
    }
    let severity = if scripts_allowed { Severity::Info } else { Severity::Wrong };
    let rest = if scripts_allowed { "the farm runs it" } else { "the farm runs no scripts of scenes" };
    for why in &scene.scripts {
        planner.findings.push(Finding::new("scripts", severity, "", format!("{why}: it needs Python, and {rest}")));
    }
    planner.findings.extend(scene.findings.iter().cloned());
    planner.findings.extend(scene.warnings.iter().map(Finding::note));
    planner.outside(&scene.source);
    planner.finish(scene)
}

/// The reason with the datablock that is concerned, if there is one.
fn used_by(user: &str, why: &str) -> String {
    if user.is_empty() { why.to_owned() } else { format!("used by {user}: {why}") }
}

#[derive(Default)]
struct Planner {
    files: Vec<PlannedFile>,
    /// Folded place → file of that place, to find names that other systems do not distinguish.
    taken: HashMap<String, usize>,
    /// Source → place.
    places: HashMap<String, String>,
    /// Folders by the folder of the mirrored source: the same for all spellings of one folder.
    folders: HashMap<String, String>,
    /// Folded folder → its first spelling, and the source of a file in it.
    spellings: HashMap<String, (String, PathBuf)>,
    /// Sources that a path of the scene names: it can lead to any place. Others are found by their
    /// names beside or below such a path.
    named: HashSet<String>,
    /// Sources that exist and are left out.
    refused: HashSet<String>,
    findings: Vec<Finding>,
    caches: DiskCaches,
}

impl Planner {
    /// Adds a .blend file, before the files of its disk caches.
    fn add_blend(&mut self, read: PathBuf, source: &str) {
        self.caches.expect(source);
        self.add(read, source);
        if let Some(place) = self.places.get(source) {
            self.caches.placed(source, place);
        }
    }

    fn wrong(&mut self, kind: &str, subject: &str, message: impl Into<String>) {
        self.findings.push(Finding::new(kind, Severity::Wrong, subject, message));
    }

    fn add(&mut self, read: PathBuf, source: &str) {
        if self.places.contains_key(source) || self.refused.contains(source) {
            return;
        }
        let bytes = match look(&read) {
            Ok(meta) => meta.len(),
            Err(why) => {
                self.refused.insert(source.to_owned());
                return self.wrong("unreadable", source, why);
            }
        };
        if bytes > MAX_ASSET_BYTES {
            self.refused.insert(source.to_owned());
            let why = format!("it has {}, a job's file may have {}", size(bytes), size(MAX_ASSET_BYTES));
            return self.wrong("odd_size", source, why);
        }
        if let Some(written) = written_bytes(&read).filter(|written| bytes > SPARSE_BYTES && *written < bytes / 2) {
            let why =
                format!("of its {} only {} were ever written: is it still being made?", size(bytes), size(written));
            self.wrong("odd_size", source, why);
        }
        let mut place = self.spelled(self.caches.place(source).unwrap_or_else(|| mirror_file(source)), &read);
        if let Some(at) = self.taken.get(&folded(&place)).copied() {
            if self.is_another_spelling(at, &read, source) {
                return self.add_spelling(at, source, place);
            }
            let twin = &self.files[at].source;
            let why =
                format!("its name differs from {twin} only in case or accents, which other systems don't tell apart");
            self.wrong("collision", source, why);
            place = (2..)
                .map(|number| numbered(&place, number))
                .find(|place| !self.taken.contains_key(&folded(place)))
                .unwrap_or(place);
        }
        self.taken.insert(folded(&place), self.files.len());
        self.places.insert(source.to_owned(), place.clone());
        self.files.push(PlannedFile { read, source: source.to_owned(), place, bytes });
    }

    /// True if a name leads to a file of the list by another spelling, as it does where case does
    /// not matter, and one file can serve both.
    fn is_another_spelling(&self, at: usize, read: &Path, source: &str) -> bool {
        let twin = &self.files[at];
        let can_serve = self.named.contains(source) || self.named.contains(&twin.source);
        can_serve && FileId::of(read).is_some_and(|file| Some(file) == FileId::of(&twin.read))
    }

    /// Lets another spelling lead to a file of the list. The file lies where it is found by its
    /// name, if one of the spellings is.
    fn add_spelling(&mut self, at: usize, source: &str, place: String) {
        let old = self.files[at].place.clone();
        if !self.named.contains(source) && old != place {
            self.places.values_mut().filter(|known| **known == old).for_each(|known| known.clone_from(&place));
            self.files[at].place.clone_from(&place);
        }
        self.places.insert(source.to_owned(), self.files[at].place.clone());
    }

    /// The place with its folder as it was spelled first, if that is the same folder: on systems
    /// that ignore case, one folder has several spellings.
    fn spelled(&mut self, place: String, read: &Path) -> String {
        let Some((folder, name)) = place.rsplit_once('/') else { return place };
        if let Some(known) = self.folders.get(folder) {
            return if known == folder { place } else { format!("{known}/{name}") };
        }
        let (first, known) = self.spellings.entry(folded(folder)).or_insert_with(|| (folder.to_owned(), read.into()));
        let folder_of = |path: &Path| path.parent().and_then(FileId::of);
        let is_same = first != folder && folder_of(known).is_some_and(|id| Some(id) == folder_of(read));
        let spelled = if is_same { first.clone() } else { folder.to_owned() };
        let place = if is_same { format!("{spelled}/{name}") } else { place.clone() };
        self.folders.insert(folder.to_owned(), spelled);
        place
    }

    /// The place of a path of the scene: a file, a folder or a pattern. Where case does not matter,
    /// the path may be spelled unlike the files that it leads to.
    fn place_of(&self, source: &str, is_there: bool) -> String {
        if let Some(place) = self.places.get(source) {
            return place.clone();
        }
        let place = self.caches.place(source).unwrap_or_else(|| mirror(source));
        if !is_there {
            return place;
        }
        if let Some(at) = self.taken.get(&folded(&place)) {
            return self.files[*at].place.clone();
        }
        if let Some(folder) = self.folders.get(&place) {
            return folder.clone();
        }
        let Some((folder, name)) = place.rsplit_once('/') else { return place };
        let folder = self.folders.get(folder).map_or(folder, String::as_str);
        let name = self.pattern_as_spelled(folder, name).unwrap_or_else(|| name.to_owned());
        format!("{folder}/{name}")
    }

    /// The pattern for tiles as the files in the folder spell it; `None` if it is spelled so.
    fn pattern_as_spelled(&self, folder: &str, name: &str) -> Option<String> {
        let (start, end) = (name.find('<')?, name.rfind('>')? + 1);
        let (head, tail) = (&name[..start], &name[end..]);
        let (folded_head, folded_tail) = (folded(head), folded(tail));
        let spelling = |file: &PlannedFile| {
            let file = file.place.strip_prefix(folder)?.strip_prefix('/')?;
            let (own_head, rest) = file.split_at_checked(head.len())?;
            let (_, own_tail) = rest.split_at_checked(rest.len().checked_sub(tail.len())?)?;
            let fits = folded(own_head) == folded_head && folded(own_tail) == folded_tail;
            fits.then(|| format!("{own_head}{}{own_tail}", &name[start..end]))
        };
        // Nearly all sets have the first tile; looking through all files is for the others.
        let first = self.taken.get(&folded(&without_tiles(&format!("{folder}/{name}"))));
        let spelled = match first.and_then(|at| spelling(&self.files[*at])) {
            Some(spelled) => spelled,
            None => self.files.iter().find_map(spelling)?,
        };
        (spelled != name).then_some(spelled)
    }

    /// Adds a file, or a folder with everything below it. Links are followed; loops of them end.
    fn add_tree(&mut self, path: &Path) {
        let mut waiting = vec![path.to_owned()];
        let mut seen = HashSet::new();
        while let Some(path) = waiting.pop() {
            let shown = path.to_string_lossy().into_owned();
            if !path.is_dir() {
                self.add(path, &shown);
                continue;
            }
            match std::fs::canonicalize(&path).and_then(|real| Ok((real, std::fs::read_dir(&path)?))) {
                Ok((real, entries)) => {
                    if seen.insert(real) {
                        waiting.extend(entries.flatten().map(|entry| entry.path()));
                    }
                }
                Err(error) => self.wrong("unreadable", &shown, error.to_string()),
            }
        }
    }

    /// Notes the files outside the scene's folder, which are sent like any other.
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
            self.findings.push(Finding::new("outside", Severity::Info, tree, why));
        }
    }

    fn finish(mut self, scene: &Description) -> Plan {
        let mut by_size: Vec<&PlannedFile> = self.files.iter().collect();
        by_size.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let largest = by_size.iter().take(LARGEST);
        let report = Report {
            files: self.files.len(),
            bytes: self.files.iter().map(|file| file.bytes).sum(),
            largest: largest.map(|file| FileSize { path: file.source.clone(), bytes: file.bytes }).collect(),
            ..Report::default()
        };
        let use_of = |path: &TracedPath| PathUse {
            library: if path.library.is_empty() { String::new() } else { self.place_of(&path.library, true) },
            raw: path.raw.clone(),
            place: self.place_of(&path.path, path.found > 0),
            user: format!("{} {}", path.kind, path.user).trim().to_owned(),
            must_exist: path.found > 0 && !self.refused.contains(&path.path),
        };
        let usable = |path: &PathUse| !path.place.is_empty() && path.place.len() <= MAX_PLACE;
        let mut manifest = Manifest {
            version: MANIFEST_VERSION,
            blend: self.place_of(&scene.source, true),
            assets: self.files.iter().map(unread_asset).collect(),
            paths: scene.paths.iter().map(use_of).filter(usable).collect(),
        };
        let refused = manifest.refusals(MOST_REFUSALS).into_iter().map(|error| error.to_string());
        let length = length_of(&manifest);
        let too_long = (length > MAX_MANIFEST_BYTES)
            .then(|| format!("the list of files has {}, a job's may have {}", size(length), size(MAX_MANIFEST_BYTES)));
        let refused = refused.chain(too_long).map(|why| Finding::new("refused", Severity::Wrong, "", why));
        self.findings.extend(refused);
        manifest.assets = Vec::new();
        Plan { files: self.files, manifest, report, findings: self.findings }
    }
}

/// The file as its asset will be, but for the digest, which is known once the file was read.
fn unread_asset(file: &PlannedFile) -> Asset {
    Asset {
        source: file.source.clone(),
        place: file.place.clone(),
        digest: Digest([0; 32]),
        bytes: file.bytes,
        pieces: file.bytes.div_ceil(u64::from(MAX_PIECE_BYTES)) as u32,
    }
}

/// Upper bound of the manifest's length as JSON, in bytes, for names without many escapes.
fn length_of(manifest: &Manifest) -> u64 {
    let assets = manifest.assets.iter().map(|asset| asset.source.len() + asset.place.len() + 170);
    let paths =
        manifest.paths.iter().map(|path| path.library.len() + path.raw.len() + path.place.len() + path.user.len() + 80);
    assets.chain(paths).map(|length| length as u64).sum()
}

/// Checks that a path is a regular file that can be read. Devices and pipes would never end.
fn look(path: &Path) -> Result<Metadata, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("it is not a plain file".into());
    }
    std::fs::File::open(path).map_err(|error| error.to_string())?;
    Ok(meta)
}

/// Bytes that the file occupies on the disk; `None` where the system does not tell.
fn written_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return std::fs::metadata(path).ok().map(|meta| std::os::unix::fs::MetadataExt::blocks(&meta) * 512);
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Inserts a number before the extension of a file name.
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

/// The first two folders of a path: a mount point, a folder of a drive, a network share.
fn tree_of(source: &str) -> String {
    let folder = folder_of(source);
    let ends: Vec<usize> = folder.match_indices(['/', '\\']).map(|(at, _)| at).collect();
    let share = if source.starts_with(r"\\") { 4 } else { 3 };
    match ends.get(share - 1) {
        Some(end) => folder[..*end].to_owned(),
        None => folder,
    }
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
        let wrong = plan.findings.iter().filter(|finding| finding.severity == Severity::Wrong);
        let found: Vec<_> = wrong.map(|finding| finding.kind.as_str()).collect();
        assert_eq!(found.len(), 6, "{:?}", plan.findings);
        for kind in ["collision", "odd_size", "unreadable", "unsaved_image"] {
            assert!(found.contains(&kind), "{kind:?} in {found:?}");
        }
        // The other files can be sent all the same.
        let places: BTreeSet<_> = plan.files.iter().map(|file| folded(&file.place)).collect();
        assert_eq!(places.len(), 4);
        assert_eq!(plan.report.largest[0].bytes, 2 << 30);
    }

    #[cfg(unix)]
    #[test]
    fn two_spellings_of_one_file_are_one_file_and_real_twins_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["tex/wood.png", "tex/oak.1001.png", "tex/oak.1002.png", "a.png", "A.png", "shot.blend"] {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), name).unwrap();
        }
        // As a folder looks where case does not matter
        std::os::unix::fs::symlink("tex", at("Tex")).unwrap();
        std::os::unix::fs::symlink("wood.png", at("tex/Wood.PNG")).unwrap();
        let files = ["tex/wood.png", "Tex/Wood.PNG", "Tex/oak.1001.png", "tex/oak.1002.png", "a.png", "A.png"].map(at);
        let mut scene = scene(&at("shot.blend"), &files);
        scene.paths = ["tex/wood.png", "Tex/Wood.PNG", "Tex/Oak.<UDIM>.png", "a.png", "A.png", "Tex"]
            .iter()
            .map(|name| {
                let path = at(name);
                let path =
                    serde_json::json!({ "library": "", "raw": name, "path": path, "kind": "", "user": "", "found": 1 });
                serde_json::from_value(path).unwrap()
            })
            .collect();
        let plan = plan(&scene, &at("shot.blend"), &[], &[], false);
        let told: Vec<_> = plan.findings.iter().map(|finding| (&*finding.kind, &*finding.subject)).collect();
        assert_eq!(told, [("collision", at("a.png").to_str().unwrap())]);
        let home = mirror(dir.path().to_str().unwrap());
        let places: Vec<_> = plan.files.iter().map(|file| file.place.strip_prefix(&home).unwrap()).collect();
        assert_eq!(
            places,
            ["/shot.blend", "/A.png", "/Tex/Wood.PNG", "/Tex/oak.1001.png", "/a~2.png", "/Tex/oak.1002.png"]
        );
        let leads: Vec<_> = plan.manifest.paths.iter().map(|path| path.place.strip_prefix(&home).unwrap()).collect();
        assert_eq!(leads, ["/Tex/Wood.PNG", "/Tex/Wood.PNG", "/Tex/oak.<UDIM>.png", "/a~2.png", "/A.png", "/Tex"]);
    }

    #[test]
    fn what_the_master_would_refuse_is_found_before_sending() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("shot.blend");
        std::fs::write(&source, "b").unwrap();
        let mut scene = scene(&source, &[]);
        let path = serde_json::json!({ "library": "", "raw": "x".repeat(5000), "path": "/x", "kind": "", "user": "", "found": 0 });
        scene.paths.push(serde_json::from_value(path).unwrap());
        let plan = plan(&scene, &source, &[], &[], false);
        assert!(plan.findings.iter().any(|finding| finding.is_final()), "{:?}", plan.findings);
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
