//! The slave's side of the conversation with the master: finding it, registering, the one long-poll, signs of life, and
//! coming back after the line broke. What is rendered meanwhile is none of its business: rendering goes on without a master.

use super::{Finder, Link, Shared, SlaveStatus, backoff::Backoff};
use crate::api::{Api, ApiError};
use netrender_core::{
    slave::SlaveInfo,
    wire::{Heartbeat, PROTOCOL, PollRequest, Progress, RegisterRequest},
};
use std::{sync::Arc, time::Duration};

/// Signs of life are at least this far apart, however fast frames are.
const BEAT_AT_MOST: Duration = Duration::from_secs(1);

/// Registers and polls until the master says that it is enough.
pub async fn run(shared: Arc<Shared>, info: SlaveInfo, finder: Arc<dyn Finder>) {
    let mut backoff = Backoff::new();
    let mut started = true;
    loop {
        // Whenever the line broke the slave registers anew: behind the address may be another farm by now.
        let why = match join(&shared, &info, &*finder, started).await {
            Ok(link) => {
                started = false;
                match serve(&shared, &link, &mut backoff).await {
                    Ok(()) => return shared.end_as_asked().await,
                    Err(error) => error.to_string(),
                }
            }
            Err(why) => why,
        };
        away(&shared, why);
        backoff.wait().await;
    }
}

async fn join(shared: &Arc<Shared>, info: &SlaveInfo, finder: &dyn Finder, started: bool) -> Result<Link, String> {
    let address = match &shared.options.master {
        Some(address) => address.clone(),
        None => finder.find().await.ok_or("no master was found on this network")?,
    };
    let words = |error: ApiError| error.to_string();
    let api = Api::new(&address).map_err(words)?;
    api.info().await.map_err(words)?;
    let (key, name) = (shared.folder.key.clone(), shared.name.clone());
    let request = RegisterRequest { protocol: PROTOCOL, key, name, info: info.clone(), started };
    let reply = api.register(&request).await.map_err(words)?;
    let link = Link { api, slave: reply.slave, farm: reply.farm.into(), heartbeat_s: reply.heartbeat_s };
    shared.settings_of(&link.farm);
    let mut dropped = false;
    shared.desk.send_if_modified(|desk| {
        dropped = desk.keep_only(&link.farm);
        dropped
    });
    if dropped {
        tracing::warn!(target: "netrender::slave", farm = %link.farm, "another farm: the former one's frames are dropped");
    }
    tracing::info!(target: "netrender::slave", master = %link.api.url(), slave = %link.slave, "registered");
    shared.link.send_replace(Some(link.clone()));
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

fn away(shared: &Shared, why: String) {
    tracing::warn!(target: "netrender::slave", %why, "no line to the master; trying again");
    shared.snapshot.send_modify(|shown| {
        let joined_once = !shown.master.is_empty();
        shown.state = if joined_once { SlaveStatus::Reconnecting } else { SlaveStatus::Looking };
        shown.message = format!("{why}; trying again");
        shown.error = Some(why);
    });
}

/// Keeps one poll open until the line breaks, or the master wants no more of this slave.
async fn serve(shared: &Arc<Shared>, link: &Link, backoff: &mut Backoff) -> Result<(), ApiError> {
    let mut desk = shared.desk.subscribe();
    let mut number = 0;
    loop {
        number += 1;
        let (request, mark) = {
            let desk = desk.borrow_and_update();
            let edits = Some(shared.settings.edits());
            (PollRequest { held: desk.held(), want: desk.want(), number, edits }, desk.poll_mark())
        };
        let mut reply = tokio::select! {
            biased;
            reply = link.api.poll(link.slave, &request) => reply?,
            // A grant that is on its way now is lost with the request; the next poll's `held` tells the master so.
            _ = desk.wait_for(|desk| desk.poll_mark() != mark) => continue,
        };
        *backoff = Backoff::new();
        if reply.stop {
            return Ok(());
        }
        if let Some(update) = reply.settings.take() {
            shared.set(&link.farm, *update);
        }
        if !reply.drop.is_empty() {
            tracing::info!(target: "netrender::slave", dropped = ?reply.drop, "to be dropped");
        }
        if let Some(grant) = &reply.grant {
            let (lease, job, frames) = (grant.lease, grant.job, grant.frames.len());
            tracing::info!(target: "netrender::slave", %lease, %job, frames, "lease granted");
            // Begun at once: the files come while the frames before are rendered.
            let key = super::desk::JobKey { farm: Arc::clone(&link.farm), job };
            drop(shared.assets.prepare(shared, &key, &grant.spec));
        }
        shared.desk.send_if_modified(|desk| {
            let changed = !reply.is_empty();
            desk.drop_frames(&reply.drop);
            if let Some(grant) = reply.grant {
                desk.grant(&link.farm, *grant);
            }
            changed
        });
    }
}

/// Signs of life: in the master's rhythm, and as soon as a frame begins or the slave is set otherwise.
pub async fn beat(shared: Arc<Shared>) {
    let mut shown = shared.snapshot.subscribe();
    let mut link = shared.link.subscribe();
    loop {
        let Ok(here) = link.wait_for(Option::is_some).await.map(|link| link.clone()) else { return };
        let Some(here) = here else { continue };
        let (now, told) = {
            let shown = shown.borrow_and_update();
            let now = shown.job.zip(shown.frame).map(|(job, frame)| Progress {
                job: netrender_core::ids::JobId(job),
                frame: netrender_core::ids::Frame(frame),
                text: shown.progress.clone(),
            });
            (now, (shown.job, shown.frame))
        };
        let (log, told_log) = shared.tail.news().unzip();
        let set = shared.settings.changes();
        let report = Some(shared.report());
        match here.api.heartbeat(here.slave, &Heartbeat { now, log, report }).await {
            Ok(()) => told_log.into_iter().for_each(|told| shared.tail.told(told)),
            // The poll notices too, and does something about it.
            Err(error) => tracing::debug!(target: "netrender::slave", %error, "heartbeat"),
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
