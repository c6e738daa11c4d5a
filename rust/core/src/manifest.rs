//! The files of a job: names as the artist's Blender has them, places in the slave's job folder, and bytes by digest.
//! A manifest comes from the network: [`Manifest::check`] refuses whatever could leave the job's folder.

use crate::{
    digest::Digest,
    recipe::{MAX_PIECE_BYTES, MAX_PIECES},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeSet};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The form written by this build; others are refused by name.
pub const MANIFEST_VERSION: u32 = 2;
/// Longest place in bytes; leaves room for the slave's own folder within Linux's 4096 and Blender's 1024.
pub const MAX_PLACE: usize = 800;
/// Longest single name in bytes, as common file systems have it.
const MAX_NAME: usize = 255;
/// More files than any scene names.
pub const MAX_ASSETS: usize = 1_000_000;
/// Longest path string of Blender's, with room to spare.
const MAX_RAW: usize = 4096;
/// Largest file of a job.
pub const MAX_ASSET_BYTES: u64 = 256 << 30;

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// The absolute path on the artist's machine.
    pub source: String,
    /// The place below the slave's job folder, with `/`.
    pub place: String,
    /// With one piece: of its bytes; else of its recipe (see [`crate::recipe`]).
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// How many pieces it has; 0 for an empty file.
    pub pieces: u32,
}

/// A path that a datablock holds, and where it leads below the slave's job folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathUse {
    /// The place of the library whose datablock it is; empty for the .blend itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub library: String,
    /// The string as Blender has it.
    pub raw: String,
    /// Where it leads: a file, a folder, or a pattern with `<UDIM>` or `<UVTILE>`.
    pub place: String,
    /// Who holds it, for messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// False when the artist sent the job knowing that nothing is there.
    pub must_exist: bool,
}

/// All files of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// The place of the .blend among the assets.
    pub blend: String,
    /// Every file, the .blend included.
    pub assets: Vec<Asset>,
    /// Every path that leads to them.
    pub paths: Vec<PathUse>,
}

/// Why a manifest is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Another generation of netrender.
    #[error("the list of files has format {0}, this netrender reads {MANIFEST_VERSION}")]
    Version(u32),
    /// A place that could leave the job's folder or can't exist everywhere.
    #[error("the file place {place:?} is not allowed: {why}")]
    UnsafePlace {
        /// As given.
        place: String,
        /// In words.
        why: &'static str,
    },
    /// Two files in one place.
    #[error("two files claim the place {0:?}")]
    Collision(String),
    /// A size or a number of pieces that can't be.
    #[error("{0:?} claims an impossible size or number of pieces")]
    WrongSize(String),
    /// The .blend is not in the list.
    #[error("the .blend {0:?} is not among the job's files")]
    NoBlend(String),
    /// Beyond [`MAX_ASSETS`] or [`MAX_RAW`].
    #[error("a job may name at most {MAX_ASSETS} files by paths of at most {MAX_RAW} bytes")]
    TooMany,
}

impl Manifest {
    /// Refuses unsafe places, collisions (also those of case-blind file systems) and impossible sizes.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.version != MANIFEST_VERSION {
            return Err(ManifestError::Version(self.version));
        }
        if self.assets.len() > MAX_ASSETS || self.paths.len() > MAX_ASSETS {
            return Err(ManifestError::TooMany);
        }
        let mut files = BTreeSet::new();
        for asset in &self.assets {
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
        }
        // A file can't be another one's folder.
        for asset in &self.assets {
            let place = folded(&asset.place);
            if place.match_indices('/').any(|(end, _)| files.contains(&place[..end])) {
                return Err(ManifestError::Collision(asset.place.clone()));
            }
        }
        if !self.assets.iter().any(|asset| asset.place == self.blend) {
            return Err(ManifestError::NoBlend(self.blend.clone()));
        }
        for path in &self.paths {
            if path.raw.len() > MAX_RAW || path.user.len() > MAX_RAW {
                return Err(ManifestError::TooMany);
            }
            safe(&without_tiles(&path.place))?;
            if !path.library.is_empty() {
                safe(&path.library)?;
            }
        }
        Ok(())
    }
}

/// A place as file systems see it that know no case (Windows) or one form of accents (macOS).
pub fn folded(place: &str) -> String {
    let lower = place.to_lowercase();
    if is_nfc(&lower) { lower } else { lower.nfc().collect() }
}

/// Blender's patterns for tiles stand for digits.
fn without_tiles(place: &str) -> Cow<'_, str> {
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

/// `CON`, `nul.txt`, `COM1` ...: names Windows keeps for devices, with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).is_some_and(|number| {
            // Windows takes the superscript digits for digits here.
            matches!(number.chars().as_str(), "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        }),
    }
}

/// The place that mirrors an absolute path of any operating system, so that relative positions between files stay:
/// `/home/u/a.png` → `home/u/a.png`, `C:\t\a.png` → `C/t/a.png`, `\\srv\share\a.png` → `UNC/srv/share/a.png`.
/// `<UDIM>` and `<UVTILE>` stay. What is not allowed everywhere is written as `%` and its number, the same way in every
/// frame of a sequence; accents get one form. A result that is still too long is cut and marked.
pub fn mirror(source: &str) -> String {
    let windows = source.starts_with(r"\\")
        || matches!(source.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic());
    // Elsewhere a backslash is a character like any other.
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
    for name in rest.split('/') {
        match name {
            "" | "." => {}
            ".." => parts.truncate(parts.len().saturating_sub(1).max(floor)),
            name => parts.push(safe_name(name)),
        }
    }
    let place = parts.join("/");
    if without_tiles(&place).len() <= MAX_PLACE { place } else { shortened(&place) }
}

fn safe_name(name: &str) -> String {
    let name: Cow<'_, str> = if is_nfc(name) { name.into() } else { name.nfc().collect::<String>().into() };
    let whole = without_tiles(&name);
    if check_name(&whole).is_ok() && !name.contains('%') {
        return name.into_owned();
    }
    let mut safe = String::with_capacity(name.len() + 8);
    let mut rest = &*name;
    while let Some(c) = rest.chars().next() {
        if let Some(tile) = ["<UDIM>", "<UVTILE>"].into_iter().find(|tile| rest.starts_with(tile)) {
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

/// Keeps two cut names apart; not for trust (FNV-1a).
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

/// The folders become a mark, the same for all files in them, so that sequences stay together.
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
