//! The master's service: keeps jobs, hands out work, takes results.
//!
//! Three storeys, and imports go down only: `http` (every request) over `services` (merging,
//! garbage collection, results, ...) over `ledger` (the farm, owned by one thread, and its event
//! log).

mod app;
mod blocking;
mod error;
mod http;
mod ledger;
mod services;
#[cfg(test)]
mod test_farm;

use app::App;
use http::server;
pub use http::server::ListenError;
pub use ledger::data_folder::FolderError;
use ledger::{
    data_folder::{DataFolder, OpenFolder},
    farm_handle::FarmHandle,
};
use netrender_core::{
    model::retry::RetryPolicy,
    wire::{DEFAULT_PORT, FarmView, MasterInfo, PROTOCOL},
};
use netrender_net::discovery;
pub use services::folder_check::{Findings, check};
use services::gc::Gc;
use std::{
    fs::File,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};

/// Start-up options of a master.
#[derive(Clone, Debug)]
pub struct MasterOptions {
    /// The working folder; made if missing.
    pub data: PathBuf,
    /// The address to listen on; empty: all interfaces.
    pub host: String,
    /// The TCP port; 0: any free one.
    pub port: u16,
    /// The farm's name for people; empty: the machine's name.
    pub name: String,
    /// True if the master announces itself on UDP.
    pub broadcast: bool,
    /// True if the working folder's content is removed when the service ends.
    pub clear_on_exit: bool,
    /// Silence after which a slave's frames go back to the queue.
    pub slave_timeout: Duration,
    /// True if slaves run the Python that scenes bring along, for jobs that need it.
    pub allow_scripts: bool,
    /// Names under which the master may be asked over HTTP, besides its machine's own and all IP
    /// addresses.
    pub host_names: Vec<String>,
}

impl MasterOptions {
    /// The defaults of the command line and the panel.
    pub fn new(data: PathBuf) -> Self {
        Self {
            data,
            host: String::new(),
            port: DEFAULT_PORT,
            name: String::new(),
            broadcast: true,
            clear_on_exit: false,
            slave_timeout: Duration::from_secs(60),
            allow_scripts: false,
            host_names: Vec::new(),
        }
    }
}

/// Reason why a master could not start: what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The working folder can't be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The address can't be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// A running master. Dropped, it stops without waiting; [`Master::stop`] is better.
pub struct Master {
    options: MasterOptions,
    info: Arc<MasterInfo>,
    address: SocketAddr,
    folder: DataFolder,
    farm: FarmHandle,
    gc: Arc<Gc>,
    thread: Option<std::thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    _lock: File,
}

impl Master {
    /// Opens the folder, replays the log and listens. Requests are answered once this returns.
    pub async fn start(options: MasterOptions) -> Result<Self, StartError> {
        let timeout = options.slave_timeout;
        let folder = DataFolder::new(&options.data);
        let opening = folder.clone();
        let opened = tokio::task::spawn_blocking(move || opening.open()).await;
        let OpenFolder { lock, mut store, blobs, pieces } = opened.map_err(|error| folder.unusable(&error))??;
        let id = store.farm_id().map_err(FolderError::from)?;
        // Before the replay, which may take a while: a port that is taken is reported at once.
        let (listener, address) = server::listen(&options.host, options.port).await?;
        let replaying = tokio::task::spawn_blocking(move || FarmHandle::start(Box::new(store), timeout)).await;
        let (farm, thread) = replaying.map_err(|error| folder.unusable(&error))?.map_err(FolderError::from)?;
        let name = if options.name.trim().is_empty() { netrender_net::machine_name() } else { options.name.clone() };
        let info = Arc::new(MasterInfo {
            service: "netrender".into(),
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            farm: id,
            name,
            scripts: options.allow_scripts,
            retry: RetryPolicy::default(),
            free_bytes: None,
        });
        let (app, mut tasks) = App::start(info.clone(), folder.clone(), farm.clone(), blobs, pieces, timeout);
        let gc = app.gc.clone();
        let names = http::OwnNames::new(&netrender_net::machine_name(), &options.host_names);
        let (stop, stopped) = watch::channel(false);
        tasks.push(tokio::spawn(server::serve(listener, http::router(app, names), stopped)));
        if options.broadcast {
            let beacon = discovery::Beacon::new(&info, address);
            tasks.push(tokio::spawn(discovery::announce(beacon, address.ip())));
        }
        tracing::info!(farm = %info.name, %address, data = %options.data.display(), "master started");
        Ok(Self { options, info, address, folder, farm, gc, thread: Some(thread), stop, tasks, _lock: lock })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address under which people and programs on this machine reach it.
    pub fn url(&self) -> String {
        let ip = self.address.ip();
        let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
        match ip {
            IpAddr::V6(_) if !ip.is_unspecified() => format!("http://[{host}]:{}", self.port()),
            _ => format!("http://{host}:{}", self.port()),
        }
    }

    /// The master's description of itself.
    pub fn info(&self) -> &MasterInfo {
        &self.info
    }

    /// The lists as they were a moment ago.
    pub fn view(&self) -> Arc<FarmView> {
        self.farm.rows().borrow().clone()
    }

    /// Ends the service: everything answered is on disk, the port is free.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        self.gc.settle().await;
        self.farm.stop().await;
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
        if self.options.clear_on_exit {
            let folder = self.folder.clone();
            let _ = tokio::task::spawn_blocking(move || folder.clear()).await;
        }
        tracing::info!("master stopped");
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
