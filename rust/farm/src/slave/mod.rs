//! The slave: an agent on a machine that takes frames from a master, renders them in a warm Blender and hands them in.
//! Here: its options, its state as shown to people, how it starts and stops, and what its parts share. The parts:
//! `agent` talks with the master, `desk` holds the leases, `fetch` brings the files into the `cache`, `assets` lays
//! them out for a job, `render` drives the `worker`, `handin` sends results.

mod agent;
mod assets;
mod backoff;
mod cache;
mod desk;
mod device;
mod fetch;
mod folder;
mod handin;
mod render;
mod settings;
mod spool;
mod tail;
mod worker;

use crate::api::{Api, ApiError};
use assets::Assets;
use desk::Desk;
use folder::Folder;
use futures_util::{FutureExt, future::BoxFuture};
pub use netrender_core::slave::UPLOAD_INTERVAL_S;
use netrender_core::{ids::SlaveId, settings::SlaveSettings, slave::SlaveInfo};
use serde::Serialize;
use settings::Settings;
use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tail::Tail;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use worker::{Launch, StartError, Worker, protocol::Hello};

/// Decoded films in memory at the same time.
const DECODING: usize = 2;
/// How long a master may take to hear that the slave leaves.
const LEAVE_WAIT: Duration = Duration::from_secs(1);
/// How long the parts may take to end.
const STOP_WAIT: Duration = Duration::from_millis(1800);

/// How a slave shall be.
#[derive(Clone, Debug)]
pub struct SlaveOptions {
    /// Its folder, for itself alone.
    pub data: PathBuf,
    /// A Blender, or a Python that has `bpy`.
    pub blender: PathBuf,
    /// The master's address; None: whichever is found.
    pub master: Option<String>,
    /// As shown in lists; empty: the machine's name.
    pub name: String,
    /// To render with; 0: all.
    pub threads: u32,
    /// `auto`, `cpu`, `cuda`, `optix`, `hip`, `metal` or `oneapi`.
    pub device: String,
    /// Words jobs can ask for.
    pub tags: BTreeSet<String>,
    /// Whether what Blender prints is shown on standard error.
    pub console: bool,
    /// How much the files kept for jobs may weigh; a job in work may need more.
    pub cache_limit_bytes: u64,
    /// How long a Blender may print nothing and use no processor time before it is killed and the frame tried again;
    /// zero: for ever.
    pub hang_timeout: Duration,
    /// How long a share of a frame shall take, so that a crash costs no more.
    pub upload_interval_s: u32,
    /// Whether jobs' files are removed when the slave stops; frames not handed in yet stay.
    pub clear_on_exit: bool,
}

/// [`SlaveOptions::hang_timeout`] unless told otherwise.
pub const DEFAULT_HANG_TIMEOUT_S: f64 = 600.0;

/// Seconds from 1 to an hour.
pub fn upload_interval(seconds: u32) -> Option<u32> {
    (1..=3600).contains(&seconds).then_some(seconds)
}

/// What a slave keeps of jobs' files unless told otherwise.
pub const DEFAULT_CACHE_GB: f64 = 50.0;

/// Gigabytes, as people give them, in bytes.
pub fn cache_limit(gigabytes: f64) -> Option<u64> {
    (gigabytes.is_finite() && (0.0..1e9).contains(&gigabytes)).then_some((gigabytes * 1e9) as u64)
}

/// Finds a master on the network.
pub trait Finder: Send + Sync {
    /// The address of one, or None when none was found for now.
    fn find(&self) -> BoxFuture<'_, Option<String>>;
}

/// What a slave is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SlaveStatus {
    /// Not there yet.
    #[default]
    Starting,
    /// No master so far.
    Looking,
    /// Waits for work.
    Idle,
    /// A frame is on its way.
    Rendering,
    /// The master is away; what is held is rendered.
    Reconnecting,
    /// Ended as asked.
    Stopped,
    /// Ended by a fault of its own.
    Failed,
}

/// A slave as shown to people.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SlaveSnapshot {
    /// What it is doing.
    pub state: SlaveStatus,
    /// The same in a sentence.
    pub message: String,
    /// The master's address, once there was one.
    pub master: String,
    /// Its name.
    pub name: String,
    /// Its Blender's version, for example `3.4.1`.
    pub blender: String,
    /// What it renders.
    pub job: Option<u32>,
    /// Which frame.
    pub frame: Option<i32>,
    /// How far, in Blender's words.
    pub progress: String,
    /// Frames handed in.
    pub rendered: u32,
    /// Frames failed.
    pub failed: u32,
    /// What went wrong last.
    pub error: Option<String>,
}

