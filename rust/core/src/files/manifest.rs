//! Manifests: the files of a job, with their names in the artist's Blender, their places in the
//! slave's job folder, and their digests.
//!
//! A manifest comes from the network: [`Manifest::check`] refuses places that could leave the job's
//! folder.

use crate::{
    files::recipe::{MAX_PIECE_BYTES, MAX_PIECES},
    model::digest::Digest,
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeSet};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Version of the manifests that this build writes; others are refused.
pub const MANIFEST_VERSION: u32 = 2;
/// Longest place in bytes; leaves room for the slave's own folder within Linux's 4096 and Blender's
/// 1024.
pub const MAX_PLACE: usize = 800;
/// Longest single name in bytes: the limit of common file systems.
const MAX_NAME: usize = 255;
/// Most files, and most path uses, of a manifest: more than any scene has.
pub const MAX_ASSETS: usize = 1_000_000;
/// Longest manifest as JSON, in bytes: a master reads no longer one into memory.
pub const MAX_MANIFEST_BYTES: u64 = 512 << 20;
/// Longest path string in bytes; Blender's own are shorter.
const MAX_RAW: usize = 4096;
/// Largest file in bytes.
pub const MAX_ASSET_BYTES: u64 = 256 << 30;

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Absolute path on the artist's machine.
    pub source: String,
    /// Place below the slave's job folder, with `/`.
    pub place: String,
    /// Digest of the bytes of a file of one piece, else of its recipe (see
    /// [`recipe`](crate::files::recipe)).
    pub digest: Digest,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of pieces; 0 for an empty file.
    pub pieces: u32,
}

/// A path that a datablock holds, and where it leads below the slave's job folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathUse {
    /// Place of the library that the datablock is in; empty for the .blend itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub library: String,
    /// The string as Blender stores it.
    pub raw: String,
    /// Place that it leads to: a file, a folder, or a pattern with `<UDIM>` or `<UVTILE>`.
    pub place: String,
    /// Name of the datablock, for messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// False if the artist sent the job knowing that the file is missing.
    pub must_exist: bool,
}

/// All files of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`] of the writer.
    pub version: u32,
    /// Place of the .blend among the assets.
    pub blend: String,
    /// All files, the .blend included.
    pub assets: Vec<Asset>,
    /// All path uses that lead to them.
    pub paths: Vec<PathUse>,
}

/// Reason why a manifest is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ManifestError {
    /// The manifest has another version.
    #[error("the list of files has format {0}, this netrender reads {MANIFEST_VERSION}")]
    Version(u32),
    /// A place could leave the job's folder, or can't exist on every file system.
    #[error("the file place {place:?} is not allowed: {why}")]
    UnsafePlace { place: String, why: &'static str },
    /// Two files have one place.
    #[error("two files claim the place {0:?}")]
    Collision(String),
    /// A size or a number of pieces is impossible.
    #[error("{0:?} claims an impossible size or number of pieces")]
    WrongSize(String),
    /// The .blend is not among the files.
    #[error("the .blend {0:?} is not among the job's files")]
    NoBlend(String),
    /// There are more files than [`MAX_ASSETS`], or a path is longer than `MAX_RAW`.
    #[error("a job may name at most {MAX_ASSETS} files by paths of at most {MAX_RAW} bytes")]
    TooMany,
}

impl Manifest {
    /// Refuses unsafe places, collisions (also on file systems that ignore case) and impossible
    /// sizes.
    pub fn check(&self) -> Result<(), ManifestError> {
        self.refusals(1).pop().map_or(Ok(()), Err)
    }

