//! Start-up options of a slave.

use netrender_core::model::{build::DeviceChoice, slave_settings::SlaveSettings};
use std::{collections::BTreeSet, path::PathBuf};

/// Start-up options of a slave.
#[derive(Clone, Debug, Default)]
pub struct SlaveOptions {
    /// Data folder. Only one slave may use it at a time.
    pub data: PathBuf,
    /// A Blender, or a Python that has the `bpy` module.
    pub blender: PathBuf,
    /// Address of the master; `None` takes the first one that is heard on the network.
    pub master: Option<String>,
    /// Device to render with.
    pub device: DeviceChoice,
    /// Copies Blender's output to standard error.
    pub console: bool,
    /// Removes jobs' files when the slave stops. Films that are not handed in yet stay.
    pub clear_on_exit: bool,
    /// Settings that the owner chose, within their ranges. The master can override them.
    pub settings: SlaveSettings,
}

impl SlaveOptions {
    /// The settings, complete: where the owner chose none, those of the machine `host` and the
    /// defaults.
    pub(crate) fn complete_settings(&self, host: &str) -> SlaveSettings {
        let processors = std::thread::available_parallelism().map_or(1, |all| u32::try_from(all.get()).unwrap_or(1));
        let machine = SlaveSettings {
            name: Some(host.to_owned()),
            tags: Some(BTreeSet::new()),
            threads: Some(processors),
            ..SlaveSettings::defaults()
        };
        self.settings.over(&machine)
    }
}
