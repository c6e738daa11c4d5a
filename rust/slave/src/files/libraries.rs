//! Paths of libraries, set right in copies of a job's .blend files before Blender reads them: what
//! Blender matches with linked data while it reads a file (poses of overrides, excluded collections)
//! is lost if it finds the library only later.

use netrender_blender::repoint_libraries;
use netrender_core::files::manifest::{Asset, Manifest, folded, mirror};
use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

/// Start of the user's name in a path use that leads to a library.
const LIBRARY: &str = "library ";

/// A library's path in a copied file.
#[derive(Debug, PartialEq, Eq)]
pub struct Pointed {
    /// Place of the .blend that holds the path.
    pub blend: String,
    /// The path as it stands there now.
    pub raw: String,
    /// Place that it leads to.
    pub place: String,
}

/// Writes, into the empty folder `tree`, copies of those .blend files whose paths of libraries do not
/// lead to the job's own files. `original` is the file of an asset, which stays as it is.
pub fn point_libraries(
    manifest: &Manifest,
    tree: &Path,
    original: impl Fn(&Asset) -> PathBuf,
) -> io::Result<Vec<Pointed>> {
    let uses = manifest.paths.iter().filter(|path| path.must_exist && path.user.starts_with(LIBRARY));
    let libraries: BTreeSet<&str> = uses.map(|path| path.place.as_str()).collect();
    if libraries.is_empty() {
        return Ok(Vec::new());
    }
    let known = Libraries::new(manifest.assets.iter().filter(|asset| libraries.contains(asset.place.as_str())));
    let mut pointed = Vec::new();
    for blend in &manifest.assets {
        if blend.place != manifest.blend && !libraries.contains(blend.place.as_str()) {
            continue;
        }
        let wanted = |raw: &str| Some(known.better(raw, blend)?.into_bytes());
        let place = tree.join(&blend.place);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        let changes = match repoint_libraries(&original(blend), &place, wanted) {
            // The worker re-points what it can after opening, and Blender says what it cannot read.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::debug!(blend = blend.source, %error, "libraries are left to Blender");
                continue;
            }
            changes => changes?,
        };
        for change in changes {
            let raw = change.after;
            let place = known.place(&change.before, blend).unwrap_or_default().to_owned();
            let blend = if blend.place == manifest.blend { String::new() } else { blend.place.clone() };
            pointed.push(Pointed { blend, raw, place });
        }
    }
    Ok(pointed)
}

/// Libraries of a job.
struct Libraries<'a> {
    /// The path on the artist's machine, as [`mirror`] writes it → the place. For Windows folded,
    /// too.
    places: HashMap<String, &'a str>,
}

impl<'a> Libraries<'a> {
    fn new(assets: impl Iterator<Item = &'a Asset>) -> Self {
        let mut places = HashMap::new();
        for asset in assets {
            let path = mirror(&asset.source);
            if is_windows(&asset.source) {
                places.insert(folded(&path), asset.place.as_str());
            }
            places.insert(path, asset.place.as_str());
        }
        Self { places }
    }

    /// The place of the library that the .blend names by the path `raw`.
    fn place(&self, raw: &str, blend: &Asset) -> Option<&'a str> {
        let path = match raw.strip_prefix("//") {
            // Blender takes a backslash in a relative path for a slash everywhere.
            Some(rest) => format!("{}{}", folder_of(&blend.source), rest.replace('\\', "/")),
            None if raw.starts_with('/') || is_windows(raw) => raw.to_owned(),
            None => return None,
        };
        let path = mirror(&path);
        self.places.get(&path).or_else(|| self.places.get(&folded(&path))).copied()
    }

    /// The path to put in place of `raw`; `None` where it leads to the right file already.
    fn better(&self, raw: &str, blend: &Asset) -> Option<String> {
        let place = self.place(raw, blend)?;
        let leads_to = raw.strip_prefix("//").map(|rest| below(parent(&blend.place), rest));
        (leads_to.as_deref() != Some(place)).then(|| relative(parent(&blend.place), place))
    }
}

fn is_windows(path: &str) -> bool {
    path.starts_with(r"\\") || matches!(path.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

/// The folder of an artist's file, with the slash at its end.
fn folder_of(source: &str) -> &str {
    let is_slash = |c: char| c == '/' || (c == '\\' && is_windows(source));
    source.rfind(is_slash).map_or("", |end| &source[..=end])
}

fn parent(place: &str) -> &str {
    place.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The place that a relative path leads to.
fn below(folder: &str, rest: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in rest.split(['/', '\\']) {
        match name {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The path from a folder to a place, in Blender's notation.
fn relative(folder: &str, place: &str) -> String {
    let (from, to): (Vec<&str>, Vec<&str>) =
        (folder.split('/').filter(|name| !name.is_empty()).collect(), place.split('/').collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    format!("//{}{}", "../".repeat(from.len() - common), to[common..].join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::model::digest::Digest;
    use proptest::prelude::*;

    fn asset(source: &str) -> Asset {
        Asset { source: source.into(), place: mirror(source), digest: Digest([0; 32]), bytes: 1, pieces: 1 }
    }

    #[test]
    fn the_path_of_a_library_leads_to_its_place_on_the_slave() {
        let shot = |source: &str, library: &str, raw: &str| {
            let (blend, library) = (asset(source), asset(library));
            Libraries::new([&library].into_iter()).better(raw, &blend)
        };
        let char = "/lib/char.blend";
        assert_eq!(shot("/home/a/shot.blend", char, char).as_deref(), Some("//../../lib/char.blend"));
        assert_eq!(
            shot("/home/a/shot.blend", char, "/x/../lib/./char.blend").as_deref(),
            Some("//../../lib/char.blend")
        );
        assert_eq!(shot("/lib/a.blend", char, char).as_deref(), Some("//char.blend"));
        assert_eq!(shot("/home/a/shot.blend", char, "//../../lib/char.blend"), None, "it leads there already");
        assert_eq!(shot("/home/a/shot.blend", char, "//..\\../lib\\char.blend"), None);
        assert_eq!(shot("/home/a/shot.blend", char, "/other/char.blend"), None, "another file");
        assert_eq!(shot("/home/a/shot.blend", char, "char.blend"), None, "from Blender's own folder");
        let odd = shot("/p/shot.blend", "/l: ib/char.blend", "//../l: ib/char.blend");
        assert_eq!(odd.as_deref(), Some("//../l%3A ib/char.blend"));
        let drives = shot(r"C:\p\shot.blend", r"D:\Lib\char.blend", r"d:\lib\CHAR.blend");
        assert_eq!(drives.as_deref(), Some("//../../D/Lib/char.blend"));
        let bytes = shot("/p/shot.blend", "/caf\u{10DCE9}/c.blend", "/caf\u{10DCE9}/c.blend");
        assert_eq!(bytes.as_deref(), Some("//../caf\u{10DCE9}/c.blend"));
    }

    proptest! {
        #[test]
        fn a_relative_path_leads_where_it_shall(
            from in prop::collection::vec("[ab.]{1,2}[c ]?x", 0..5),
            to in prop::collection::vec("[ab.]{1,2}[c ]?x", 1..5),
        ) {
            let (folder, place) = (from.join("/"), to.join("/"));
            prop_assert_eq!(below(&folder, &relative(&folder, &place)[2..]), place);
        }
    }
}
