//! Folders of the user on each system. `None` if even the home folder is unknown.

use std::path::PathBuf;

fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Folder where a service keeps its files if none is named. Not Blender's own data folder: that one
/// has Blender's version in its path, and a farm outlives versions.
pub fn data(service: &str) -> Option<PathBuf> {
    let home = std::env::home_dir();
    let base = if cfg!(windows) {
        named("LOCALAPPDATA").or(home)
    } else if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else {
        named("XDG_DATA_HOME").or(home.map(|home| home.join(".local/share")))
    };
    base.map(|base| base.join("netrender").join(service))
}

/// Folder for files that may be lost.
pub fn cache() -> Option<PathBuf> {
    let home = std::env::home_dir();
    if cfg!(windows) {
        return named("LOCALAPPDATA").or(home).map(|base| base.join("netrender").join("cache"));
    }
    let base = if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Caches"))
    } else {
        named("XDG_CACHE_HOME").or(home.map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("netrender"))
}
