//! An agent on a machine and what it can do.

use crate::{
    edit::Edits,
    ids::{SlaveId, Timestamp},
    settings::{SlaveSetting, SlaveSettings},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// Blender's version: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Version(pub [u16; 3]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Something that computes pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Device {
    /// `CPU`, `CUDA`, `OPTIX`, `HIP`, `METAL`, `ONEAPI`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As its maker calls it.
    pub name: String,
}

/// What draws a slave's pixels. Another patch, another build or another kind of device may draw them a little otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Build {
    /// Blender's version.
    pub blender: Version,
    /// Its build hash; empty when it has none.
    #[serde(default)]
    pub hash: String,
    /// The kind of device.
    pub device: String,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blender, hash, device } = self;
        let hash = if hash.is_empty() { String::new() } else { format!(" ({hash})") };
        write!(f, "Blender {blender}{hash} on {device}")
    }
}

/// What a slave says of itself when it registers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveInfo {
    /// The machine's name.
    pub host: String,
    /// For example `linux x86_64`.
    pub os: String,
    /// The Blender it renders with.
    pub blender: Version,
    /// Blender's build hash.
    #[serde(default)]
    pub build_hash: String,
    /// What that Blender was built with, for example `openimagedenoise`.
    #[serde(default)]
    pub build_options: BTreeSet<String>,
    /// Render engines by Blender id.
    pub engines: BTreeSet<String>,
    /// Whether its Blender can denoise a frame that was rendered in parts.
    #[serde(default)]
    pub denoises: bool,
    /// What can compute.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// The kind of those it renders with.
    #[serde(default = "SlaveInfo::default_device")]
    pub device: String,
    /// Threads it renders with.
    pub threads: u32,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// Words its owner gave it.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// How long a share of a frame shall take it, in seconds: a crash costs no more, and the master's picture is no older.
    #[serde(default = "SlaveInfo::default_upload_interval_s")]
    pub upload_interval_s: u32,
    /// How long a Blender may do nothing before it is killed; 0: for ever. None: it did not say.
    #[serde(default)]
    pub hang_timeout_s: Option<f64>,
    /// How much the files kept for jobs may weigh. None: it did not say.
    #[serde(default)]
    pub cache_limit_gb: Option<f64>,
}

/// What [`SlaveInfo::upload_interval_s`] is unless the owner says otherwise.
pub const UPLOAD_INTERVAL_S: u32 = 8;

impl SlaveInfo {
    /// What draws its pixels.
    pub fn build(&self) -> Build {
        Build { blender: self.blender, hash: self.build_hash.clone(), device: self.device.clone() }
    }

    fn default_device() -> String {
        "CPU".into()
    }

    const fn default_upload_interval_s() -> u32 {
        UPLOAD_INTERVAL_S
    }
}

/// Whether a slave can be counted on.
///
/// ```text
///   register ──▶ Ready ──silent too long──▶ Lost
///                ▲  │ └──says goodbye─────▶ Gone
///                └──┴───── comes back ───────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SlaveState {
    /// Heard of lately.
    Ready,
    /// Silent for longer than the slave timeout; its leases went back.
    Lost,
    /// Stopped by its owner.
    Gone,
}

/// What somebody wants of a slave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// To render.
    #[default]
    Work,
    /// To get nothing new; what it has it goes on with.
    Pause,
    /// To end what it has, and then itself.
    Drain,
    /// To give back what it has and end at once.
    Stop,
}

impl Duty {
    /// A pause outlives the slave; an order to end is met with its end.
    pub(crate) fn of_the_next_start(self) -> Self {
        if self == Self::Pause { self } else { Self::Work }
    }
}

/// A slave this master knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slave {
    /// Its number.
    pub id: SlaveId,
    /// Made by the slave, kept in its folder: how it is known again.
    pub key: String,
    /// As it was started; see [`Slave::name`].
    #[serde(rename = "name")]
    pub own_name: String,
    /// What it can do, and what it was started with.
    pub info: SlaveInfo,
    /// What people set of it.
    #[serde(default)]
    pub set: SlaveSettings,
    /// How often they did.
    #[serde(default)]
    pub edits: Edits<SlaveSetting>,
    /// Whether it can be counted on.
    pub state: SlaveState,
    /// What is wanted of it.
    #[serde(default)]
    pub duty: Duty,
    /// When it first came.
    pub joined: Timestamp,
}
