//! Files that File Output nodes wrote for a frame: found, named by their digests, and proved to be
//! all there.

use netrender_core::model::result::OutputFile;
use netrender_store::blobs::digest_of_file;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Parts of the lines by which Blender (3.4 and 5.0) says that a File Output node could not write.
/// It then continues and calls the frame rendered.
const NOT_WRITTEN: [&str; 4] = [
    "Cannot save Node File Output to ",
    "Error Writing Render Result",
    "Error writing render result",
    ") cannot save: '",
];

/// A file as it is handed in.
#[derive(Debug)]
pub struct Output {
    /// Path below the frame's folder, digest and size.
    pub file: OutputFile,
    /// Path on this machine.
    pub path: PathBuf,
}

/// Fails if Blender's output says that a File Output node could not write.
pub fn check_written(log: &str) -> Result<(), String> {
    match log.lines().map(str::trim).find(|line| NOT_WRITTEN.iter().any(|said| line.contains(said))) {
        Some(line) => Err(format!("a File Output node could not write: {line}")),
        None => Ok(()),
    }
}

/// Reads the folder of a frame's files, which need not exist. Links are refused: they could lead to
/// what is not the frame's.
pub fn read(folder: &Path) -> Result<Vec<Output>, String> {
    let mut found = Vec::new();
    walk(folder, "", &mut found)?;
    found.sort_by(|one, other| one.file.path.cmp(&other.file.path));
    let files: Vec<OutputFile> = found.iter().map(|output| output.file.clone()).collect();
    OutputFile::check(&files)?;
    Ok(found)
}

fn walk(folder: &Path, below: &str, found: &mut Vec<Output>) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && below.is_empty() => return Ok(()),
        entries => entries.map_err(|error| failed(folder, error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| failed(&path, error))?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| format!("the name of {} is not Unicode", path.display()))?;
        let place = format!("{below}{name}");
        if kind.is_dir() {
            walk(&path, &format!("{place}/"), found)?;
        } else if kind.is_file() {
            let digest = digest_of_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let bytes = entry.metadata().map_err(|error| failed(&path, error))?.len();
            if bytes == 0 {
                return Err(format!("a File Output node wrote nothing into {place}"));
            }
            found.push(Output { file: OutputFile { path: place, digest, bytes }, path });
        } else {
            return Err(format!("{place}, which a File Output node left, is not a file"));
        }
        if found.len() > OutputFile::MAX_COUNT {
            break; // the check of the list says what is wrong
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_nodes_are_named_by_their_place_and_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1.files");
        assert!(read(&folder).unwrap().is_empty(), "no folder, no files");
        fs::create_dir_all(folder.join("File Output/sub")).unwrap();
        fs::write(folder.join("File Output/sub/depth_0001.exr"), "depth").unwrap();
        fs::write(folder.join("File Output/beauty_0001.png"), "beauty").unwrap();
        let found: Vec<_> = read(&folder).unwrap().into_iter().map(|one| (one.file.path, one.file.bytes)).collect();
        assert_eq!(found, [("File Output/beauty_0001.png".into(), 6), ("File Output/sub/depth_0001.exr".into(), 5)]);
        fs::write(folder.join("File Output/empty_0001.png"), "").unwrap();
        assert!(read(&folder).unwrap_err().contains("empty_0001.png"));
        fs::remove_file(folder.join("File Output/empty_0001.png")).unwrap();
        #[cfg(unix)]
        for target in ["/etc", "/etc/passwd"] {
            let link = folder.join("link");
            std::os::unix::fs::symlink(target, &link).unwrap();
            assert!(read(&folder).unwrap_err().contains("is not a file"));
            fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn what_blender_could_not_write_is_found_in_its_output() {
        assert_eq!(check_written("Saved: x\nCannot find it\n"), Ok(()));
        for line in [
            "Cannot save Node File Output to /s/a.png",
            "Error Writing Render Result, see console",
            "00:00.811  reports          | ERROR Render error (No space left on device) cannot save: '/s/a.png'",
        ] {
            let why = check_written(&format!("Fra:1\n{line}\nSaved: x\n")).unwrap_err();
            assert!(why.ends_with(line), "{why}");
        }
    }
}