/// Why a slave can't start.
#[derive(Debug, thiserror::Error)]
pub enum SlaveError {
    /// The folder can't be used.
    #[error("the slave's data folder {} can't be used ({source}): choose one you may write to (--data)", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Somebody has it.
    #[error("the data folder {} is in use by another slave: stop that one or choose another folder (--data)", path.display())]
    FolderInUse {
        /// Which.
        path: PathBuf,
    },
    /// No such program.
    #[error(
        "there is no Blender at {tried:?}: install Blender, or say where a Blender or a Python with the bpy module is (--blender)"
    )]
    NoBlender {
        /// What was tried.
        tried: String,
    },
    /// It is there and does not work.
    #[error("Blender does not work: {0}\nStart it by hand to see why, or use another one (--blender)")]
    BadBlender(String),
    /// The device it shall render with is not there.
    #[error(
        "this machine has no {wanted} device that its Blender can render with; it has {there}: choose one of these, or auto (--device)"
    )]
    NoDevice {
        /// Which.
        wanted: String,
        /// What Blender finds.
        there: String,
    },
    /// The address makes no sense.
    #[error(transparent)]
    Address(ApiError),
}

impl From<StartError> for SlaveError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Spawn { program, source } if source.kind() == std::io::ErrorKind::NotFound => {
                Self::NoBlender { tried: program }
            }
            other => Self::BadBlender(other.to_string()),
        }
    }
}

/// The master that knows us.
#[derive(Clone, Debug)]
struct Link {
    api: Api,
    slave: SlaveId,
    farm: Arc<str>,
    heartbeat_s: f64,
}

/// What the parts share.
struct Shared {
    options: SlaveOptions,
    name: String,
    settings: Settings,
    folder: Folder,
    launch: Launch,
    /// The kind it renders with.
    device: String,
    desk: watch::Sender<Desk>,
    tail: Tail,
    link: watch::Sender<Option<Link>>,
    snapshot: watch::Sender<SlaveSnapshot>,
    assets: Assets,
    decoding: Semaphore,
    stop: CancellationToken,
    parts: Mutex<JoinSet<()>>,
}

impl Shared {
    /// The line to this farm's master; None once the slave belongs to another farm or stops.
    async fn link_to(&self, farm: &Arc<str>) -> Option<Link> {
        let mut link = self.link.subscribe();
        let known = self.stop.run_until_cancelled(link.wait_for(Option::is_some)).await?.ok()?.clone();
        known.filter(|link| link.farm == *farm)
    }

    /// Runs a part of the slave. A panic in one is the end of the slave, and said aloud.
    fn spawn(self: &Arc<Self>, part: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(self);
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
                shared.fail(&format!("a fault in netrender ({part}): {words}")).await;
            }
        };
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        // Ended parts are taken out, or a long life would collect them.
        while parts.try_join_next().is_some() {}
        parts.spawn(guarded);
    }

    async fn fail(&self, why: &str) {
        tracing::error!(target: "netrender::slave", why, "the slave ends");
        self.snapshot.send_modify(|shown| {
            shown.state = SlaveStatus::Failed;
            shown.message = why.to_owned();
            shown.error = Some(why.to_owned());
            (shown.job, shown.frame) = (None, None);
        });
        self.stop.cancel();
        self.leave().await;
    }

    /// Somebody stopped it from afar.
    async fn end_as_asked(&self) {
        tracing::info!(target: "netrender::slave", "stopped from the master");
        self.leave().await;
        self.snapshot.send_modify(|shown| {
            shown.state = SlaveStatus::Stopped;
            shown.message = "stopped from the master".into();
            (shown.job, shown.frame) = (None, None);
        });
        self.stop.cancel();
    }

    async fn leave(&self) {
        let link = self.link.borrow().clone();
        if let Some(link) = link {
            match timeout(LEAVE_WAIT, link.api.leave(link.slave)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(target: "netrender::slave", %error, "the master was not told"),
                Err(_) => tracing::warn!(target: "netrender::slave", "the master did not hear that the slave leaves"),
            }
        }
    }
}

/// A running slave.
pub struct Slave {
    shared: Arc<Shared>,
}

