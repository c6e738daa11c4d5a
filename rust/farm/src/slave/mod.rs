//! The slave's service: registers with a master, fetches a job's files, renders in warm Blenders, hands in.
//!
//! Three tasks: [`agent`] talks to the master, [`render`] renders, and each finished frame has one of its own
//! ([`handin`]); between them stand the [`hands`]. Ahead of the renderer [`prefetch`] fetches the next job's files.

mod agent;
mod assets;
mod handin;
mod hands;
mod render;
mod shared;
mod worker;

use crate::{blender::Blender, blobs::BlobError, machine_name, random_hex};
use assets::Assets;
use netrender_core::slave::SlaveInfo;
use serde::Serialize;
use shared::Shared;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};
use worker::Worker;

/// The part of the add-on that runs in the slave's Blender; carried along, so that a plain `netrender slave` needs no
/// add-on installed.
const WORKER: &str = include_str!("../../../../addon/netrender_rs/worker.py");
/// An orderly end within the time a service manager gives.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Finds a master when no address is given.
pub trait Finder: Send + Sync {
    /// The address of a master that was heard; None when none was.
    fn find(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>>;
}

/// How a slave is started.
#[derive(Clone, Debug)]
pub struct SlaveOptions {
    /// The working folder; made if missing.
    pub data: PathBuf,
    /// A Blender, or a Python with the `bpy` module.
    pub blender: PathBuf,
    /// The master's address; None: the first one heard.
    pub master: Option<String>,
    /// As shown in lists; empty: the machine's name.
    pub name: String,
    /// Threads a frame may use; 0: all.
    pub threads: u32,
    /// Words that jobs may ask for.
    pub tags: BTreeSet<String>,
    /// Blender's output also to ours.
    pub console: bool,
}

/// Where the service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlaveStatus {
    /// No master found yet.
    Looking,
    /// Waiting for work.
    Idle,
    /// At work.
    Rendering,
    /// The master is away; what renders goes on.
    Reconnecting,
    /// Something broke that should not have.
    Failed,
}

/// A look at the slave.
#[derive(Clone, Debug, Serialize)]
pub struct SlaveSnapshot {
    /// Where the service stands.
    pub state: SlaveStatus,
    /// In words.
    pub message: String,
    /// The master's address.
    pub master: String,
    /// As shown in lists.
    pub name: String,
    /// Its Blender's version.
    pub blender: String,
    /// What renders.
    pub job: Option<u32>,
    /// What renders.
    pub frame: Option<i32>,
    /// How far it is, in Blender's words.
    pub progress: String,
    /// Frames handed in.
    pub rendered: u32,
    /// Attempts that failed.
    pub failed: u32,
    /// The last thing that went wrong.
    pub error: Option<String>,
}

/// Why a slave could not start: what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SlaveError {
    /// The working folder.
    #[error("the working folder {} can't be used: {why}; choose another folder or mend its permissions", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Two slaves in one folder would delete each other's files.
    #[error("another slave is working in {}; stop it first, or choose another working folder", .0.display())]
    FolderInUse(PathBuf),
    /// No Blender.
    #[error("{0}")]
    Blender(String),
}

impl From<BlobError> for SlaveError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Io { path, source } => Self::Folder { path, why: source.to_string() },
            other => Self::Folder { path: PathBuf::new(), why: other.to_string() },
        }
    }
}

/// A running slave. Dropped, it stops without waiting; [`Slave::stop`] is better.
pub struct Slave {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    render: Option<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    _lock: File,
}

