//! The Blender on this machine, a `blender` executable or a Python that has the `bpy` module, the
//! add-on's scripts to run in it, and the paths of libraries in its files.

mod libraries;
mod scripts;

pub use libraries::{Repointed, repoint_libraries};
pub use scripts::{Scripts, TRACER, WORKER};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// Exit code of a look at a path that the Blender does not see.
pub const UNSEEN: i32 = 93;
/// Python that ends with [`UNSEEN`] if the last argument is no path of anything that is there.
const LOOK: &str = "import os, sys; sys.exit(0 if os.path.exists(sys.argv[-1]) else 93)";

/// A Blender that can run a Python script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blender {
    /// The `blender` executable.
    Program(PathBuf),
    /// A Python that has the `bpy` module.
    Module(PathBuf),
}

impl Blender {
    /// The Blender at this path. File names like `python`, `python3.11` and `python.exe` are
    /// Pythons.
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        if name.starts_with("python") { Self::Module(path.to_owned()) } else { Self::Program(path.to_owned()) }
    }

    /// The Blender at the path that was asked for, else at `$BLENDER`, else `blender` on the PATH.
    pub fn choose(asked: Option<&Path>) -> Self {
        match asked {
            Some(path) => Self::at(path),
            None => match std::env::var_os("BLENDER").filter(|path| !path.is_empty()) {
                Some(path) => Self::at(Path::new(&path)),
                None => Self::Program("blender".into()),
            },
        }
    }

    /// Path of the executable.
    pub fn path(&self) -> &Path {
        match self {
            Self::Program(path) | Self::Module(path) => path,
        }
    }

    /// Command that runs a script without a window, without sound and without the scripts in a
    /// .blend. It fails if the script raises an exception.
    pub fn script<A: AsRef<OsStr>>(&self, script: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(self.path());
        match self {
            Self::Program(_) => {
                command.args(["-b", "-noaudio", "-Y", "--python-exit-code", "1", "--python"]).arg(script);
            }
            Self::Module(_) => {
                command.arg(script);
            }
        }
        command.arg("--").args(arguments);
        command
    }

    /// Command that ends with the exit code [`UNSEEN`] if this Blender does not see the path: one in
    /// a sandbox (Snap, Flatpak, a container) has another file system.
    pub fn look_at(&self, path: &Path) -> Command {
        let mut command = Command::new(self.path());
        match self {
            Self::Program(_) => {
                command.args(["-b", "-noaudio", "-Y", "--factory-startup", "--python-expr", LOOK, "--"])
            }
            Self::Module(_) => command.args(["-c", LOOK]),
        };
        command.arg(path);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_is_told_by_its_name() {
        for (path, module) in [
            ("/usr/bin/blender", false),
            ("/opt/blender-4.2/blender", false),
            ("/x/.venv/bin/python", true),
            ("python3.11", true),
            ("/x/Python.exe", true),
            ("/home/python/blender", false),
        ] {
            assert_eq!(matches!(Blender::at(Path::new(path)), Blender::Module(_)), module, "{path}");
        }
    }
}
