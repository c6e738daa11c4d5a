//! Effective settings: start-up options, overridden by the settings that people make at the master.

use netrender_core::model::slave_settings::{SettingsUpdate, SlaveSettings};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Start-up options and the master's overrides.
#[derive(Debug)]
pub struct Settings {
    /// Complete settings from the start-up options.
    own: SlaveSettings,
    /// Threads that the owner chose; `None` means all.
    own_threads: Option<u32>,
    remote: watch::Sender<Remote>,
    hang_timeout: watch::Sender<Duration>,
}

#[derive(Debug, Default)]
struct Remote {
    /// Farm that the update came from.
    farm: Option<Arc<str>>,
    update: SettingsUpdate,
    /// Threads that the scene in the worker is rendered with; a change applies from the next scene
    /// on.
    threads_in_use: Option<u32>,
}

impl Remote {
    fn over(&self, own: &SlaveSettings) -> SlaveSettings {
        self.update.settings.over(own)
    }
}

impl Settings {
    /// Settings without overrides. `own` must be complete; `threads` are those that the owner
    /// chose.
    pub fn new(own: SlaveSettings, threads: Option<u32>) -> Self {
        let hang_timeout = watch::Sender::new(hang_timeout(&own).unwrap_or_default());
        Self { own, own_threads: threads, remote: watch::Sender::default(), hang_timeout }
    }

    /// Complete settings from the start-up options.
    pub fn own(&self) -> &SlaveSettings {
        &self.own
    }

    /// Number of the master's last edit that is in effect here.
    pub fn edits(&self) -> u32 {
        self.remote.borrow().update.edits
    }

    /// Follows the time that a Blender may do nothing.
    pub fn hang_timeout(&self) -> watch::Receiver<Duration> {
        self.hang_timeout.subscribe()
    }

    /// Threads for a scene that is about to be loaded, 0 for all. They are reported as in use from
    /// now on.
    pub fn threads_for_scene(&self) -> u32 {
        let mut threads = 0;
        self.remote.send_modify(|remote| {
            threads = remote.update.settings.threads.or(self.own_threads).unwrap_or(0);
            remote.threads_in_use = remote.over(&self.own).threads;
        });
        threads
    }

    /// All settings as they are in use.
    pub fn in_use(&self) -> SlaveSettings {
        let remote = self.remote.borrow();
        let wanted = remote.over(&self.own);
        SlaveSettings { threads: remote.threads_in_use.or(wanted.threads), ..wanted }
    }

    /// True if the overrides in effect were made at another farm.
    pub fn are_of_another(&self, farm: &Arc<str>) -> bool {
        self.remote.borrow().farm.as_ref().is_some_and(|known| known != farm)
    }

    /// Replaces the overrides.
    pub fn replace(&self, farm: &Arc<str>, update: SettingsUpdate) {
        self.remote.send_modify(|remote| (remote.farm, remote.update) = (Some(Arc::clone(farm)), update));
        if let Some(timeout) = hang_timeout(&self.in_use()) {
            self.hang_timeout.send_if_modified(|known| std::mem::replace(known, timeout) != timeout);
        }
    }

    /// Resolves when a setting may have changed since this call.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut remote = self.remote.subscribe();
        async move {
            // Without a sender nothing can change any more.
            if remote.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }
}

/// Bytes of 10^9 in a gigabyte.
pub fn bytes_of_gigabytes(gigabytes: f64) -> u64 {
    (gigabytes * 1e9) as u64
}

fn hang_timeout(settings: &SlaveSettings) -> Option<Duration> {
    settings.hang_timeout_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
