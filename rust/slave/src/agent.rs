//! The slave's conversation with the master: finding it, registering, one long poll at a time,
//! heartbeats, and coming back after the connection broke. Rendering goes on without a master and
//! is not handled here.

use super::{connection::Link, shared::Shared, snapshot::SlaveStatus, task::JobKey};
use netrender_core::{
    model::{
        ids::{Frame, JobId},
        slave::SlaveInfo,
    },
    wire::{ErrorCode, Heartbeat, PROTOCOL, PollRequest, Progress, RegisterRequest},
};
use netrender_net::{
    api::{Api, ApiError},
    discovery,
    retry::Backoff,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Shortest time between heartbeats, however fast frames are.
const BEAT_AT_MOST: Duration = Duration::from_secs(1);
/// Time to listen for a master when no address is given.
const LISTEN: Duration = Duration::from_secs(1);

/// Registers and polls until the master stops the slave.
pub async fn run(shared: Arc<Shared>, info: SlaveInfo) {
    let mut backoff = Backoff::default();
    let mut started = true;
    let mut can_draw = shared.can_draw.subscribe();
    loop {
        can_draw.mark_unchanged();
        // After each break the slave registers again: another farm may be behind the address by
        // now.
        let why = match join(&shared, &info, started).await {
            Ok(link) => {
                started = false;
                match serve(&shared, &link, &mut backoff, &mut can_draw).await {
                    Ok(Served::Stopped) => return shared.stop_as_asked().await,
                    Ok(Served::Changed) => continue,
                    Err(error) => error.to_string(),
                }
            }
            Err(why) => why,
        };
        away(&shared, why);
        backoff.wait().await;
    }
}

/// Registers with the master, or with the first one heard.
async fn join(shared: &Arc<Shared>, info: &SlaveInfo, started: bool) -> Result<Link, String> {
    let address = match &shared.options.master {
        Some(address) => address.clone(),
        None => {
            let heard = discovery::find_first(LISTEN).await.ok().flatten();
            heard.ok_or("no master was found on this network")?.url
        }
    };
    let words = |error: ApiError| error.to_string();
    let api = Api::new(&address).map_err(words)?;
    api.info().await.map_err(words)?;
    let (key, name) = (shared.folder.key(), shared.name.clone());
    let info = SlaveInfo { cannot_draw: *shared.can_draw.borrow() == Some(false), ..info.clone() };
    let (session, place) = (shared.folder.session.clone(), shared.folder.place.clone());
    let request = RegisterRequest { protocol: PROTOCOL, key, name, info, started, session, place };
    let reply = match api.register(&request).await {
        Err(error) if error.is_code(ErrorCode::KeyInUse) => {
            shared.folder.renew_key().map_err(|error| format!("a new slave.key can't be written: {error}"))?;
            return Err("another slave works with a copy of this data folder: this one takes a new key".into());
        }
        reply => reply.map_err(words)?,
    };
    let link = Link { api, slave: reply.slave, farm: reply.farm.into(), heartbeat_s: reply.heartbeat_s };
    shared.drop_settings_of_others(&link.farm);
    let mut dropped = false;
    shared.leases.send_if_modified(|leases| {
        dropped = leases.keep_only(&link.farm);
        dropped
    });
    if dropped {
        tracing::warn!(farm = %link.farm, "another farm: the former one's frames are dropped");
    }
    tracing::info!(master = %link.api.url(), slave = %link.slave, "registered");
    shared.connection.renew(link.clone());
    shared.snapshot.send_modify(|shown| {
        shown.master = link.api.url();
        shown.error = None;
        if shown.frame.is_some() {
            shown.state = SlaveStatus::Rendering;
        } else {
            shown.state = SlaveStatus::Idle;
            shown.message = "waits for work".into();
        }
    });
    Ok(link)
}

/// Shows that the master is away, and why.
fn away(shared: &Shared, why: String) {
    tracing::warn!(%why, "no line to the master; trying again");
    shared.snapshot.send_modify(|shown| {
        let joined_once = !shown.master.is_empty();
        shown.state = if joined_once { SlaveStatus::Reconnecting } else { SlaveStatus::Looking };
        shown.message = format!("{why}; trying again");
        shown.error = Some(why);
    });
}

/// Reason why a connection that stands is served no longer.
enum Served {
    /// The master stops this slave.
    Stopped,
    /// The slave's abilities changed: it registers again.
    Changed,
}

/// Keeps one poll open until the connection breaks, which is an error, or as long as [`Served`] says.
async fn serve(
    shared: &Arc<Shared>,
    link: &Link,
    backoff: &mut Backoff,
    can_draw: &mut watch::Receiver<Option<bool>>,
) -> Result<Served, ApiError> {
    let mut leases = shared.leases.subscribe();
    let mut number = 0;
    loop {
        number += 1;
        let (request, mark) = {
            let leases = leases.borrow_and_update();
            let (edits, session) = (Some(shared.settings.edits()), shared.folder.session.clone());
            (PollRequest { held: leases.held(), want: leases.want(), number, edits, session }, leases.poll_mark())
        };
        let mut reply = tokio::select! {
            biased;
            reply = link.api.poll(link.slave, &request) => reply?,
            Ok(()) = can_draw.changed() => return Ok(Served::Changed),
            // A grant that is on its way now is lost with the request; the next poll's `held` tells
            // the master so.
            _ = leases.wait_for(|leases| leases.poll_mark() != mark) => continue,
        };
        *backoff = Backoff::default();
        if reply.stop {
            return Ok(Served::Stopped);
        }
        if let Some(update) = reply.settings.take() {
            shared.apply(&link.farm, *update);
        }
        if !reply.drop.is_empty() {
            tracing::info!(dropped = ?reply.drop, "to be dropped");
        }
        if let Some(grant) = &reply.grant {
            let (lease, job, frames) = (grant.lease, grant.job, grant.frames.len());
            tracing::info!(%lease, %job, frames, "lease granted");
            // Begun at once: the files come while earlier frames are rendered.
            let key = JobKey { farm: Arc::clone(&link.farm), job, baked: grant.baked };
            drop(shared.files.prepare(&key, &grant.spec));
        }
        shared.leases.send_if_modified(|leases| {
            let changed = !reply.is_empty();
            leases.drop_frames(&reply.drop);
            if let Some(grant) = reply.grant {
                leases.grant(&link.farm, *grant);
            }
            changed
        });
    }
}

/// Sends heartbeats: at the master's interval, and as soon as a frame begins or a setting changes.
pub async fn beat(shared: Arc<Shared>) {
    let mut shown = shared.snapshot.subscribe();
    let mut link = shared.connection.subscribe();
    loop {
        let Ok(here) = link.wait_for(Option::is_some).await.map(|link| link.clone()) else { return };
        let Some(here) = here else { continue };
        let (now, told) = {
            let shown = shown.borrow_and_update();
            let now = shown.job.zip(shown.frame).map(|(job, frame)| Progress {
                job: JobId(job),
                frame: Frame(frame),
                text: shown.progress.clone(),
            });
            (now, (shown.job, shown.frame))
        };
        let (log, position) = shared.log.unsent().unzip();
        let set = shared.settings.changed();
        let report = Some(shared.report());
        match here.api.heartbeat(here.slave, &Heartbeat { now, log, report }).await {
            Ok(()) => position.into_iter().for_each(|position| shared.log.confirm(position)),
            // The poll notices it too, and registers again.
            Err(error) => tracing::debug!(%error, "heartbeat"),
        }
        let every = Duration::from_secs_f64(here.heartbeat_s.clamp(0.25, 60.0));
        let rest = every.saturating_sub(BEAT_AT_MOST);
        tokio::time::sleep(every.min(BEAT_AT_MOST)).await;
        let begun = shown.wait_for(|shown| shown.frame.is_some() && (shown.job, shown.frame) != told);
        tokio::select! {
            begun = begun => if begun.is_err() { return },
            () = set => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}
