//! The master's service: keeps jobs, hands out work, takes results. One thread owns the farm ([`owner`]); HTTP in front
//! of it, the event log and the blobs behind it, and a beacon beside it.

mod archive;
mod changes;
mod check;
mod control;
mod download;
mod error;
mod files;
mod frames;
mod history;
mod http;
mod inputs;
mod intake;
mod live;
mod merge;
mod metrics;
mod openapi;
mod owner;
mod page;
mod space;
mod store;
mod story;
mod view;
mod web;

use crate::{
    api::DEFAULT_PORT,
    blobs::BlobStore,
    discovery,
    pieces::{PieceError, PieceStore},
};
use axum::serve::ListenerExt;
pub use check::{Findings, check};
use netrender_core::{
    retry::RetryPolicy,
    wire::{FarmView, MasterInfo, PROTOCOL},
};
use owner::Owner;
use socket2::{SockRef, TcpKeepalive};
use std::{
    fs::File,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Silence on a connection after which the system looks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How often received pieces are made durable.
const KEEP_PIECES: Duration = Duration::from_millis(200);

/// How a master is started.
#[derive(Clone, Debug)]
pub struct MasterOptions {
    /// The working folder; made if missing.
    pub data: PathBuf,
    /// The address to listen on; empty: all interfaces.
    pub host: String,
    /// The TCP port; 0: any free one.
    pub port: u16,
    /// As people call the farm; empty: the machine's name.
    pub name: String,
    /// Whether to announce itself on UDP.
    pub broadcast: bool,
    /// Whether the working folder's content is removed when the service ends.
    pub clear_on_exit: bool,
    /// Silence after which a slave's frames go back to the queue.
    pub slave_timeout: Duration,
    /// Whether slaves run the Python that scenes bring along, for jobs that need it.
    pub allow_scripts: bool,
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
        }
    }
}

/// Why a master could not start: what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The working folder.
    #[error("the working folder {} can't be used: {why}; choose another folder or mend its permissions", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// A second master on one folder would tear the log apart.
    #[error("another master is working in {}; stop it first, or choose another working folder", .0.display())]
    FolderInUse(PathBuf),
    /// Somebody listens there already.
    #[error("port {port} is taken by another program (perhaps another master); stop that or choose another port")]
    PortTaken {
        /// Which.
        port: u16,
    },
    /// The port is not for us.
    #[error("can't listen on {address}: {why}")]
    Listen {
        /// Where.
        address: String,
        /// The system's words.
        why: String,
    },
    /// Not an address of this machine.
    #[error("{0:?} is not an address of this machine; leave the host empty to listen on all interfaces")]
    BadHost(String),
    /// The event log.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The jobs' files.
    #[error(transparent)]
    Pieces(#[from] PieceError),
}

/// A running master. Dropped, it stops without waiting; [`Master::stop`] is better.
pub struct Master {
    options: MasterOptions,
    info: Arc<MasterInfo>,
    address: SocketAddr,
    owner: Owner,
    space: Arc<space::Space>,
    thread: Option<std::thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    _lock: File,
}

impl Master {
    /// Opens the folder, replays the log and listens. Requests are answered once this returns.
    pub async fn start(options: MasterOptions) -> Result<Self, StartError> {
        let opening = options.data.clone();
        let (lock, store, blobs, pieces) = tokio::task::spawn_blocking(move || open_folder(&opening))
            .await
            .map_err(|error| StartError::Folder { path: options.data.clone(), why: error.to_string() })??;
        let mut store = store;
        let farm = store.farm_id()?;
        // The port comes before the replay: a port that is taken shall be said at once.
        let listener = listen(&options.host, options.port).await?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError::Listen { address: options.host.clone(), why: error.to_string() })?;
        let timeout = options.slave_timeout;
        let (owner, thread) = tokio::task::spawn_blocking(move || Owner::start(Box::new(store), timeout))
            .await
            .map_err(|error| StartError::Folder { path: options.data.clone(), why: error.to_string() })??;
        let name = if options.name.trim().is_empty() { crate::machine_name() } else { options.name.clone() };
        let info = Arc::new(MasterInfo {
            service: "netrender".into(),
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            farm,
            name,
            scripts: options.allow_scripts,
            retry: RetryPolicy::default(),
            free_bytes: None,
        });
        let (stop, stopped) = watch::channel(false);
        let pieces = Arc::new(pieces);
        let data = Arc::from(options.data.as_path());
        let space: Arc<space::Space> = Arc::default();
        // Several in a timeout: one that gets lost on the way is no reason to give a slave up.
        let heartbeat_s = (options.slave_timeout.as_secs_f64() / 4.0).clamp(0.25, 5.0);
        let app = http::App {
            owner: owner.clone(),
            blobs,
            pieces: pieces.clone(),
            info: info.clone(),
            data,
            space: space.clone(),
            pictures: Arc::default(),
            live: Arc::default(),
            passes: Arc::default(),
            figures: Arc::default(),
            changes: Arc::default(),
            heartbeat_s,
            history: history::History::at(&options.data.join("farm.db")),
        };
        let mut tasks = vec![tokio::spawn(serve(listener, http::router(app.clone()), stopped.clone()))];
        tasks.push(tokio::spawn(space::tend(app.clone())));
        tasks.push(tokio::spawn(merge::tend(app.clone())));
        tasks.push(tokio::spawn(changes::tend(app)));
        tasks.push(tokio::spawn(tick(owner.clone(), options.slave_timeout)));
        tasks.push(tokio::spawn(keep_pieces(pieces)));
        if options.broadcast {
            let beacon = discovery::Beacon::new(&info, address);
            tasks.push(tokio::spawn(discovery::announce(beacon, address.ip())));
        }
        tracing::info!(farm = %info.name, %address, data = %options.data.display(), "master started");
        Ok(Self { options, info, address, owner, space, thread: Some(thread), stop, tasks, _lock: lock })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where people and programs on this machine reach it.
    pub fn url(&self) -> String {
        let ip = self.address.ip();
        let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
        match ip {
            IpAddr::V6(_) if !ip.is_unspecified() => format!("http://[{host}]:{}", self.port()),
            _ => format!("http://{host}:{}", self.port()),
        }
    }

