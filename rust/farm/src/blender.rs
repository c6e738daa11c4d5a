//! The Blender on this machine: a `blender` executable, or a Python that has the `bpy` module. How to run a script in it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// A Blender that can run a Python script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blender {
    /// The program.
    Program(PathBuf),
    /// A Python whose `bpy` module is Blender.
    Module(PathBuf),
}

impl Blender {
    /// Told apart by the file's name: `python`, `python3.11`, `python.exe` ... are Pythons.
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        if name.starts_with("python") { Self::Module(path.to_owned()) } else { Self::Program(path.to_owned()) }
    }

    /// The one asked for, else `$BLENDER`, else `blender` on the PATH.
    pub fn choose(asked: Option<&Path>) -> Self {
        match asked {
            Some(path) => Self::at(path),
            None => match std::env::var_os("BLENDER").filter(|path| !path.is_empty()) {
                Some(path) => Self::at(Path::new(&path)),
                None => Self::Program("blender".into()),
            },
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Program(path) | Self::Module(path) => path,
        }
    }

    /// Runs a script without a window, without sound and without scripts that a .blend brings along. An exception in
    /// the script is a failure.
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
