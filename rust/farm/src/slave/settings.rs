//! What the slave goes by: what it was started with and, over that, what people set of it at the master.

use super::{Shared, cache_limit};
use netrender_core::settings::{SettingsUpdate, SlaveReport, SlaveSettings};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// What it was started with, and what people set.
#[derive(Debug)]
pub struct Settings {
    /// All of them.
    own: SlaveSettings,
    /// As it was started; 0 for all there are.
    own_threads: u32,
    told: watch::Sender<Told>,
    hang_timeout: watch::Sender<Duration>,
}

#[derive(Debug, Default)]
struct Told {
    /// Whose people set them.
    farm: Option<Arc<str>>,
    update: SettingsUpdate,
    /// With which the scene in the worker is rendered.
    threads_in_use: Option<u32>,
}

impl Settings {
    /// `own`: all of them; `threads`: as asked for at the start, 0 for all there are.
    pub fn new(own: SlaveSettings, threads: u32) -> Self {
        let hang_timeout = watch::Sender::new(hang_timeout(&own).unwrap_or_default());
        Self { own, own_threads: threads, told: watch::Sender::default(), hang_timeout }
    }

    /// The last edit that is known here.
    pub fn edits(&self) -> u32 {
        self.told.borrow().update.edits
    }

    /// How long a Blender may do nothing.
    pub fn hang_timeout(&self) -> watch::Receiver<Duration> {
        self.hang_timeout.subscribe()
    }

    /// A scene is loaded: what the worker is to render it with, 0 for all threads there are.
    pub fn threads_from_now(&self) -> u32 {
        let mut threads = 0;
        self.told.send_modify(|told| {
            threads = told.update.settings.threads.unwrap_or(self.own_threads);
            told.threads_in_use = told.wanted(&self.own).threads;
        });
        threads
    }

    /// Everything as it is in use.
    fn in_use(&self) -> SlaveSettings {
        let told = self.told.borrow();
        let wanted = told.wanted(&self.own);
        SlaveSettings { threads: told.threads_in_use.or(wanted.threads), ..wanted }
    }

    /// Resolves when anything in use may be different from what was seen last.
    pub fn changes(&self) -> impl Future<Output = ()> + use<> {
        let mut told = self.told.subscribe();
        async move {
            // Nobody is left who could change them.
            if told.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }
}

impl Told {
    fn wanted(&self, own: &SlaveSettings) -> SlaveSettings {
        self.update.settings.over(own)
    }
}

impl Shared {
    /// What another farm's people set means nothing here.
    pub fn settings_of(&self, farm: &Arc<str>) {
        let other = self.settings.told.borrow().farm.as_ref().is_some_and(|known| known != farm);
        if other {
            self.set(farm, SettingsUpdate::default());
        }
    }

    /// Goes by what people set, at once; with as many threads from the next scene on.
    pub fn set(&self, farm: &Arc<str>, update: SettingsUpdate) {
        self.settings.told.send_modify(|told| (told.farm, told.update) = (Some(Arc::clone(farm)), update));
        let now = self.settings.in_use();
        tracing::info!(target: "netrender::slave", edits = self.settings.edits(), settings = ?now, "set from the master");
        if let Some(name) = now.name.clone() {
            self.snapshot.send_modify(|shown| shown.name = name);
        }
        if let Some(timeout) = hang_timeout(&now) {
            self.settings.hang_timeout.send_if_modified(|known| std::mem::replace(known, timeout) != timeout);
        }
        if let Some(bytes) = now.cache_limit_gb.and_then(cache_limit) {
            let cache = Arc::clone(&self.folder.cache);
            // Files that are too many now go; that may take a moment.
            tokio::task::spawn_blocking(move || cache.limit(bytes));
        }
    }

    /// What the master is told of it.
    pub fn report(&self) -> SlaveReport {
        SlaveReport { in_use: self.settings.in_use(), cache_bytes: self.folder.cache.total() }
    }
}

fn hang_timeout(settings: &SlaveSettings) -> Option<Duration> {
    settings.hang_timeout_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
