//! Asking a background Blender what a .blend is and which files it needs. The script is the add-on's own tracer.

use super::ClientError;
use crate::blender::Blender;
use serde::Deserialize;
use std::{collections::BTreeMap, ffi::OsString, path::Path, process::Stdio, time::Duration};

/// What Blender runs.
const SCRIPT: &str = "netrender_trace.py";
/// The tracer. The script finds the others beside itself.
const FILES: [(&str, &str); 5] = [
    (SCRIPT, include_str!("../../../../addon/netrender_rs/trace/netrender_trace.py")),
    ("netrender_trace_files.py", include_str!("../../../../addon/netrender_rs/trace/netrender_trace_files.py")),
    ("netrender_trace_scene.py", include_str!("../../../../addon/netrender_rs/trace/netrender_trace_scene.py")),
    ("netrender_trace_split.py", include_str!("../../../../addon/netrender_rs/trace/netrender_trace_split.py")),
    ("netrender_worker_denoise.py", include_str!("../../../../addon/netrender_rs/worker/netrender_worker_denoise.py")),
];
/// Opening a scene takes minutes at the most; a Blender that says nothing for longer hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// A scene as the tracer describes it. In its strings, bytes of file names that are no UTF-8 are the characters U+10DC80 to
/// U+10DCFF.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// Major, minor.
    pub blender: [u16; 2],
    /// The .blend's absolute path on the artist's machine.
    pub source: String,
    /// The scene's name.
    pub scene: String,
    /// Its engine.
    pub engine: String,
    /// Its frame range in our notation.
    pub frames: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Whether there is something to look through.
    pub has_camera: bool,
    /// Every path that a datablock holds.
    pub paths: Vec<TracedPath>,
    /// Absolute paths of existing files.
    pub files: Vec<String>,
    /// Files that should exist.
    pub missing: Vec<MissingFile>,
    /// Why the scene needs Python of its own.
    #[serde(default)]
    pub scripts: Vec<String>,
    /// Sentences for the artist.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How a frame can be rendered in parts.
    #[serde(default)]
    pub split: Split,
}

/// How a frame can be rendered in parts, each with some of its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Split {
    /// Samples of a frame; 0 if its engine knows none.
    pub samples: u32,
    /// View layers with their own number of samples.
    pub layers: BTreeMap<String, u32>,
    /// Whether Cycles can be told that it renders a part (`use_sample_subset`).
    pub is_subset: bool,
    /// Up to so many samples the first ones are the same, however many there are in all; 0 if they never are.
    #[serde(default)]
    pub can_grow_to: u32,
    /// Whether adaptive sampling is on.
    pub is_adaptive: bool,
    /// Whether denoising or the compositor follow when all samples are there.
    pub finishes: bool,
    /// Whether denoising does.
    pub denoises: bool,
    /// What the parts make together.
    pub grade: Grade,
    /// Why it is not [`Grade::Identical`], in sentences for the artist.
    pub why: String,
    /// How it can be cut into tiles.
    pub tiles: Tiles,
}

/// How a frame can be rendered in tiles, each with all samples of some lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Tiles {
    /// Lines that each needs around its own.
    pub overlap: u32,
    /// What they make together.
    pub grade: Grade,
    /// Why it is not [`Grade::Identical`], in sentences for the artist.
    pub why: String,
}

/// What parts of a frame make together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The frame as it is rendered at once, but for rounding.
    Identical,
    /// A frame with other noise, but no more of it.
    Equivalent,
    /// Nothing: it can only be rendered whole.
    #[default]
    None,
}

/// A path that a datablock holds.
#[derive(Clone, Debug, Deserialize)]
pub struct TracedPath {
    /// The library whose datablock it is; empty for the .blend itself.
    pub library: String,
    /// The string as Blender has it.
    pub raw: String,
    /// What it means on the artist's machine: a file, a folder or a pattern.
    pub path: String,
    /// Image, library ...
    pub kind: String,
    /// The datablock.
    pub user: String,
    /// How many existing files it stands for.
    pub found: u32,
}

/// A file the scene names that is not there.
#[derive(Clone, Debug, Deserialize)]
pub struct MissingFile {
    /// Where it should be.
    pub path: String,
    /// Image, library ...
    #[serde(default)]
    pub kind: String,
    /// Who needs it.
    #[serde(default)]
    pub user: String,
    /// The system's words.
    #[serde(default)]
    pub why: String,
}

#[derive(Deserialize)]
struct TraceError {
    error: TraceErrorDetail,
}

#[derive(Deserialize)]
struct TraceErrorDetail {
    message: String,
}

/// Opens `blend`, a copy of the file at `source` or that file itself, in a background Blender, scripts off, and describes it
/// as if it lay at `source` and `engine` rendered it (None: its own).
pub async fn describe(
    blender: &Blender,
    blend: &Path,
    source: &Path,
    scene: Option<&str>,
    engine: Option<&str>,
) -> Result<Description, ClientError> {
    let file = |why: String| ClientError::File { path: source.to_owned(), why };
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| file(error.to_string()));
    let (blend, source) = (absolute(blend)?, absolute(source)?);
    if !blend.is_file() {
        return Err(file("there is no such file".into()));
    }
    let folder = tempfile::tempdir().map_err(|error| file(error.to_string()))?;
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text).map_err(|error| file(error.to_string()))?;
    }
    let (script, answer) = (folder.path().join(SCRIPT), folder.path().join("scene.json"));
    let mut arguments: Vec<OsString> = vec![blend.into(), answer.clone().into(), "--source".into(), source.into()];
    for (option, value) in [("--scene", scene), ("--engine", engine)] {
        arguments.extend(value.into_iter().flat_map(|value| [option.into(), value.into()]));
    }
    let mut command = tokio::process::Command::from(blender.script(&script, arguments));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Err(_) => return Err(file("Blender did not finish opening it".into())),
        Ok(Err(error)) => {
            return Err(ClientError::Usage(format!(
                "Blender can't be started as {}: {error}; say which with --blender PATH or $BLENDER",
                blender.path().display()
            )));
        }
        Ok(Ok(output)) => output,
    };
    let Ok(text) = std::fs::read(&answer) else {
        let log = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = log.lines().rev().take(8).collect();
        let end: Vec<&str> = lines.into_iter().rev().collect();
        return Err(file(format!("Blender could not open it ({}): {}", output.status, end.join(" | "))));
    };
    if let Ok(TraceError { error }) = serde_json::from_slice(&text) {
        return Err(file(error.message));
    }
    serde_json::from_slice(&text).map_err(|error| file(format!("the tracer's answer can't be read: {error}")))
}
