//! The files of a job: names as the artist's Blender has them, places in the slave's job folder, and bytes by digest.
//! A manifest comes from the network: [`Manifest::check`] refuses whatever could leave the job's folder.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Longest place in characters; leaves room for the slave's own folder within Linux's 4096 and with Windows' long paths.
pub const MAX_PLACE: usize = 1024;
/// Longest single name, as common file systems have it.
const MAX_NAME: usize = 255;
/// More files than any scene names.
pub const MAX_ASSETS: usize = 1_000_000;
/// Largest piece a sender may cut.
pub const MAX_PIECE_BYTES: u64 = 16 << 20;

/// A run of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The blob with these bytes.
    pub digest: Digest,
    /// How many.
    pub bytes: u64,
}

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The absolute path on the artist's machine.
    pub source: String,
    /// The place below the slave's job folder, with `/`.
    pub place: String,
    /// Digest of the whole file.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Its bytes in order.
    pub pieces: Vec<Piece>,
}

/// All files of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The place of the .blend among the assets.
    pub blend: String,
    /// Every file, the .blend included.
    pub assets: Vec<Asset>,
}

/// Why a manifest is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
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
    /// Sizes that don't add up.
    #[error("the pieces of {0:?} do not add up to its size")]
    WrongSize(String),
    /// The .blend is not in the list.
    #[error("the .blend {0:?} is not among the job's files")]
    NoBlend(String),
    /// Beyond [`MAX_ASSETS`].
    #[error("a job may name at most {MAX_ASSETS} files")]
    TooMany,
}

impl Manifest {
    /// Refuses unsafe places, collisions (also those of case-blind file systems) and sizes that don't add up.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.assets.len() > MAX_ASSETS {
            return Err(ManifestError::TooMany);
        }
        let mut seen = BTreeSet::new();
        for asset in &self.assets {
            check_place(&asset.place).map_err(|why| ManifestError::UnsafePlace { place: asset.place.clone(), why })?;
            if !seen.insert(asset.place.to_lowercase()) {
                return Err(ManifestError::Collision(asset.place.clone()));
            }
            let sum = asset.pieces.iter().try_fold(0u64, |sum, piece| sum.checked_add(piece.bytes));
            if sum != Some(asset.bytes) || asset.pieces.iter().any(|piece| piece.bytes > MAX_PIECE_BYTES) {
                return Err(ManifestError::WrongSize(asset.place.clone()));
            }
        }
        if !self.assets.iter().any(|asset| asset.place == self.blend) {
            return Err(ManifestError::NoBlend(self.blend.clone()));
        }
        Ok(())
    }

    /// Every piece once.
    pub fn pieces(&self) -> BTreeSet<Digest> {
        self.assets.iter().flat_map(|asset| &asset.pieces).map(|piece| piece.digest).collect()
    }
}

fn check_place(place: &str) -> Result<(), &'static str> {
    if place.is_empty() {
        return Err("it is empty");
    }
    if place.chars().count() > MAX_PLACE {
        return Err("it is too long");
    }
    for name in place.split('/') {
        match name {
            "" => return Err("it is absolute or has an empty part"),
            "." | ".." => return Err("it climbs out of the job's folder"),
            _ if name.len() > MAX_NAME => return Err("a name in it is too long"),
            _ if name
                .chars()
                .any(|c| c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')) =>
            {
                return Err("it has a character that is not allowed in file names everywhere");
            }
            _ if name.ends_with(['.', ' ']) => return Err("a name in it ends with a dot or a space"),
            _ if is_device(name) => return Err("a name in it is a device on Windows"),
            _ => {}
        }
    }
    Ok(())
}

/// `CON`, `nul.txt`, `COM1` ...: names Windows keeps for devices, with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" => true,
        _ => stem
            .strip_prefix("COM")
            .or_else(|| stem.strip_prefix("LPT"))
            .is_some_and(|number| number.len() == 1 && number != "0" && number.chars().all(|c| c.is_ascii_digit())),
    }
}

/// The place that mirrors an absolute path of any operating system, so that relative positions between files stay:
/// `/home/u/a.png` → `home/u/a.png`, `C:\t\a.png` → `C/t/a.png`, `\\srv\share\a.png` → `UNC/srv/share/a.png`.
/// Characters that are not allowed everywhere become `_` and a short mark of the whole path keeps names apart.
pub fn mirror(source: &str) -> String {
    let slashes = source.replace('\\', "/");
    let (root, rest) = match slashes.strip_prefix("//") {
        Some(rest) => ("UNC", rest),
        None => match slashes.as_bytes() {
            [drive, b':', ..] if drive.is_ascii_alphabetic() => (&slashes[..1], &slashes[2..]),
            _ => ("", slashes.as_str()),
        },
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
    parts.join("/")
}

fn safe_name(name: &str) -> String {
    if check_place(name).is_ok() {
        return name.to_owned();
    }
    // FNV-1a: only to keep two replaced names apart, not for trust.
    let mark = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let kept: String = name.chars().map(|c| if check_place(&format!("x{c}x")).is_ok() { c } else { '_' }).collect();
    let (stem, extension) = match kept.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (kept.as_str(), String::new()),
    };
    let stem: String = stem.trim_end_matches(['.', ' ']).chars().take(60).collect();
    let extension = extension.trim_end_matches(['.', ' ']);
    format!("_{stem}~{mark:08x}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mirrors_every_kind_of_path() {
        assert_eq!(mirror("/home/u/../v/a.png"), "home/v/a.png");
        assert_eq!(mirror(r"C:\tex\a.png"), "C/tex/a.png");
        assert_eq!(mirror(r"\\srv\share\a.png"), "UNC/srv/share/a.png");
        assert_eq!(mirror("/../../etc/passwd"), "etc/passwd");
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
            "x\0y",
            "a ",
            "b.",
            "a/<x>",
            &long,
        ] {
            assert!(check_place(place).is_err(), "{place:?}");
        }
        for place in ["a", "home/u/scene.blend", "Ünï/ço dé.png", "common/com10.png"] {
            assert_eq!(check_place(place), Ok(()), "{place:?}");
        }
    }

    proptest! {
        #[test]
        fn a_mirrored_path_is_always_a_safe_place(source in "(/|C:\\\\|//)[a-zA-Z0-9 ._:*?<>|\\\\/é-]{1,80}") {
            let place = mirror(&source);
            prop_assert!(place.is_empty() || check_place(&place).is_ok(), "{source:?} -> {place:?}");
        }
    }
}