impl Slave {
    /// Opens the folder, starts a Blender to see what it can do, and begins to look for work. Needs a runtime with
    /// several threads.
    ///
    /// # Errors
    /// When folder, Blender or address can't be used. That no master is there is no error: the slave looks on.
    pub async fn start(options: SlaveOptions, finder: Arc<dyn Finder>) -> Result<Self, SlaveError> {
        if let Some(address) = &options.master {
            Api::new(address).map_err(SlaveError::Address)?;
        }
        let (folder, saved) = Folder::open(&options.data, options.cache_limit_bytes)?;
        let failed = |source| SlaveError::Folder { path: options.data.clone(), source };
        let host = crate::machine_name();
        let name = if options.name.trim().is_empty() { host.clone() } else { options.name.trim().to_owned() };
        let settings = Settings::new(own_settings(&options, &name), options.threads);
        let launch = Launch::new(&options.blender, &folder.worker(), options.console, settings.hang_timeout());
        let launch = launch.map_err(failed)?;
        launch.kill_orphans();
        let worker = Worker::start(&launch).await?;
        let device = match device::choose(&options.device, &worker.hello.devices) {
            Ok(device) => device,
            Err(error) => {
                worker.kill().await;
                return Err(error);
            }
        };
        let info = describe(&options, host, &worker.hello, &device);
        let shown = SlaveSnapshot {
            state: SlaveStatus::Looking,
            message: "looks for a master".into(),
            name: name.clone(),
            blender: info.blender.to_string(),
            ..SlaveSnapshot::default()
        };
        let shared = Arc::new(Shared {
            options,
            name,
            settings,
            folder,
            launch,
            device,
            desk: watch::Sender::default(),
            tail: Tail::default(),
            link: watch::Sender::default(),
            snapshot: watch::Sender::new(shown),
            assets: Assets::default(),
            decoding: Semaphore::new(DECODING),
            stop: CancellationToken::new(),
            parts: Mutex::default(),
        });
        for saved in saved {
            let (again, task) = (Arc::clone(&shared), saved.task.clone());
            tracing::info!(target: "netrender::slave", job = %task.key.job, frame = %task.frame, "rendered before, to be handed in");
            shared.desk.send_modify(|desk| desk.recover(&task));
            shared.spawn("hand-in", async move {
                let stop = again.stop.clone();
                stop.run_until_cancelled(handin::film(again, task, saved.into(), None)).await;
            });
        }
        shared.spawn("rendering", render::Stage::new(Arc::clone(&shared), worker).run());
        let (stop, talk) = (shared.stop.clone(), agent::run(Arc::clone(&shared), info, finder));
        shared.spawn("agent", async move {
            stop.run_until_cancelled(talk).await;
        });
        let (stop, beat) = (shared.stop.clone(), agent::beat(Arc::clone(&shared)));
        shared.spawn("heartbeat", async move {
            stop.run_until_cancelled(beat).await;
        });
        Ok(Self { shared })
    }

    /// The kind of device it renders with.
    pub fn device(&self) -> &str {
        &self.shared.device
    }

    /// What it is doing now. Costs next to nothing.
    pub fn snapshot(&self) -> SlaveSnapshot {
        self.shared.snapshot.borrow().clone()
    }

    /// Whether it ended by itself.
    pub fn has_ended(&self) -> bool {
        matches!(self.shared.snapshot.borrow().state, SlaveStatus::Stopped | SlaveStatus::Failed)
    }

    /// Waits until it ends by itself: stopped from the master, or by a fault of its own, which is given back in words.
    pub async fn ended(&self) -> Result<(), String> {
        let mut shown = self.shared.snapshot.subscribe();
        let ended = shown.wait_for(|shown| matches!(shown.state, SlaveStatus::Stopped | SlaveStatus::Failed)).await;
        match ended {
            Ok(shown) if shown.state == SlaveStatus::Failed => Err(shown.message.clone()),
            _ => Ok(()),
        }
    }

    /// Ends rendering, tells the master and leaves no Blender behind; takes at most about two seconds. What was rendered
    /// and not handed in waits in the folder for the next start.
    pub async fn stop(self) {
        let shared = &self.shared;
        shared.stop.cancel();
        let mut parts = std::mem::take(&mut *shared.parts.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = timeout(STOP_WAIT, async { while parts.join_next().await.is_some() {} });
        let (ended, ()) = tokio::join!(ended, shared.leave());
        if ended.is_err() {
            tracing::warn!(target: "netrender::slave", "a part of the slave did not end in time");
        }
        if let Err(error) = shared.folder.spool.sweep() {
            tracing::warn!(target: "netrender::slave", %error, "broken renders stay in the spool");
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
        // The parts end by themselves, and the workers with them.
        self.shared.stop.cancel();
    }
}

/// The threads to render with; all there are unless told otherwise.
fn threads(options: &SlaveOptions) -> u32 {
    let all = || std::thread::available_parallelism().map_or(1, |threads| u32::try_from(threads.get()).unwrap_or(1));
    if options.threads == 0 { all() } else { options.threads }
}

fn cache_limit_gb(options: &SlaveOptions) -> f64 {
    options.cache_limit_bytes as f64 / 1e9
}

/// What can be set from afar, as it was set here.
fn own_settings(options: &SlaveOptions, name: &str) -> SlaveSettings {
    SlaveSettings {
        name: Some(name.to_owned()),
        tags: Some(options.tags.clone()),
        threads: Some(threads(options)),
        hang_timeout_s: Some(options.hang_timeout.as_secs_f64()),
        cache_limit_gb: Some(cache_limit_gb(options)),
        upload_interval_s: Some(options.upload_interval_s),
    }
}

/// What the master is told about this machine.
fn describe(options: &SlaveOptions, host: String, hello: &Hello, device: &str) -> SlaveInfo {
    let memory = sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
    SlaveInfo {
        host,
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        blender: hello.blender,
        build_hash: hello.build_hash.clone(),
        build_options: hello.build_options.iter().cloned().collect(),
        engines: hello.engines.iter().cloned().collect(),
        denoises: hello.denoises,
        devices: hello.devices.clone(),
        device: device.into(),
        threads: threads(options),
        memory_bytes: sysinfo::System::new_with_specifics(memory).map_or(0, |system| system.total_memory()),
        tags: options.tags.clone(),
        upload_interval_s: options.upload_interval_s,
        hang_timeout_s: Some(options.hang_timeout.as_secs_f64()),
        cache_limit_gb: Some(cache_limit_gb(options)),
    }
}
