//! Start and end of a slave.

use super::{
    agent,
    connection::Connection,
    device,
    error::SlaveError,
    files::JobFiles,
    folder::Folder,
    hand_in,
    leases::Leases,
    log_stream::LogStream,
    options::SlaveOptions,
    render::RenderLoop,
    settings::{Settings, bytes_of_gigabytes},
    shared::Shared,
    snapshot::{SlaveSnapshot, SlaveStatus},
    spool::Saved,
    worker::{Launch, Worker, protocol::Hello},
};
use netrender_core::model::{build::DeviceKind, slave::SlaveInfo, slave_settings::SlaveSettings};
use netrender_net::{api::Api, machine_name};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Upper bound of decoded films in memory.
const DECODING: usize = 2;
/// Time that the parts have to end.
const STOP_WAIT: Duration = Duration::from_millis(1800);

/// A running slave.
pub struct Slave {
    shared: Arc<Shared>,
}

impl Slave {
    /// Opens the data folder, starts a Blender to see what it can do, and begins to look for work.
    /// Needs a runtime with several threads.
    ///
    /// # Errors
    /// If folder, Blender, device or address can't be used. A missing master is no error: the slave
    /// keeps looking.
    pub async fn start(options: SlaveOptions) -> Result<Self, SlaveError> {
        if let Some(address) = &options.master {
            Api::new(address).map_err(SlaveError::Address)?;
        }
        let host = machine_name();
        let own = options.complete_settings(&host);
        let (folder, saved) = Folder::open(&options.data, own.cache_limit_gb.map_or(0, bytes_of_gigabytes))?;
        let failed = |source| SlaveError::Folder { path: options.data.clone(), source };
        let (name, threads) = (own.name.clone().unwrap_or_default(), options.settings.threads);
        let settings = Settings::new(own, threads);
        let launch = Launch::new(&options.blender, &folder.worker(), options.console, settings.hang_timeout());
        let launch = launch.map_err(failed)?;
        launch.kill_orphans();
        let worker = Worker::start(&launch, None).await?;
        let device = match device::choose(&options.device, &worker.hello.devices) {
            Ok(device) => device,
            Err(error) => {
                worker.kill().await;
                return Err(error);
            }
        };
        let info = describe(settings.own(), host, &worker.hello, &device);
        let shown = SlaveSnapshot {
            state: SlaveStatus::Looking,
            message: "looks for a master".into(),
            name: name.clone(),
            blender: info.blender.to_string(),
            ..SlaveSnapshot::default()
        };
        let stop = CancellationToken::new();
        let leases = watch::Sender::<Leases>::default();
        let connection = Arc::new(Connection::new(stop.clone()));
        let (cache, lists, jobs) = (Arc::clone(&folder.cache), folder.lists.clone(), folder.jobs());
        let files = Arc::new(JobFiles::new(cache, lists, jobs, Arc::clone(&connection), leases.subscribe()));
        let shared = Arc::new(Shared {
            options,
            name,
            settings,
            folder,
            launch,
            device,
            can_draw: watch::Sender::default(),
            leases,
            log: LogStream::default(),
            connection,
            snapshot: watch::Sender::new(shown),
            files,
            decoding: Semaphore::new(DECODING),
            stop,
            parts: Mutex::default(),
        });
        for saved in saved {
            hand_in_again(&shared, saved);
        }
        shared.spawn("rendering", RenderLoop::new(Arc::clone(&shared), worker).run());
        shared.spawn_until_stop("agent", agent::run(Arc::clone(&shared), info));
        shared.spawn_until_stop("heartbeat", agent::beat(Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// Kind of device it renders with, in Blender's words.
    pub fn device(&self) -> &DeviceKind {
        &self.shared.device
    }

    /// Returns the current state. Cheap: never waits.
    pub fn snapshot(&self) -> SlaveSnapshot {
        self.shared.snapshot.borrow().clone()
    }

    /// True once the slave has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.shared.snapshot.borrow().state.has_ended()
    }

    /// Waits until the slave ends by itself: stopped at the master, or by a fault of its own, which
    /// is returned in words.
    pub async fn ended(&self) -> Result<(), String> {
        let mut shown = self.shared.snapshot.subscribe();
        match shown.wait_for(|shown| shown.state.has_ended()).await {
            Ok(shown) if shown.state == SlaveStatus::Failed => Err(shown.message.clone()),
            _ => Ok(()),
        }
    }

    /// Ends rendering, tells the master and leaves no Blender behind; takes at most about two
    /// seconds. Films that are not handed in yet wait in the data folder for the next start.
    pub async fn stop(self) {
        let shared = &self.shared;
        shared.stop.cancel();
        let mut parts = std::mem::take(&mut *shared.parts.lock());
        let ended = timeout(STOP_WAIT, async { while parts.join_next().await.is_some() {} });
        let (ended, ()) = tokio::join!(ended, shared.leave());
        if ended.is_err() {
            tracing::warn!("a part of the slave did not end in time");
        }
        if let Err(error) = shared.folder.spool.sweep() {
            tracing::warn!(%error, "broken renders stay in the spool");
        }
        if shared.options.clear_on_exit {
            shared.folder.clear();
        }
        shared.folder.release();
        shared.snapshot.send_modify(|shown| {
            if shown.state != SlaveStatus::Failed {
                shown.state = SlaveStatus::Stopped;
                shown.message = "stopped".into();
            }
            (shown.job, shown.frame) = (None, None);
        });
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        // The parts end by themselves then, and the workers with them.
        self.shared.stop.cancel();
    }
}

/// Hands in a film that an earlier run of this slave rendered.
fn hand_in_again(shared: &Arc<Shared>, saved: Saved) {
    let (task, again) = (saved.task.clone(), Arc::clone(shared));
    tracing::info!(job = %task.key.job, frame = %task.frame, "rendered before, to be handed in");
    shared.leases.send_modify(|leases| leases.recover(&task));
    shared.spawn_until_stop("hand-in", hand_in::hand_in(again, task, saved.into(), None));
}

/// Facts about this machine for the master.
fn describe(own: &SlaveSettings, host: String, hello: &Hello, device: &DeviceKind) -> SlaveInfo {
    let memory = sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
    SlaveInfo {
        host,
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        blender: hello.blender,
        build_hash: hello.build_hash.clone(),
        build_options: hello.build_options.iter().cloned().collect(),
        engines: hello.engines.iter().cloned().collect(),
        cannot_draw: false,
        denoises: hello.denoises,
        devices: hello.devices.clone(),
        device: device.clone(),
        threads: own.threads.unwrap_or(1),
        memory_bytes: sysinfo::System::new_with_specifics(memory).map_or(0, |system| system.total_memory()),
        tags: own.tags.clone().unwrap_or_default(),
        upload_interval_s: own.upload_interval_s.unwrap_or_default(),
        hang_timeout_s: own.hang_timeout_s,
        cache_limit_gb: own.cache_limit_gb,
    }
}
