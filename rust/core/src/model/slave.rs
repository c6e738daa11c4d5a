//! A slave: the agent on a machine, its abilities, and what is wanted of it.

use crate::model::{
    build::{Build, Device, DeviceKind, Version},
    edits::Edits,
    ids::{SlaveId, Timestamp},
    slave_settings::{SettingsUpdate, SlaveEdit, SlaveReport, SlaveSetting, SlaveSettings},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Abilities and start-up options of a slave, as it registers with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveInfo {
    /// Name of the machine.
    pub host: String,
    /// Operating system and processor, for example `linux x86_64`.
    pub os: String,
    /// Version of the slave's Blender.
    pub blender: Version,
    /// Build hash of the slave's Blender.
    #[serde(default)]
    pub build_hash: String,
    /// Options that Blender was built with, for example `openimagedenoise`.
    #[serde(default)]
    pub build_options: BTreeSet<String>,
    /// Blender's ids of the render engines it has.
    pub engines: BTreeSet<String>,
    /// True if the slave's Blender was tried and can't draw (EEVEE, Workbench, Grease Pencil):
    /// there is no display, and no software that draws without one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cannot_draw: bool,
    /// True if the slave's Blender can denoise a frame that was rendered in parts.
    #[serde(default)]
    pub denoises: bool,
    /// Devices that the machine has.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Kind of the devices that the slave renders with.
    #[serde(default)]
    pub device: DeviceKind,
    /// Number of threads that the slave renders with.
    pub threads: u32,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// Tags that the slave's owner gave it.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Time that a share of a frame may take, in seconds: a crash costs no more, and the master's
    /// picture is no older.
    #[serde(default = "SlaveInfo::default_upload_interval_s")]
    pub upload_interval_s: u32,
    /// Time after which a Blender that does nothing is killed, in seconds; 0 if never. `None`: an
    /// older slave did not say.
    #[serde(default)]
    pub hang_timeout_s: Option<f64>,
    /// Size that the files kept for jobs may have. `None`: an older slave did not say.
    #[serde(default)]
    pub cache_limit_gb: Option<f64>,
}

impl SlaveInfo {
    /// The build that draws the slave's pixels.
    pub fn build(&self) -> Build {
        Build { blender: self.blender, hash: self.build_hash.clone(), device: self.device.clone() }
    }

    fn default_upload_interval_s() -> u32 {
        SlaveSettings::defaults().upload_interval_s.unwrap_or_default()
    }
}

/// State of the connection to a slave.
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
    /// Gives signs of life.
    Ready,
    /// Silent for longer than the slave timeout; its leases have ended.
    Lost,
    /// Signed off.
    Gone,
}

/// Order that people gave a slave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// Render.
    #[default]
    Work,
    /// Get nothing new, and finish what it holds.
    Pause,
    /// Finish what it holds, then end.
    Drain,
    /// Give back what it holds and end at once.
    Stop,
}

impl Duty {
    /// The duty of the slave's next run: a pause outlives the process, an order to end is fulfilled
    /// by its end.
    pub(crate) fn of_the_next_start(self) -> Self {
        if self == Self::Pause { self } else { Self::Work }
    }
}

/// A slave that this master knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slave {
    /// Number of the slave.
    pub id: SlaveId,
    /// Key by which the slave is recognised when it comes back. The slave makes it and keeps it in
    /// its folder.
    pub key: String,
    /// Name that the slave was started with; [`Slave::name`] is the effective one.
    #[serde(rename = "name")]
    pub own_name: String,
    /// Abilities and start-up options.
    pub info: SlaveInfo,
    /// Remote settings, which override the start-up options until they are cleared.
    #[serde(default)]
    pub set: SlaveSettings,
    /// Revision of the remote settings.
    #[serde(default)]
    pub edits: Edits<SlaveSetting>,
    /// State of the connection.
    pub state: SlaveState,
    /// Order that people gave it.
    #[serde(default)]
    pub duty: Duty,
    /// Time of the slave's first registration.
    pub joined: Timestamp,
}

impl Slave {
    /// The start-up options as settings.
    pub fn own(&self) -> SlaveSettings {
        SlaveSettings {
            name: Some(self.own_name.clone()),
            tags: Some(self.info.tags.clone()),
            threads: Some(self.info.threads),
            hang_timeout_s: self.info.hang_timeout_s,
            cache_limit_gb: self.info.cache_limit_gb,
            upload_interval_s: Some(self.info.upload_interval_s),
        }
    }

    /// Effective name.
    pub fn name(&self) -> &str {
        self.set.name.as_ref().unwrap_or(&self.own_name)
    }

    /// Effective tags, which jobs can ask for.
    pub fn tags(&self) -> &BTreeSet<String> {
        self.set.tags.as_ref().unwrap_or(&self.info.tags)
    }

    /// Effective time that a share of a frame may take, in seconds.
    pub fn upload_interval_s(&self) -> u32 {
        self.set.upload_interval_s.unwrap_or(self.info.upload_interval_s)
    }

    /// The remote settings as they are sent to the slave.
    pub fn update(&self) -> SettingsUpdate {
        SettingsUpdate { edits: self.edits.count, settings: self.set.clone() }
    }

    /// The settings whose effective value is not in use yet, by the slave's own report. Without a
    /// report: all remote settings.
    pub fn pending(&self, report: Option<&SlaveReport>) -> Vec<SlaveSetting> {
        match report {
            _ if self.edits.count == 0 => vec![],
            Some(report) => self.set.over(&self.own()).differing(&report.in_use),
            None => self.set.differing(&SlaveSettings::default()),
        }
    }

    /// Applies an edit of the remote settings.
    pub(crate) fn edit(&mut self, edit: &SlaveEdit) {
        self.edits.note(edit.settings());
        edit.apply_to(&mut self.set);
    }
}
