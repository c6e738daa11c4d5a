//! Asking a background Blender what a .blend is and which files it needs. The script is the add-on's own tracer.

use super::ClientError;
use crate::blender::Blender;
use serde::Deserialize;
use std::{path::Path, process::Stdio, time::Duration};

const TRACER: &str = include_str!("../../../../addon/netrender_rs/trace.py");
/// Opening a scene takes minutes at the most; a Blender that says nothing for longer hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// A scene as the tracer describes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// Major, minor.
    pub blender: [u16; 2],
    /// The .blend's absolute path.
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
    /// Absolute paths of existing files.
    pub files: Vec<String>,
    /// Files that should exist.
    pub missing: Vec<MissingFile>,
    /// Sentences for the artist.
    #[serde(default)]
    pub warnings: Vec<String>,
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
}

#[derive(Deserialize)]
struct TraceError {
    error: TraceErrorDetail,
}

#[derive(Deserialize)]
struct TraceErrorDetail {
    message: String,
}

/// Opens the .blend in a background Blender, scripts off, and describes it.
pub async fn describe(blender: &Blender, blend: &Path, scene: Option<&str>) -> Result<Description, ClientError> {
    let file = |why: String| ClientError::File { path: blend.to_owned(), why };
    let blend = std::path::absolute(blend).map_err(|error| file(error.to_string()))?;
    if !blend.is_file() {
        return Err(file("there is no such file".into()));
    }
    let folder = tempfile::tempdir().map_err(|error| file(error.to_string()))?;
    let (script, answer) = (folder.path().join("trace.py"), folder.path().join("scene.json"));
    std::fs::write(&script, TRACER).map_err(|error| file(error.to_string()))?;
    let mut arguments = vec![blend.clone().into_os_string(), answer.clone().into_os_string()];
    if let Some(scene) = scene {
        arguments.extend(["--scene".into(), scene.into()]);
    }
    let mut command = tokio::process::Command::from(blender.script(&script, arguments));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let run = tokio::time::timeout(PATIENCE, command.output());
    let output = match run.await {
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
