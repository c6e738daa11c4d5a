//! The worker's protocol as Rust types: JSON lines over a loopback socket. The head of
//! `netrender_worker.py` describes it.

use netrender_core::model::{
    build::{Device, DeviceKind, Version},
    cut::{Span, Unit},
    result::FailureKind,
    spec::JobSpec,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Version of the protocol, as in the greeting of `netrender_worker.py`.
pub const PROTOCOL: u32 = 5;
/// Upper bound of a line from a worker.
pub const MAX_LINE_BYTES: u64 = 4 << 20;

/// Greeting of a worker: its first line.
#[derive(Clone, Debug, Deserialize)]
pub struct Hello {
    /// Proves that it is the process that the slave started.
    pub token: String,
    /// [`PROTOCOL`] of the worker.
    pub protocol: u32,
    /// Version of Blender.
    pub blender: Version,
    /// Commit that Blender was built from.
    #[serde(default)]
    pub build_hash: String,
    /// Options that Blender was built with.
    #[serde(default)]
    pub build_options: Vec<String>,
    /// Blender ids of the render engines.
    pub engines: Vec<String>,
    /// True if a frame that was rendered in parts can be denoised here.
    #[serde(default)]
    pub denoises: bool,
    /// Devices that can render.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// Request to a worker.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Ask<'a> {
    /// Open a scene and prepare it for rendering.
    Load {
        /// Path of the scene file here.
        blend: &'a str,
        /// Path of the scene file on the artist's machine.
        source: &'a str,
        /// Name of the scene to render.
        scene: Option<&'a str>,
        /// Blender id of the engine.
        engine: Option<&'a str>,
        /// Number of threads, 0 for all.
        threads: u32,
        /// Kind of device that Cycles renders with.
        device: &'a DeviceKind,
        /// Allows the scene's own Python to run.
        scripts: bool,
        /// Path on the artist's machine → path here, for every file.
        files: &'a BTreeMap<String, String>,
        /// Every path that a datablock holds: library here, raw string, path here, whether a file
        /// must be there.
        paths: &'a [(String, String, String, bool)],
        /// Folder that the scene may write to.
        scratch: &'a str,
        /// File to write the view transform's table to.
        view_table: Option<&'a str>,
    },
    /// Open a scene, play its simulations from their start to a frame, and save it with their
    /// caches.
    Bake {
        /// Path of the scene file here.
        blend: &'a str,
        /// Path of the scene file on the artist's machine.
        source: &'a str,
        /// Name of the scene to render.
        scene: Option<&'a str>,
        /// Number of threads, 0 for all.
        threads: u32,
        /// Allows the scene's own Python to run.
        scripts: bool,
        /// As in [`Self::Load`].
        files: &'a BTreeMap<String, String>,
        /// As in [`Self::Load`].
        paths: &'a [(String, String, String, bool)],
        /// Folder that the scene may write to.
        scratch: &'a str,
        /// Last frame that is rendered.
        until: i32,
        /// Path of the .blend to write.
        output: &'a str,
    },
    /// Render a frame into a file.
    Render {
        /// Number of the frame.
        frame: i32,
        /// Path of the multilayer EXR to write.
        output: &'a str,
        /// Part of the frame to render; `None` means all of it.
        share: Option<Part>,
        /// Plays the animation up to the frame first, so that simulations are as far.
        play: bool,
    },
    /// Denoise, composite and write a frame whose samples are complete.
    Finish {
        /// Number of the frame.
        frame: i32,
        /// Path of the multilayer EXR to write.
        output: &'a str,
        /// Passes of the merged samples.
        passes: &'a [Unfolded],
        /// Texts for the film's header.
        words: &'a BTreeMap<String, String>,
    },
    /// Draw a picture of a few pixels. A Blender that can't draw dies of it.
    Draw,
    /// End the process.
    Quit,
}

/// Part of a Cycles frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Part {
    /// Some samples of all pixels.
    Samples {
        /// First sample, counted from 0.
        offset: u32,
        /// Number of samples.
        samples: u32,
        /// Number in the whole frame.
        total: u32,
    },
    /// All samples of some lines.
    Lines {
        /// First line, counted from 0 at the top.
        first: u32,
        /// Line after the last one.
        end: u32,
        /// Number in the whole frame.
        total: u32,
    },
}

impl Part {
    /// Converts the share of a lease.
    pub fn of(share: Span, spec: &JobSpec) -> Self {
        match &spec.cut {
            Some(plan) if plan.unit == Unit::Lines => {
                let lines = plan.lines(share, spec.height);
                Self::Lines { first: lines.start, end: lines.end, total: spec.height }
            }
            _ => Self::Samples { offset: share.start, samples: share.count, total: spec.frame_units() },
        }
    }
}

/// Form used in logs.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples { offset, samples, .. } => write!(f, "samples={offset}+{samples}"),
            Self::Lines { first, end, .. } => write!(f, "lines={first}+{}", end - first),
        }
    }
}

/// A pass as a file of 32-bit floats, the bottom row first.
#[derive(Debug, Serialize)]
pub struct Unfolded {
    /// Name of the view layer.
    pub layer: String,
    /// Name of the view (eye or camera) if there are several.
    pub view: Option<String>,
    /// Name of the pass.
    pub pass: String,
    /// One letter for each channel.
    pub channels: String,
    /// Path of the file.
    pub file: PathBuf,
}

/// An [`Ask`] with its number.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// Number of the request, unique for the process.
    pub id: u64,
    /// The request itself.
    #[serde(flatten)]
    pub ask: Ask<'a>,
}

/// Any line from a worker.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// Number of the request that it answers.
    #[serde(default)]
    pub id: Option<u64>,
    /// Greeting, in the first line only.
    #[serde(default)]
    pub hello: Option<Hello>,
    /// Progress, sent unasked.
    #[serde(default)]
    pub progress: Option<ProgressLine>,
    /// Result of a request that succeeded.
    #[serde(default)]
    pub ok: Option<serde_json::Value>,
    /// Reason why a request failed.
    #[serde(default)]
    pub error: Option<Complaint>,
}

/// Progress of a frame.
#[derive(Debug, Deserialize)]
pub struct ProgressLine {
    /// Progress in Blender's words.
    pub text: String,
}

/// Reason why a request failed. The worker continues.
#[derive(Clone, Debug, Deserialize)]
pub struct Complaint {
    /// Cause, for programs.
    pub kind: FailureKind,
    /// Message for people.
    pub message: String,
}

/// Result of [`Ask::Load`].
#[derive(Clone, Debug, Deserialize)]
pub struct Loaded {
    /// Path of the view transform's table, if it could be made.
    #[serde(default)]
    pub view_table: Option<String>,
}

/// Result of [`Ask::Render`] and [`Ask::Finish`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Rendered {
    /// Rendering time.
    pub seconds: f64,
}
