//! Working folders that only their user enters: scenes, films and keys lie in them. On Windows the
//! user's profile has that protection already, so nothing is set there.

use std::{fs, io, path::Path};

/// Makes a working folder that only this user can enter. Of a folder that exists, others lose their
/// access if it is empty or has the file `own`, which only a working folder has.
///
/// # Errors
/// Those of the file system; `PermissionDenied` if others may write in the folder: they could
/// replace what is read back from it.
pub fn make(folder: &Path, own: &str) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    system::make(folder)?;
    if folder.join(own).exists() || fs::read_dir(folder)?.next().is_none() {
        system::close(folder);
    }
    if system::others_may_write(folder)? {
        let why = "every user of this machine may write in it";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(())
}

/// Writes a file that only this user can read.
pub fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let written = system::create_secret(path).and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

#[cfg(unix)]
mod system {
    use std::{
        fs::{self, DirBuilder, File, Permissions},
        io,
        os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
        path::Path,
    };

    pub fn make(folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    /// Tries to take others' access away. A file system without permissions, or a folder of another
    /// user, keeps it.
    pub fn close(folder: &Path) {
        let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    }

    pub fn others_may_write(folder: &Path) -> io::Result<bool> {
        Ok(fs::metadata(folder)?.permissions().mode() & 0o002 != 0)
    }

    pub fn create_secret(path: &Path) -> io::Result<File> {
        // The mode counts for new files only.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::options().write(true).create_new(true).mode(0o600).open(path)
    }
}

#[cfg(not(unix))]
mod system {
    use std::{
        fs::{self, File},
        io,
        path::Path,
    };

    pub fn make(folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    pub fn close(_: &Path) {}

    pub fn others_may_write(_: &Path) -> io::Result<bool> {
        Ok(false)
    }

    pub fn create_secret(path: &Path) -> io::Result<File> {
        File::create(path)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    const OWN: &str = "own.lock";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn open_to_all(path: &Path) {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }

    #[test]
    fn a_working_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let (new, empty, old) = (dir.path().join("a/b"), dir.path().join("empty"), dir.path().join("old"));
        for made in [&empty, &old] {
            fs::create_dir(made).unwrap();
            open_to_all(made);
        }
        fs::write(old.join(OWN), "").unwrap();
        for folder in [&new, &empty, &old] {
            make(folder, OWN).unwrap();
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }

    #[test]
    fn a_folder_of_other_things_keeps_its_rights_and_is_refused_if_all_may_write() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("of somebody"), "").unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        make(dir.path(), OWN).unwrap();
        assert_eq!(mode(dir.path()), 0o755);
        open_to_all(dir.path());
        assert_eq!(make(dir.path(), OWN).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(mode(dir.path()), 0o777);
    }

    #[test]
    fn a_secret_is_read_by_its_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "old").unwrap();
        open_to_all(&path);
        write_secret(&path, "new").unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap()), (0o600, "new".into()));
    }
}
