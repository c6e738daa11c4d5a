//! Tracing: a background Blender opens a .blend and describes the scene and the files it needs, by
//! the add-on's own script.

use super::error::ClientError;
use netrender_blender::{Blender, TRACER, UNSEEN};
use netrender_core::model::verdict::Finding;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::AbortOnDropHandle;

/// Time after which a Blender that opens a scene counts as hung. Opening takes minutes at the most.
const PATIENCE: Duration = Duration::from_secs(900);

/// Time that a Blender has to say whether it sees a path.
const LOOK_PATIENCE: Duration = Duration::from_secs(60);

/// A scene as the tracer describes it. In its strings, the characters U+10DC80 to U+10DCFF stand
/// for bytes of file names that are not UTF-8.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// Version of the Blender that saved it: major, minor.
    pub blender: [u16; 2],
    /// Absolute path of the .blend on the artist's machine.
    pub source: String,
    /// Name of the scene.
    pub scene: String,
    /// Blender id of the engine.
    pub engine: String,
    /// Frame range in the artist's notation.
    pub frames: String,
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
    /// True if the scene has a camera.
    pub has_camera: bool,
    /// True if a part of each frame is drawn, not rendered.
    #[serde(default)]
    pub draws: bool,
    /// Every path that a datablock holds.
    pub paths: Vec<TracedPath>,
    /// Absolute paths of the files that exist.
    pub files: Vec<String>,
    /// Files that are named and do not exist.
    pub missing: Vec<MissingFile>,
    /// Reasons why the scene needs its own Python.
    #[serde(default)]
    pub scripts: Vec<String>,
    /// Notes for the artist.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Findings about the scene.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Ways in which a frame can be rendered in parts.
    #[serde(default)]
    pub split: Split,
}

/// Rendering of a frame in parts, each with some of its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Split {
    /// Samples of a frame; 0 if the engine has no samples.
    pub samples: u32,
    /// View layers with their own number of samples.
    pub layers: BTreeMap<String, u32>,
    /// True if Cycles supports rendering a part (`use_sample_subset`).
    pub is_subset: bool,
    /// Number of samples up to which a frame can grow: its first samples do not depend on their
    /// total number up to there. 0 if they always do.
    #[serde(default)]
    pub can_grow_to: u32,
    /// True if adaptive sampling is on.
    pub is_adaptive: bool,
    /// True if denoising or compositing follows once the samples are complete.
    pub finishes: bool,
    /// True if denoising follows.
    pub denoises: bool,
    /// Quality of the merged parts.
    pub grade: Grade,
    /// Reasons against [`Grade::Identical`], for the artist.
    pub why: String,
    /// Rendering in tiles.
    pub tiles: Tiles,
}

/// Rendering of a frame in tiles, each with all samples of some lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Tiles {
    /// Lines that a tile needs around its own.
    pub overlap: u32,
    /// Quality of the merged tiles.
    pub grade: Grade,
    /// Reasons against [`Grade::Identical`], for the artist.
    pub why: String,
}

/// Quality of a frame that is merged from parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The same frame as rendered at once, except for rounding.
    Identical,
    /// A frame with other noise, but not more of it.
    Equivalent,
    /// No frame: it must be rendered whole.
    #[default]
    None,
}

/// A path that a datablock holds.
#[derive(Clone, Debug, Deserialize)]
pub struct TracedPath {
    /// Path of the library that the datablock is in; empty for the .blend itself.
    pub library: String,
    /// String as the datablock holds it.
    pub raw: String,
    /// Absolute path on the artist's machine: a file, a folder or a pattern.
    pub path: String,
    /// Kind of datablock: image, library ...
    pub kind: String,
    /// Name of the datablock.
    pub user: String,
    /// Number of existing files that it stands for.
    pub found: u32,
}

/// A file that the scene names and that does not exist.
#[derive(Clone, Debug, Deserialize)]
pub struct MissingFile {
    /// Path of the file.
    pub path: String,
    /// Kind of datablock: image, library ...
    #[serde(default)]
    pub kind: String,
    /// Name of the datablock that needs it.
    #[serde(default)]
    pub user: String,
    /// Error of the operating system.
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

/// Describes a scene. `blend` is the file at `source` or a copy of it; it is opened with scripts
/// off and described as if it lay at `source` and its `frames`, in the artist's notation, were
/// rendered by `engine` (`None` for its own). `starter` starts the Blender.
pub async fn describe(
    starter: &Handle,
    blender: &Blender,
    blend: &Path,
    source: &Path,
    scene: Option<&str>,
    engine: Option<&str>,
    frames: Option<&str>,
) -> Result<Description, ClientError> {
    let file = |why: String| ClientError::File { path: source.to_owned(), why };
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| file(error.to_string()));
    let (blend, source) = (absolute(blend)?, absolute(source)?);
    if !blend.is_file() {
        return Err(file("there is no such file".into()));
    }
    let folder = tempfile::tempdir().map_err(|error| file(error.to_string()))?;
    let script = TRACER.write(folder.path()).map_err(|error| file(error.to_string()))?;
    let answer = folder.path().join("scene.json");
    let mut arguments: Vec<OsString> = vec![blend.into(), answer.clone().into(), "--source".into(), source.into()];
    for (option, value) in [("--scene", scene), ("--engine", engine), ("--frames", frames)] {
        arguments.extend(value.into_iter().flat_map(|value| [option.into(), value.into()]));
    }
    let output = match output_of(starter, blender.script(&script, arguments), PATIENCE).await {
        None => return Err(file("Blender did not finish opening it".into())),
        Some(Err(error)) => {
            return Err(ClientError::Usage(format!(
                "Blender can't be started as {}: {error}; say which with --blender PATH or $BLENDER",
                blender.path().display()
            )));
        }
        Some(Ok(output)) => output,
    };
    let Ok(text) = std::fs::read(&answer) else {
        if !sees(starter, blender, &script).await {
            return Err(ClientError::Usage(format!(
                "this Blender ({}) cannot see {}: it seems to be in a sandbox; set TMPDIR to a folder that it sees, \
                 or choose another Blender (--blender)",
                blender.path().display(),
                folder.path().display()
            )));
        }
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

/// False if the Blender has a file system of its own in which there is no such path.
async fn sees(starter: &Handle, blender: &Blender, path: &Path) -> bool {
    match output_of(starter, blender.look_at(path), LOOK_PATIENCE).await {
        Some(Ok(output)) => output.status.code() != Some(UNSEEN),
        _ => true,
    }
}

/// What the program printed and how it ended; `None` if it took longer than `patience` and was
/// killed. A thread of `starter` starts it: a process inherits the priority of the thread that
/// starts it.
async fn output_of(starter: &Handle, command: Command, patience: Duration) -> Option<io::Result<Output>> {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let running = AbortOnDropHandle::new(starter.spawn(async move { timeout(patience, command.output()).await }));
    running.await.map_err(io::Error::from).map_or_else(|error| Some(Err(error)), Result::ok)
}
