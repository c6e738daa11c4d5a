//! The connection to the master, which may break and come back at any time.

use netrender_core::{model::ids::SlaveId, wire::ErrorCode};
use netrender_net::{
    api::{Api, ApiError},
    retry::{Backoff, Retry},
};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A registration with one master.
#[derive(Clone, Debug)]
pub struct Link {
    /// The master's interface.
    pub api: Api,
    /// Number under which the master knows this slave.
    pub slave: SlaveId,
    /// Random id of the master's farm.
    pub farm: Arc<str>,
    /// Interval of heartbeats in seconds.
    pub heartbeat_s: f64,
}

/// The most recent registration, if there was one. `agent` renews it, everything else waits for it.
#[derive(Debug)]
pub struct Connection {
    link: watch::Sender<Option<Link>>,
    stop: CancellationToken,
}

impl Connection {
    /// Nobody has registered yet. `stop` ends all waiting.
    pub fn new(stop: CancellationToken) -> Self {
        Self { link: watch::Sender::default(), stop }
    }

    /// Replaces the registration.
    pub fn renew(&self, link: Link) {
        self.link.send_replace(Some(link));
    }

    /// The most recent registration.
    pub fn current(&self) -> Option<Link> {
        self.link.borrow().clone()
    }

    /// Follows the registration.
    pub fn subscribe(&self) -> watch::Receiver<Option<Link>> {
        self.link.subscribe()
    }

    /// Waits for a registration with `farm`; `None` once the slave belongs to another farm or
    /// stops.
    pub async fn to(&self, farm: &Arc<str>) -> Option<Link> {
        let mut link = self.link.subscribe();
        let known = self.stop.run_until_cancelled(link.wait_for(Option::is_some)).await?.ok()?.clone();
        known.filter(|link| link.farm == *farm)
    }

    /// Makes a call to the master of `farm` until it succeeds or fails for good; `None` once the
    /// slave belongs to another farm or stops.
    pub async fn ask<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        farm: &Arc<str>,
        mut call: impl FnMut(Link) -> F,
    ) -> Option<Result<T, ApiError>> {
        let mut backoff = Backoff::default();
        loop {
            match call(self.to(farm).await?).await {
                Err(error) if may_work_later(&error) => backoff.wait().await,
                ended => return Some(ended),
            }
        }
    }
}

/// True if the same call may succeed later. A slave runs unattended, so it outlasts another server
/// at its master's address, and a master that has forgotten it: `agent` registers again meanwhile.
pub fn may_work_later(error: &ApiError) -> bool {
    match error.retry() {
        Retry::Later | Retry::AnotherServer => true,
        Retry::Never => error.is_code(ErrorCode::UnknownSlave),
    }
}
