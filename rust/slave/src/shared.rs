//! State that the parts of a slave share.

use super::{
    connection::Connection,
    files::JobFiles,
    folder::Folder,
    leases::Leases,
    log_stream::LogStream,
    options::SlaveOptions,
    settings::{Settings, bytes_of_gigabytes},
    snapshot::{SlaveSnapshot, SlaveStatus},
    worker::Launch,
};
use futures_util::FutureExt;
use netrender_core::model::{
    build::DeviceKind,
    slave_settings::{SettingsUpdate, SlaveReport},
};
use parking_lot::Mutex;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Time that the master has to take note of a leaving slave.
const LEAVE_WAIT: Duration = Duration::from_secs(1);

/// State that the parts of a slave share.
pub struct Shared {
    /// Start-up options.
    pub options: SlaveOptions,
    /// Name from the start-up options or the machine.
    pub name: String,
    /// Effective settings.
    pub settings: Settings,
    /// Data folder.
    pub folder: Folder,
    /// Everything needed to start a worker.
    pub launch: Launch,
    /// Kind of device to render with.
    pub device: DeviceKind,
    /// True if the Blender can draw; `None` until a scene needs it.
    pub can_draw: watch::Sender<Option<bool>>,
    /// Leases that the slave holds.
    pub leases: watch::Sender<Leases>,
    /// Log of the frame that is being rendered.
    pub log: LogStream,
    /// Connection to the master.
    pub connection: Arc<Connection>,
    /// State as shown to people.
    pub snapshot: watch::Sender<SlaveSnapshot>,
    /// Jobs' files on this machine.
    pub files: Arc<JobFiles>,
    /// Bounds the number of decoded films in memory.
    pub decoding: Semaphore,
    /// Cancelled when the slave stops.
    pub stop: CancellationToken,
    /// Running parts of the slave.
    pub parts: Mutex<JoinSet<()>>,
}

impl Shared {
    /// Runs a part of the slave. A panic in it ends the slave, with a message.
    pub fn spawn(self: &Arc<Self>, part: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(self);
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
                shared.fail(&format!("a fault in netrender ({part}): {words}")).await;
            }
        };
        let mut parts = self.parts.lock();
        // Ended parts are taken out, or they would pile up over weeks.
        while parts.try_join_next().is_some() {}
        parts.spawn(guarded);
    }

    /// Runs a part of the slave until it ends or the slave stops.
    pub fn spawn_until_stop(self: &Arc<Self>, part: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.spawn(part, async move {
            stop.run_until_cancelled(work).await;
        });
    }

    /// Ends the slave because of a fault.
    async fn fail(&self, why: &str) {
        tracing::error!(why, "the slave ends");
        self.snapshot.send_modify(|shown| {
            shown.state = SlaveStatus::Failed;
            shown.message = why.to_owned();
            shown.error = Some(why.to_owned());
            (shown.job, shown.frame) = (None, None);
        });
        self.stop.cancel();
        self.leave().await;
    }

    /// Ends the slave because somebody stopped it at the master.
    pub async fn stop_as_asked(&self) {
        tracing::info!("stopped from the master");
        self.leave().await;
        self.snapshot.send_modify(|shown| {
            shown.state = SlaveStatus::Stopped;
            shown.message = "stopped from the master".into();
            (shown.job, shown.frame) = (None, None);
        });
        self.stop.cancel();
    }

    /// Tells the master that the slave leaves.
    pub async fn leave(&self) {
        if let Some(link) = self.connection.current() {
            match timeout(LEAVE_WAIT, link.api.leave(link.slave)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the master was not told"),
                Err(_) => tracing::warn!("the master did not hear that the slave leaves"),
            }
        }
    }

    /// Drops the settings that were made at another farm than `farm`.
    pub fn drop_settings_of_others(&self, farm: &Arc<str>) {
        if self.settings.are_of_another(farm) {
            self.apply(farm, SettingsUpdate::default());
        }
    }

    /// Puts settings from the master into effect: at once, except for threads, which apply from the
    /// next scene on.
    pub fn apply(&self, farm: &Arc<str>, update: SettingsUpdate) {
        self.settings.replace(farm, update);
        let now = self.settings.in_use();
        tracing::info!(edits = self.settings.edits(), settings = ?now, "set from the master");
        if let Some(name) = now.name.clone() {
            self.snapshot.send_modify(|shown| shown.name = name);
        }
        if let Some(bytes) = now.cache_limit_gb.map(bytes_of_gigabytes) {
            let cache = Arc::clone(&self.folder.cache);
            // Removing files takes a moment.
            tokio::task::spawn_blocking(move || cache.limit(bytes));
        }
    }

    /// The part of a heartbeat about settings and disk use.
    pub fn report(&self) -> SlaveReport {
        SlaveReport { in_use: self.settings.in_use(), cache_bytes: self.folder.cache.total() }
    }
}