    /// The first `most` reasons for which [`check`](Self::check) refuses the manifest.
    pub fn refusals(&self, most: usize) -> Vec<ManifestError> {
        if self.version != MANIFEST_VERSION {
            return vec![ManifestError::Version(self.version)];
        }
        if self.assets.len() > MAX_ASSETS || self.paths.len() > MAX_ASSETS {
            return vec![ManifestError::TooMany];
        }
        let mut files = BTreeSet::new();
        let assets: Vec<_> = self.assets.iter().map(|asset| check_asset(asset, &mut files)).collect();
        // No file can be the folder of another one.
        let folders = self.assets.iter().map(|asset| {
            let place = folded(&asset.place);
            let is_folder = place.match_indices('/').any(|(end, _)| files.contains(&place[..end]));
            if is_folder { Err(ManifestError::Collision(asset.place.clone())) } else { Ok(()) }
        });
        let is_there = self.assets.iter().any(|asset| asset.place == self.blend);
        let blend = if is_there { Ok(()) } else { Err(ManifestError::NoBlend(self.blend.clone())) };
        let all = assets.into_iter().chain(folders).chain([blend]).chain(self.paths.iter().map(check_path));
        all.filter_map(Result::err).take(most).collect()
    }
}

fn check_asset(asset: &Asset, files: &mut BTreeSet<String>) -> Result<(), ManifestError> {
    safe(&asset.place)?;
    if asset.source.len() > MAX_RAW {
        return Err(ManifestError::TooMany);
    }
    if !files.insert(folded(&asset.place)) {
        return Err(ManifestError::Collision(asset.place.clone()));
    }
    let (bytes, pieces) = (asset.bytes, u64::from(asset.pieces));
    let possible = bytes <= MAX_ASSET_BYTES && pieces <= bytes && bytes <= pieces * u64::from(MAX_PIECE_BYTES);
    if !possible || asset.pieces > MAX_PIECES {
        return Err(ManifestError::WrongSize(asset.place.clone()));
    }
    Ok(())
}

fn check_path(path: &PathUse) -> Result<(), ManifestError> {
    if path.raw.len() > MAX_RAW || path.user.len() > MAX_RAW {
        return Err(ManifestError::TooMany);
    }
    safe(&without_tiles(&path.place))?;
    if path.library.is_empty() { Ok(()) } else { safe(&path.library) }
}

/// The form in which two places are the same file on systems that ignore case (Windows) or the form
/// of accents (macOS).
pub fn folded(place: &str) -> String {
    let lower = place.to_lowercase();
    if is_nfc(&lower) { lower } else { lower.nfc().collect() }
}

/// The place with digits in place of Blender's patterns for tiles.
pub fn without_tiles(place: &str) -> Cow<'_, str> {
    if place.contains('<') { place.replace("<UDIM>", "1001").replace("<UVTILE>", "u1_v1").into() } else { place.into() }
}

fn safe(place: &str) -> Result<(), ManifestError> {
    check_place(place).map_err(|why| ManifestError::UnsafePlace { place: place.chars().take(200).collect(), why })
}

fn check_place(place: &str) -> Result<(), &'static str> {
    if place.is_empty() {
        return Err("it is empty");
    }
    if place.len() > MAX_PLACE {
        return Err("it is too long");
    }
    place.split('/').try_for_each(check_name)
}

fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is absolute or has an empty part"),
        "." | ".." => Err("it climbs out of the job's folder"),
        _ if name.len() > MAX_NAME => Err("a name in it is too long"),
        _ if name.chars().any(is_unsafe) => Err("it has a character that is not allowed in file names everywhere"),
        _ if name.ends_with(['.', ' ']) => Err("a name in it ends with a dot or a space"),
        _ if is_device(name) => Err("a name in it is a device on Windows"),
        _ => Ok(()),
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// True for names that Windows reserves for devices, with any extension: `CON`, `nul.txt`, `COM1`
/// ...
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).is_some_and(|number| {
            // Windows also reserves the names with superscript digits.
            matches!(number.chars().as_str(), "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        }),
    }
}

/// Returns the place for an absolute path of any operating system. It keeps the relative positions
/// of files:
///
/// `/home/u/a.png` → `home/u/a.png`, `C:\t\a.png` → `C/t/a.png`, `\\srv\share\a.png` →
/// `UNC/srv/share/a.png`.
///
/// `<UDIM>` and `<UVTILE>` stay in the last name, which may be a pattern. Characters that are not
/// allowed on every system become `%` and their number, the same in every frame of a sequence;
/// accents get one form. A result that is still too long is cut and marked.
pub fn mirror(source: &str) -> String {
    mirrored(source, true)
}

/// Like [`mirror`], for a file that exists: its name is no pattern, whatever it looks like.
pub fn mirror_file(source: &str) -> String {
    mirrored(source, false)
}

fn mirrored(source: &str, is_pattern: bool) -> String {
    let windows = source.starts_with(r"\\")
        || matches!(source.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic());
    // On other systems a backslash is a character like any other.
    let slashes: Cow<'_, str> = if windows { source.replace('\\', "/").into() } else { source.into() };
    let (root, rest) = match (windows, slashes.strip_prefix("//")) {
        (true, Some(rest)) => ("UNC", rest),
        (true, None) => (&slashes[..1], &slashes[2..]),
        (false, _) => ("", &*slashes),
    };
    let mut parts: Vec<String> = Vec::new();
    if !root.is_empty() {
        parts.push(root.to_owned());
    }
    let floor = parts.len();
    let mut names = rest.split('/').peekable();
    while let Some(name) = names.next() {
        match name {
            "" | "." => {}
            ".." => parts.truncate(parts.len().saturating_sub(1).max(floor)),
            name => parts.push(safe_name(name, is_pattern && names.peek().is_none())),
        }
    }
    let place = parts.join("/");
    if without_tiles(&place).len() <= MAX_PLACE { place } else { shortened(&place) }
}

fn safe_name(name: &str, is_pattern: bool) -> String {
    let name: Cow<'_, str> = if is_nfc(name) { name.into() } else { name.nfc().collect::<String>().into() };
    let whole = if is_pattern { without_tiles(&name) } else { name.clone() };
    if check_name(&whole).is_ok() && !name.contains('%') {
        return name.into_owned();
    }
    let mut safe = String::with_capacity(name.len() + 8);
    let mut rest = &*name;
    while let Some(c) = rest.chars().next() {
        let tile = ["<UDIM>", "<UVTILE>"].into_iter().find(|tile| is_pattern && rest.starts_with(tile));
        if let Some(tile) = tile {
            safe.push_str(tile);
            rest = &rest[tile.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if is_unsafe(c) || c == '%' || (rest.is_empty() && matches!(c, '.' | ' ')) {
            safe.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    if is_device(&safe) {
        safe.insert(0, '%');
    }
    if safe.len() > MAX_NAME { shortened_name(&safe) } else { safe }
}

/// Hash that keeps two shortened names apart (FNV-1a). A forged collision is refused by
/// [`Manifest::check`].
fn mark(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

fn shortened_name(name: &str) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let kept: String = stem.chars().take(40).collect();
    format!("{kept}~{}{extension}", mark(name))
}

/// Replaces the folders by a hash, the same for all their files, so that sequences stay together.
fn shortened(place: &str) -> String {
    let (folder, name) = place.rsplit_once('/').unwrap_or(("", place));
    format!("%long/{}/{name}", mark(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mirrors_every_kind_of_path() {
        assert_eq!(mirror("/home/u/../v/a.png"), "home/v/a.png");
        assert_eq!(mirror(r"C:\tex\a.png"), "C/tex/a.png");
        assert_eq!(mirror("c:/tex/a.png"), "c/tex/a.png");
        assert_eq!(mirror(r"\\srv\share\a.png"), "UNC/srv/share/a.png");
        assert_eq!(mirror("/../../etc/passwd"), "etc/passwd");
        assert_eq!(mirror("/t/wood.<UDIM>.png"), "t/wood.<UDIM>.png");
        assert_eq!(mirror("/t/a:b.<UDIM>.png"), "t/a%3Ab.<UDIM>.png");
        assert_eq!(mirror("/<UDIM>/a.<UDIM>.png"), "%3CUDIM%3E/a.<UDIM>.png", "a folder is no pattern");
        assert_eq!(mirror_file("/<UDIM>/a.<UDIM>.png"), "%3CUDIM%3E/a.%3CUDIM%3E.png", "a file is no pattern");
        assert_eq!(mirror("/t/CON.png"), "t/%CON.png");
        assert_eq!(mirror("/t/100%.png"), "t/100%25.png");
        assert_eq!(mirror("/t/e\u{301}.png"), "t/\u{e9}.png", "macOS writes accents apart");
        assert_eq!(mirror(r"/t/a\b.png"), "t/a%5Cb.png", "a backslash is a character on Linux");
    }

    #[test]
    fn a_sequence_stays_a_sequence() {
        let long = "d".repeat(200);
        for folder in ["/t".to_owned(), format!("/{long}/{long}/{long}/{long}/{long}")] {
            let places: Vec<String> = (1..4).map(|frame| mirror(&format!("{folder}/a?b.{frame:04}.png"))).collect();
            for (frame, place) in (1..4).zip(&places) {
                assert_eq!(place, &places[0].replace("0001", &format!("{frame:04}")));
            }
        }
    }

    #[test]
    fn refuses_places_that_could_do_harm() {
        let long = "a/".repeat(600) + "a";
        for place in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/./b",
            "C:/x",
            r"a\b",
            "nul",
            "a/COM1.txt",
            "a/com\u{b9}",
            "conin$",
            "x\0y",
            "a ",
            "b.",
            "a/<x>",
            &long,
        ] {
            assert!(check_place(place).is_err(), "{place:?}");
        }
        for place in ["a", "home/u/scene.blend", "Ünï/ço dé.png", "common/com10.png", "com0/lpt"] {
            assert_eq!(check_place(place), Ok(()), "{place:?}");
        }
    }

    fn manifest(places: &[&str]) -> Manifest {
        let asset = |place: &&str| Asset {
            source: format!("/{place}"),
            place: (*place).to_owned(),
            digest: Digest([0; 32]),
            bytes: 5,
            pieces: 1,
        };
        Manifest {
            version: MANIFEST_VERSION,
            blend: places[0].to_owned(),
            assets: places.iter().map(asset).collect(),
            paths: Vec::new(),
        }
    }

    #[test]
    fn two_files_never_share_a_place_anywhere() {
        assert_eq!(manifest(&["a/b", "a/c"]).check(), Ok(()));
        for twins in [["a/b", "A/B"], ["e\u{301}", "\u{e9}"], ["a/b", "a/b/c"], ["x/y/z", "X"], ["a", "a"]] {
            assert!(matches!(manifest(&twins).check(), Err(ManifestError::Collision(_))), "{twins:?}");
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let with = |bytes, pieces| {
            let mut manifest = manifest(&["a"]);
            (manifest.assets[0].bytes, manifest.assets[0].pieces) = (bytes, pieces);
            manifest.check()
        };
        assert_eq!(with(0, 0), Ok(()));
        assert_eq!(with(1 << 30, 64), Ok(()));
        for (bytes, pieces) in [(0, 1), (1, 0), (5, 6), (1 << 30, 63), (u64::MAX, u32::MAX), (1 << 40, MAX_PIECES)] {
            assert!(matches!(with(bytes, pieces), Err(ManifestError::WrongSize(_))), "{bytes} in {pieces}");
        }
    }

    proptest! {
        #[test]
        fn a_mirrored_path_is_always_a_safe_place(source in "(/|C:\\\\|\\\\\\\\)[a-zA-Z0-9 ._:*?<>|%\\\\/é-]{1,80}|/.{0,300}") {
            let place = mirror(&source);
            prop_assert!(place.is_empty() || check_place(&without_tiles(&place)).is_ok(), "{source:?} -> {place:?}");
        }

        #[test]
        fn different_names_get_different_places(one in "[a-c:?%. ]{1,6}", other in "[a-c:?%. ]{1,6}") {
            prop_assume!(one != "." && one != ".." && other != "." && other != "..");
            prop_assert_eq!(one == other, mirror(&format!("/{one}")) == mirror(&format!("/{other}")));
        }
    }
}
