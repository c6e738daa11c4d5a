//! Blenders and devices, on which a frame's pixels depend.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use strum::{Display, EnumString};

/// Version of Blender: major, minor, patch.
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

/// Kind of device, as Cycles names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Display, EnumString)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE", ascii_case_insensitive)]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA.
    Cuda,
    /// NVIDIA with hardware ray tracing.
    Optix,
    /// AMD.
    Hip,
    /// Apple.
    Metal,
    /// Intel.
    Oneapi,
    /// A kind of a newer Blender.
    #[serde(untagged)]
    #[strum(default)]
    Other(String),
}

/// Device that a slave's owner wants to render with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU if Blender can use one, else the processor.
    #[default]
    Auto,
    /// A device of this kind, or none.
    Kind(DeviceKind),
}

impl DeviceChoice {
    /// Names for people; any case is read.
    pub const NAMES: [&str; 7] = ["auto", "cpu", "cuda", "optix", "hip", "metal", "oneapi"];
}

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(name: &str) -> Result<Self, UnknownDevice> {
        let name = name.to_lowercase();
        match name.as_str() {
            "auto" => Ok(Self::Auto),
            known if Self::NAMES.contains(&known) => Ok(Self::Kind(known.parse().unwrap_or_default())),
            _ => Err(UnknownDevice(name)),
        }
    }
}

/// A name that is none of [`DeviceChoice::NAMES`].
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no device {0:?}: choose one of {names}", names = DeviceChoice::NAMES.join(", "))]
pub struct UnknownDevice(String);

/// Device of a slave that Cycles can render with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Device {
    /// Interface by which Cycles uses it.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// The maker's name for the device.
    pub name: String,
}

/// A Blender with the kind of device that it renders on. Another patch, build or kind of device may
/// draw slightly different pixels, so one frame is drawn by one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Build {
    /// Version of Blender.
    pub blender: Version,
    /// Blender's build hash; empty if it has none.
    #[serde(default)]
    pub hash: String,
    /// Kind of the device.
    pub device: DeviceKind,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blender, hash, device } = self;
        let hash = if hash.is_empty() { String::new() } else { format!(" ({hash})") };
        write!(f, "Blender {blender}{hash} on {device}")
    }
}
