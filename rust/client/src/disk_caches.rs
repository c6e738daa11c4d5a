//! Disk caches of a .blend, which Blender finds by its name alone: they lie beside it in the folder
//! `blendcache_` and the name without extension. So the name of that folder on the slaves follows
//! from the name of the .blend there, and both must be allowed everywhere.

use netrender_core::files::manifest::{mirror, mirror_file};
use std::collections::{BTreeSet, HashMap};

const START: &str = "blendcache_";
/// Bytes that Blender up to 4.x takes for the extension, whatever they are.
const EXTENSION_BYTES: usize = 6;

/// Folders of disk caches among a job's files.
#[derive(Default)]
pub struct DiskCaches {
    /// Folders that have files, without a slash at the end.
    found: BTreeSet<String>,
    /// Path of a .blend → its place, and what Blender takes for its extension.
    blends: HashMap<String, (String, String)>,
    /// Folder on the artist's machine, its place.
    folders: Vec<(String, String)>,
}

impl DiskCaches {
    /// Finds the folders among the files.
    pub fn among<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        let folder = |file: &'a str| {
            let start = file.find(START).filter(|start| file[..*start].ends_with(['/', '\\']))?;
            let end = start + file[start..].find(['/', '\\'])?;
            Some(file[..end].to_owned())
        };
        Self { found: files.filter_map(folder).collect(), ..Self::default() }
    }

    /// Learns of a .blend, before places are asked for.
    pub fn expect(&mut self, source: &str) {
        let (folder, name) = source.split_at(source.rfind(['/', '\\']).map_or(0, |slash| slash + 1));
        let Some((_, rest)) =
            splits(name).into_iter().flatten().find(|(stem, _)| self.found.contains(&format!("{folder}{START}{stem}")))
        else {
            return;
        };
        let place = mirror_file(source);
        // Allowed within a name, but not at the end of the folder's.
        let place = match place.strip_suffix(rest) {
            Some(stem) if stem.ends_with(['.', ' ']) => {
                let (stem, last) = stem.split_at(stem.len() - 1);
                format!("{stem}%{:02X}{rest}", last.as_bytes()[0])
            }
            _ => place,
        };
        self.blends.insert(source.to_owned(), (place, rest.to_owned()));
    }

    /// Learns where a .blend lies on the slaves.
    pub fn placed(&mut self, source: &str, place: &str) {
        let Some((_, rest)) = self.blends.get(source) else { return };
        let (folder, name) = place.rsplit_once('/').unwrap_or(("", place));
        let slash = if folder.is_empty() { "" } else { "/" };
        if let Some(stem) = name.strip_suffix(rest.as_str()) {
            let of_artist = format!("{}{START}", &source[..source.rfind(['/', '\\']).map_or(0, |slash| slash + 1)]);
            let own = source[of_artist.len() - START.len()..].strip_suffix(rest.as_str()).unwrap_or_default();
            self.folders.push((format!("{of_artist}{own}"), format!("{folder}{slash}{START}{stem}")));
        }
    }

    /// The place of a .blend with disk caches, of such a cache's folder, or of what lies in it.
    pub fn place(&self, source: &str) -> Option<String> {
        if let Some((place, _)) = self.blends.get(source) {
            return Some(place.clone());
        }
        self.folders.iter().find_map(|(folder, place)| match source.strip_prefix(folder.as_str())? {
            "" | "/" | "\\" => Some(place.clone()),
            rest if rest.starts_with(['/', '\\']) => {
                let below = if folder.contains('\\') { rest.replace('\\', "/") } else { rest.to_owned() };
                Some(format!("{place}/{}", mirror(&below)))
            }
            _ => None,
        })
    }
}

/// Ways in which a Blender divides a file's name in two.
fn splits(name: &str) -> [Option<(&str, &str)>; 2] {
    let extension = name.rfind('.').map(|dot| name.split_at(dot));
    let six_bytes = name.len().checked_sub(EXTENSION_BYTES).and_then(|end| name.split_at_checked(end));
    [extension, six_bytes].map(|split| split.filter(|(stem, _)| !stem.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_cache_lies_where_blender_looks_for_it() {
        let cached = |source: &str, folder: &str| {
            let file = format!("{folder}/636C6F7468_000001_00.bphys");
            let mut caches = DiskCaches::among([file.as_str()].into_iter());
            caches.expect(source);
            let place = caches.place(source).unwrap_or_else(|| mirror_file(source));
            caches.placed(source, &place);
            (place, caches.place(&file).unwrap_or_else(|| mirror_file(&file)), caches.place(folder))
        };
        for (name, folder, name_here, folder_here) in [
            ("a.blend", "blendcache_a", "a.blend", "blendcache_a"),
            ("shot 01 .blend", "blendcache_shot 01 ", "shot 01%20.blend", "blendcache_shot 01%20"),
            ("dot..blend", "blendcache_dot.", "dot%2E.blend", "blendcache_dot%2E"),
            ("CON.blend", "blendcache_CON", "%CON.blend", "blendcache_%CON"),
            ("a? .blend", "blendcache_a? ", "a%3F%20.blend", "blendcache_a%3F%20"),
            ("short.blend1", "blendcache_short", "short.blend1", "blendcache_short"),
            ("short.blend1", "blendcache_short.", "short%2Eblend1", "blendcache_short%2E"),
        ] {
            let (blend, file, of_bakes) = cached(&format!("/p/{name}"), &format!("/p/{folder}"));
            assert_eq!(blend, format!("p/{name_here}"));
            assert_eq!(file, format!("p/{folder_here}/636C6F7468_000001_00.bphys"));
            assert_eq!(of_bakes, Some(format!("p/{folder_here}")));
        }
        let (_, file, _) = cached("/p/b.blend", "/p/blendcache_a ");
        assert_eq!(file, "p/blendcache_a%20/636C6F7468_000001_00.bphys", "of another .blend");
        let (blend, file, _) = cached(r"C:\p\x .blend", r"C:\p\blendcache_x ");
        assert_eq!((blend.as_str(), &file[..20]), ("C/p/x%20.blend", "C/p/blendcache_x%20/"));
    }

    #[test]
    fn a_blend_that_another_place_was_found_for_takes_its_caches_along() {
        let mut caches = DiskCaches::among(["/p/blendcache_Char/1.bphys"].into_iter());
        caches.expect("/p/Char.blend");
        caches.placed("/p/Char.blend", "p/Char~2.blend");
        assert_eq!(caches.place("/p/blendcache_Char/1.bphys").as_deref(), Some("p/blendcache_Char~2/1.bphys"));
    }
}