    /// Who it is.
    pub fn info(&self) -> &MasterInfo {
        &self.info
    }

    /// The lists as they were a moment ago.
    pub fn view(&self) -> Arc<FarmView> {
        self.owner.view().borrow().clone()
    }

    /// Ends the service: everything answered is on disk, the port is free.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        self.space.is_tidy().await;
        self.owner.stop().await;
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
        if self.options.clear_on_exit {
            let data = self.options.data.clone();
            let _ = tokio::task::spawn_blocking(move || clear(&data)).await;
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

/// Makes the folder, proves it writable, and locks it against a second master.
fn open_folder(data: &Path) -> Result<(File, store::SqliteStore, BlobStore, PieceStore), StartError> {
    let folder = |why: String| StartError::Folder { path: data.to_owned(), why };
    std::fs::create_dir_all(data).map_err(|error| folder(error.to_string()))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join("master.lock"))
        .map_err(|error| folder(error.to_string()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(StartError::FolderInUse(data.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => return Err(folder(error.to_string())),
    }
    let blobs = BlobStore::open(&data.join("blobs")).map_err(|error| folder(error.to_string()))?;
    let store = store::SqliteStore::open(&data.join("farm.db"))?;
    let pieces = PieceStore::open(&data.join("pieces"))?;
    Ok((lock, store, blobs, pieces))
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    let host = host.trim();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { port },
        io::ErrorKind::AddrNotAvailable => StartError::BadHost(host.to_owned()),
        _ => StartError::Listen { address: format!("{host}:{port}"), why: error.to_string() },
    };
    if host.is_empty() {
        // Both families where the machine has IPv6, else IPv4 alone.
        return match dual_stack(port) {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(failed(error)),
            Err(_) => TcpListener::bind(("0.0.0.0", port)).await.map_err(failed),
        };
    }
    let mut addresses =
        tokio::net::lookup_host((host, port)).await.map_err(|_| StartError::BadHost(host.to_owned()))?;
    let address = addresses.next().ok_or_else(|| StartError::BadHost(host.to_owned()))?;
    TcpListener::bind(address).await.map_err(failed)
}

fn dual_stack(port: u16) -> io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    // On Windows this option would let two masters share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn serve(listener: TcpListener, router: axum::Router, mut stopped: watch::Receiver<bool>) {
    let until = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    // A peer whose cable was pulled says no goodbye; its connections must not stay for ever.
    let listener = listener.tap_io(|stream| {
        let _ = SockRef::from(&*stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    });
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
        tracing::error!("the HTTP service ended: {error}");
    }
}

async fn tick(owner: Owner, slave_timeout: Duration) {
    let mut clock = tokio::time::interval((slave_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(1)));
    loop {
        clock.tick().await;
        owner.tick().await;
    }
}

/// What is received becomes durable while more of it comes: a crash costs little, and at the end little is left to wait for.
async fn keep_pieces(pieces: Arc<PieceStore>) {
    let mut clock = tokio::time::interval(KEEP_PIECES);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let pieces = pieces.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || pieces.commit()).await {
            tracing::error!("received files are not durable yet: {error}");
        }
    }
}

/// Removes what a master makes, and nothing else that may lie in the folder.
fn clear(data: &Path) {
    for name in ["farm.db", "farm.db-wal", "farm.db-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    for name in ["blobs", "pieces"] {
        let _ = std::fs::remove_dir_all(data.join(name));
    }
}
