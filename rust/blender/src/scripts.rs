//! The add-on's Python scripts that run in a background Blender, carried inside the program, so
//! that neither a slave nor the command line needs the add-on installed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A script with the modules that it imports from the folder it lies in.
pub struct Scripts {
    entry: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! worker {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../addon/netrender_rs/worker/", $name)))
    };
}

macro_rules! trace {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../addon/netrender_rs/trace/", $name)))
    };
}

/// The worker: renders frames for a slave.
pub const WORKER: Scripts = Scripts {
    entry: "netrender_worker.py",
    files: &[
        worker!("netrender_worker.py"),
        worker!("netrender_worker_clean.py"),
        worker!("netrender_worker_facts.py"),
        worker!("netrender_worker_paths.py"),
        worker!("netrender_worker_scene.py"),
        worker!("netrender_worker_device.py"),
        worker!("netrender_worker_share.py"),
        worker!("netrender_worker_simulations.py"),
        worker!("netrender_worker_finish.py"),
        worker!("netrender_worker_denoise.py"),
    ],
};

/// The tracer: describes a scene and lists the files it needs.
pub const TRACER: Scripts = Scripts {
    entry: "netrender_trace.py",
    files: &[
        trace!("netrender_trace.py"),
        trace!("netrender_trace_color.py"),
        trace!("netrender_trace_files.py"),
        trace!("netrender_trace_findings.py"),
        trace!("netrender_trace_nested.py"),
        trace!("netrender_trace_python.py"),
        trace!("netrender_trace_scene.py"),
        trace!("netrender_trace_shown.py"),
        trace!("netrender_trace_simulations.py"),
        trace!("netrender_trace_split.py"),
        trace!("netrender_trace_strings.py"),
        trace!("netrender_trace_unknown.py"),
        worker!("netrender_worker_denoise.py"),
        worker!("netrender_worker_facts.py"),
    ],
};

impl Scripts {
    /// Writes the files into `folder`, which is made if missing. Returns the path of the script to
    /// run.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        for (name, text) in self.files {
            fs::write(folder.join(name), text)?;
        }
        Ok(folder.join(self.entry))
    }
}
