//! The slave's side of the talk with its master: find it, register, keep one long poll open, give signs of life.

use super::{Finder, SlaveStatus, shared::Link, shared::Shared};
use crate::api::{Api, ApiError};
use netrender_core::{
    slave::SlaveInfo,
    wire::{Heartbeat, PROTOCOL, RegisterRequest},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who we are, for the master.
pub struct Identity {
    /// How we are known again.
    pub key: String,
    /// As shown in lists.
    pub name: String,
    /// What we can do.
    pub info: SlaveInfo,
}

/// Pauses that grow, with some chance in them: slaves must not come back all at once.
struct Backoff(Duration);

impl Backoff {
    async fn pause(&mut self) {
        let mut chance = [0u8; 1];
        let _ = getrandom::fill(&mut chance);
        tokio::time::sleep(self.0.mul_f64(0.75 + 0.5 * f64::from(chance[0]) / 255.0)).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// Serves one master after another, for ever.
pub async fn run(shared: Arc<Shared>, identity: Identity, address: Option<String>, finder: Arc<dyn Finder>) {
    let mut farm: Option<String> = None;
    let mut backoff = Backoff(PAUSE);
    loop {
        match register(&shared, &identity, address.as_deref(), &finder).await {
            Ok(link) => {
                backoff = Backoff(PAUSE);
                if farm.as_ref().is_some_and(|known| *known != link.farm) {
                    tracing::warn!("this is another farm: what was leased by the old one is dropped");
                    shared.new_farm();
                }
                farm = Some(link.farm.clone());
                tracing::info!(master = %link.api.url(), slave = %link.slave, "registered");
                shared.show(|seen| seen.master = link.api.url());
                shared.link.send_replace(Some(link.clone()));
                tokio::select! {
                    () = polls(&shared, &link) => {}
                    () = heartbeats(&shared, &link) => {}
                }
            }
            Err(why) => {
                let status = if farm.is_some() { SlaveStatus::Reconnecting } else { SlaveStatus::Looking };
                shared.show_status(status, why);
                backoff.pause().await;
            }
        }
    }
}

async fn register(
    shared: &Shared,
    identity: &Identity,
    address: Option<&str>,
    finder: &Arc<dyn Finder>,
) -> Result<Link, String> {
    let address = match address {
        Some(address) => address.to_owned(),
        None => finder.find().await.ok_or("looking for a master on this network")?,
    };
    let api = Api::new(&address).map_err(|error| error.to_string())?;
    api.info().await.map_err(|error| error.to_string())?;
    let request = RegisterRequest {
        protocol: PROTOCOL,
        key: identity.key.clone(),
        name: identity.name.clone(),
        info: identity.info.clone(),
    };
    let reply = api.register(&request).await.map_err(|error| error.to_string())?;
    shared.show_status(SlaveStatus::Idle, "Connected");
    Ok(Link { api, slave: reply.slave, farm: reply.farm, heartbeat_s: reply.heartbeat_s.clamp(0.5, 60.0) })
}

/// Ends when the master no longer knows us.
async fn polls(shared: &Shared, link: &Link) {
    let mut changed = shared.changed.subscribe();
    let mut backoff = Backoff(PAUSE);
    loop {
        changed.borrow_and_update();
        let request = shared.look(|hands| hands.poll());
        // A poll that no longer says what we hold and want is given up for a new one. If a grant was on its way, the
        // master sees that we do not hold it and takes it back.
        let outdated = async {
            while changed.changed().await.is_ok() {
                if shared.look(|hands| hands.poll()) != request {
                    return;
                }
            }
            std::future::pending().await
        };
        let reply = tokio::select! {
            reply = link.api.poll(link.slave, &request) => reply,
            () = outdated => continue,
        };
        match reply {
            Ok(reply) => {
                backoff = Backoff(PAUSE);
                shared.show_status(SlaveStatus::Idle, "Connected");
                for gone in &reply.drop {
                    shared.dropped(gone);
                }
                if let Some(grant) = reply.grant {
                    shared.granted(*grant);
                }
            }
            Err(error) if error.is_code("unknown_slave") => return,
            // Whoever answers now at this address may be another farm, or no master at all.
            Err(error @ (ApiError::Unreachable { .. } | ApiError::NotAMaster { .. })) => {
                shared.show_status(SlaveStatus::Reconnecting, error.to_string());
                backoff.pause().await;
                match link.api.info().await {
                    Ok(info) if info.farm == link.farm => {}
                    Ok(_) => return,
                    Err(_) => {}
                }
            }
            Err(error) => {
                shared.show_status(SlaveStatus::Reconnecting, error.to_string());
                backoff.pause().await;
            }
        }
    }
}

/// Signs of life, and what renders as soon as it changes (at most once a second).
async fn heartbeats(shared: &Shared, link: &Link) {
    let mut progress = shared.progress.subscribe();
    let every = Duration::from_secs_f64(link.heartbeat_s);
    let mut last = Instant::now();
    loop {
        let now = progress.borrow_and_update().clone();
        // Lost ones do no harm: the next poll or heartbeat is as good.
        let _ = link.api.heartbeat(link.slave, &Heartbeat { now }).await;
        let _ = tokio::time::timeout_at(last + every, progress.changed()).await;
        tokio::time::sleep_until(last + Duration::from_secs(1)).await;
        last = Instant::now();
    }
}

/// Says goodbye, so that our frames go back at once.
pub async fn leave(shared: &Shared) {
    let link = shared.link.borrow().clone();
    if let Some(link) = link {
        let _ = tokio::time::timeout(Duration::from_secs(1), link.api.leave(link.slave)).await;
    }
}
