//! Files of a job that Blender itself may write while it renders, by their places: caches of
//! simulations and compiled shaders. They are laid out as copies: a hard link would let it write
//! into the slave's cache.

use netrender_core::files::manifest::Manifest;
use std::collections::BTreeSet;

/// The places of one job that may be written.
#[derive(Debug, Default)]
pub struct WritablePlaces {
    /// Folders whose files all belong to one cache.
    folders: BTreeSet<String>,
}

impl WritablePlaces {
    /// Finds the cache folders among the places.
    pub fn of(manifest: &Manifest) -> Self {
        let folders = manifest.assets.iter().filter_map(|asset| cache_folder(&asset.place));
        Self { folders: folders.map(str::to_owned).collect() }
    }

    /// True if the file at this place may be written.
    pub fn contains(&self, place: &str) -> bool {
        let in_folder = place.match_indices('/').any(|(end, _)| self.folders.contains(&place[..end]));
        // What Blender compiles an OSL script to, and caches of single objects outside of a folder
        // of their own.
        in_folder || place.ends_with(".oso") || place.ends_with(".bphys")
    }

    /// Folders in which any file that is not the job's was written by Blender.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }
}

/// The folder of the cache that a file at this place proves: `blendcache_<name>` of disk caches, or
/// the folder of a fluid, in which each frame has a `config/config_0001.uni`.
fn cache_folder(place: &str) -> Option<&str> {
    let mut begin = 0;
    for part in place.split('/') {
        let end = begin + part.len();
        if part.starts_with("blendcache_") && end < place.len() {
            return Some(&place[..end]);
        }
        begin = end + 1;
    }
    let (folder, name) = place.rsplit_once('/')?;
    let cache = folder.strip_suffix("/config")?;
    (name.starts_with("config_") && name.ends_with(".uni")).then_some(cache)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::{
        files::manifest::{Asset, MANIFEST_VERSION},
        model::digest::Digest,
    };

    #[test]
    fn caches_of_simulations_and_compiled_shaders_may_be_written_and_nothing_else() {
        let writable = [
            "x/blendcache_shot/4d_000001_00.bphys",
            "x/fluid/config/config_0001.uni",
            "x/fluid/data/fluid_data_0001.vdb",
            "x/fluid/mesh/fluid_mesh_0001.bobj.gz",
            "x/shaders/glow.oso",
            "x/external_000001_00.bphys",
        ];
        let others = ["x/shot.blend", "x/shaders/glow.osl", "x/vdb/data/smoke_0001.vdb", "x/config/config_1.png"];
        let asset = |place: &&str| {
            let (source, place) = (String::new(), (*place).to_owned());
            Asset { source, place, digest: Digest([0; 32]), bytes: 0, pieces: 0 }
        };
        let assets = writable.iter().chain(&others).map(asset).collect();
        let manifest = Manifest { version: MANIFEST_VERSION, blend: String::new(), assets, paths: vec![] };
        let places = WritablePlaces::of(&manifest);
        assert!(writable.iter().all(|place| places.contains(place)), "{places:?}");
        assert!(!others.iter().any(|place| places.contains(place)), "{places:?}");
        assert_eq!(places.folders().collect::<Vec<_>>(), ["x/blendcache_shot", "x/fluid"]);
    }
}