impl Slave {
    /// Opens the folder and starts a Blender to learn what it is; that Blender then waits for the first job.
    pub async fn start(options: SlaveOptions, finder: Arc<dyn Finder>) -> Result<Self, SlaveError> {
        let Folder { lock, key, script, spool, assets } = Folder::open(&options.data)?;
        let blender = Blender::at(&options.blender);
        let spare = Worker::start(&blender, &script, options.console)
            .await
            .map_err(|died| SlaveError::Blender(died.message()))?;
        let name = if options.name.trim().is_empty() { machine_name() } else { options.name };
        let info = describe(&spare, options.threads, options.tags);
        let snapshot = SlaveSnapshot {
            state: SlaveStatus::Looking,
            message: "Looking for a master".into(),
            master: options.master.clone().unwrap_or_default(),
            name: name.clone(),
            blender: info.blender.to_string(),
            job: None,
            frame: None,
            progress: String::new(),
            rendered: 0,
            failed: 0,
            error: None,
        };
        let how = (options.threads, options.console);
        let shared = Arc::new(Shared::new(blender, script, spool, how, assets, snapshot));
        let (stop, stopped) = watch::channel(false);
        let identity = agent::Identity { key, name, info };
        let render = watched(&shared, tokio::spawn(render::run(shared.clone(), spare, stopped)));
        let agent = tokio::spawn(agent::run(shared.clone(), identity, options.master, finder));
        let tasks = vec![watched(&shared, agent), tokio::spawn(prefetch(shared.clone()))];
        Ok(Self { shared, stop, render: Some(render), tasks, _lock: lock })
    }

    /// A look; never waits.
    pub fn snapshot(&self) -> SlaveSnapshot {
        self.shared.snapshot()
    }

    /// Ends the service: its frames go back to the queue and no Blender is left.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
        let ended = async {
            if let Some(render) = self.render.take() {
                let _ = render.await;
            }
        };
        let _ = tokio::time::timeout(STOP_PATIENCE, async { tokio::join!(ended, agent::leave(&self.shared)) }).await;
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A task that panics must not leave a slave that looks well.
fn watched(shared: &Arc<Shared>, task: JoinHandle<()>) -> JoinHandle<()> {
    let shared = shared.clone();
    let abort = task.abort_handle();
    let guard = AbortOnDrop(abort);
    tokio::spawn(async move {
        let _guard = guard;
        if let Err(error) = task.await
            && error.is_panic()
        {
            tracing::error!("the slave broke: {error}");
            shared.show(|seen| {
                seen.state = SlaveStatus::Failed;
                seen.message = "The slave broke: stop it and start it again".into();
                seen.error = Some(error.to_string());
            });
        }
    })
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Fetches the files of every job in our hands while another one renders.
async fn prefetch(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    loop {
        changed.borrow_and_update();
        for (job, manifest) in shared.look(|hands| hands.jobs()) {
            let api = shared.master().await.api;
            // What goes wrong is said when the frame is tried.
            let _ = shared.assets.prepare(&api, job, manifest).await;
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

fn describe(worker: &Worker, threads: u32, tags: BTreeSet<String>) -> SlaveInfo {
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    );
    let hello = &worker.hello;
    SlaveInfo {
        host: machine_name(),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        blender: hello.blender,
        build_hash: hello.build_hash.clone(),
        build_options: hello.build_options.clone(),
        engines: hello.engines.clone(),
        devices: hello.devices.clone(),
        threads: if threads == 0 { cores } else { threads },
        memory_bytes: system.map_or(0, |system| system.total_memory()),
        tags,
    }
}

/// A slave's working folder.
struct Folder {
    lock: File,
    key: String,
    script: PathBuf,
    spool: PathBuf,
    assets: Assets,
}

impl Folder {
    fn open(data: &Path) -> Result<Self, SlaveError> {
        let failed = |error: std::io::Error| SlaveError::Folder { path: data.to_owned(), why: error.to_string() };
        // Blender has a working folder of its own: what it is told must be absolute.
        let data = &std::path::absolute(data).map_err(failed)?;
        fs::create_dir_all(data).map_err(failed)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(data.join("slave.lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(SlaveError::FolderInUse(data.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let key_file = data.join("slave.key");
        let key = match fs::read_to_string(&key_file) {
            Ok(key) if !key.trim().is_empty() => key.trim().to_owned(),
            _ => {
                let key = random_hex();
                fs::write(&key_file, &key).map_err(failed)?;
                key
            }
        };
        let spool = data.join("spool");
        match fs::remove_dir_all(&spool) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::create_dir_all(&spool).map_err(failed)?,
        }
        let script = data.join("worker.py");
        fs::write(&script, WORKER).map_err(failed)?;
        Ok(Self { lock, key, script, spool, assets: Assets::open(data)? })
    }
}
