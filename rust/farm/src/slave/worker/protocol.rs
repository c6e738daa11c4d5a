//! The worker's protocol in Rust types: JSON lines over a loopback socket. Its description is the head of
//! `netrender_worker.py`.

use netrender_core::{
    job::JobSpec,
    share::{self, Unit},
    slave::{Device, Version},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The number `netrender_worker.py` says in its hello.
pub const PROTOCOL: u32 = 5;
/// Longest line taken from a worker.
pub const MAX_LINE_BYTES: u64 = 4 << 20;

/// A worker's first words.
#[derive(Clone, Debug, Deserialize)]
pub struct Hello {
    /// Proves that it is the process we started.
    pub token: String,
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Blender's version.
    pub blender: Version,
    /// Blender's build.
    #[serde(default)]
    pub build_hash: String,
    /// What it was built with.
    #[serde(default)]
    pub build_options: Vec<String>,
    /// Render engines by Blender id.
    pub engines: Vec<String>,
    /// Whether a frame that was rendered in parts can be denoised here.
    #[serde(default)]
    pub denoises: bool,
    /// What can compute.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// What is asked of a worker.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Ask<'a> {
    /// Open a scene and make it ready.
    Load {
        /// The scene file here.
        blend: &'a str,
        /// The scene file on the artist's machine.
        source: &'a str,
        /// Which scene in it.
        scene: Option<&'a str>,
        /// Which engine.
        engine: Option<&'a str>,
        /// 0: all.
        threads: u32,
        /// The kind of device Cycles computes with.
        device: &'a str,
        /// Whether the scene's own Python may run.
        scripts: bool,
        /// The artist's paths and ours.
        files: &'a BTreeMap<String, String>,
        /// What datablocks hold: library here, raw string, path here, whether something must be there.
        paths: &'a [(String, String, String, bool)],
        /// Where a scene may write.
        scratch: &'a str,
        /// Where the view transform's table shall be.
        view_table: Option<&'a str>,
    },
    /// Render a frame into a file.
    Render {
        /// Which.
        frame: i32,
        /// The multilayer EXR.
        output: &'a str,
        /// Which part of it; none: the whole frame.
        share: Option<Share>,
    },
    /// Denoise, composite and write a frame of which all samples are there.
    Finish {
        /// Which.
        frame: i32,
        /// The multilayer EXR.
        output: &'a str,
        /// What the samples make together.
        passes: &'a [Unfolded],
        /// For the film's header.
        words: &'a BTreeMap<String, String>,
    },
    /// End.
    Quit,
}

/// A part of a Cycles frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Share {
    /// All pixels, some samples.
    Samples {
        /// The first, counted from 0.
        offset: u32,
        /// How many.
        samples: u32,
        /// How many the whole frame has.
        total: u32,
    },
    /// All samples, some lines.
    Lines {
        /// The first, counted from 0 at the top.
        first: u32,
        /// The one after the last.
        end: u32,
        /// How many the whole frame has.
        total: u32,
    },
}

impl Share {
    /// What is to be rendered for a share of a job's frame.
    pub fn of(share: share::Share, spec: &JobSpec) -> Self {
        match &spec.samples {
            Some(split) if split.unit == Unit::Lines => {
                let lines = split.lines(share, spec.height);
                Self::Lines { first: lines.start, end: lines.end, total: spec.height }
            }
            _ => Self::Samples { offset: share.offset, samples: share.samples, total: spec.frame_samples() },
        }
    }
}

/// As in logs.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples { offset, samples, .. } => write!(f, "samples={offset}+{samples}"),
            Self::Lines { first, end, .. } => write!(f, "lines={first}+{}", end - first),
        }
    }
}

/// A pass in a file of 32-bit floats, the bottom row first.
#[derive(Debug, Serialize)]
pub struct Unfolded {
    /// View layer.
    pub layer: String,
    /// Which eye or camera, if there are several.
    pub view: Option<String>,
    /// Its name.
    pub pass: String,
    /// A letter each.
    pub channels: String,
    /// Where it is.
    pub file: PathBuf,
}

/// A numbered [`Ask`].
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// Its number.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask<'a>,
}

/// Any line of a worker.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// Which request it answers.
    #[serde(default)]
    pub id: Option<u64>,
    /// Only first.
    #[serde(default)]
    pub hello: Option<Hello>,
    /// Unasked.
    #[serde(default)]
    pub progress: Option<ProgressLine>,
    /// Done.
    #[serde(default)]
    pub ok: Option<serde_json::Value>,
    /// Not done.
    #[serde(default)]
    pub error: Option<Complaint>,
}

/// How far a frame is.
#[derive(Debug, Deserialize)]
pub struct ProgressLine {
    /// In Blender's words.
    pub text: String,
}

/// A request the worker could not meet. It goes on.
#[derive(Clone, Debug, Deserialize)]
pub struct Complaint {
    /// A stable word.
    pub kind: String,
    /// For people.
    pub message: String,
}

/// What a load found.
#[derive(Clone, Debug, Deserialize)]
pub struct Loaded {
    /// The view transform's table, if it could be made.
    #[serde(default)]
    pub view_table: Option<String>,
}

/// A rendered frame.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Rendered {
    /// Blender's time for it.
    pub seconds: f64,
}
