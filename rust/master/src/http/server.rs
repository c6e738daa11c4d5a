//! The listening socket and the HTTP server on it.

use super::connections::Connections;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use socket2::{SockRef, TcpKeepalive};
use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch};

/// Silence on a connection after which the system checks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Time in which a peer has to send the head of its first or next request.
const SILENCE: Duration = Duration::from_secs(30);
/// Time between two warnings about connections that are closed.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Pause after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Reason why an address can't be listened on: what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program listens there.
    #[error("port {port} is taken by another program (perhaps another master); stop that or choose another port")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The system refused.
    #[error("can't listen on {address}: {why}")]
    Failed {
        /// The address.
        address: String,
        /// The system's words.
        why: String,
    },
    /// Not an address of this machine.
    #[error("{0:?} is not an address of this machine; leave the host empty to listen on all interfaces")]
    BadHost(String),
}

/// Listens on `host`, or on all interfaces if it is empty; on any free port if `port` is 0. Returns
/// the address, too.
pub async fn listen(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), ListenError> {
    let listener = bind(host, port).await?;
    let address = listener.local_addr();
    let address = address.map_err(|error| ListenError::Failed { address: host.to_owned(), why: error.to_string() })?;
    Ok((listener, address))
}

async fn bind(host: &str, port: u16) -> Result<TcpListener, ListenError> {
    let host = host.trim();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::PortTaken { port },
        io::ErrorKind::AddrNotAvailable => ListenError::BadHost(host.to_owned()),
        _ => ListenError::Failed { address: format!("{host}:{port}"), why: error.to_string() },
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
        tokio::net::lookup_host((host, port)).await.map_err(|_| ListenError::BadHost(host.to_owned()))?;
    let address = addresses.next().ok_or_else(|| ListenError::BadHost(host.to_owned()))?;
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

/// Serves requests until `stopped`, and ends those in progress.
pub async fn serve(listener: TcpListener, router: axum::Router, mut stopped: watch::Receiver<bool>) {
    let connections = Connections::of_this_process();
    let ending = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(SILENCE);
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The peer is gone already, or this process has no file left until some are closed.
                tracing::debug!("a connection could not be taken: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(connection) = connections.begin(from.ip()) else {
            if warned.is_none_or(|warned| warned.elapsed() > WARN_EVERY) {
                warned = Some(Instant::now());
                tracing::warn!(from = %from.ip(), "too many connections; further ones are closed");
            }
            continue;
        };
        // A peer whose cable was pulled does not close its connections; they must not stay until
        // the master stops.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        let service = TowerToHyperService::new(router.clone());
        let serving = ending.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::trace!(%from, "a connection ended: {error}");
            }
            drop(connection);
        });
    }
    drop(listener);
    ending.shutdown().await;
}
