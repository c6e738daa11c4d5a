//! Watching the farm in the background: what panels show. Reading never waits.

use super::connect;
use crate::api::Api;
use netrender_core::wire::{FarmView, MasterInfo};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};

/// How often the lists are asked for.
const EVERY: Duration = Duration::from_secs(1);

/// Whether there is a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchState {
    /// Nobody found yet.
    Looking,
    /// It answers.
    Connected,
    /// It did.
    Reconnecting,
}

/// A look at the farm.
#[derive(Clone, Debug, Serialize)]
pub struct WatchSnapshot {
    /// Whether there is a master.
    pub state: WatchState,
    /// In words.
    pub message: String,
    /// Its address.
    pub master: String,
    /// As people call it.
    pub name: String,
    /// The lists as they were last heard.
    #[serde(flatten)]
    pub farm: Arc<FarmView>,
}

/// Watches until dropped.
pub struct Watcher {
    seen: watch::Receiver<WatchSnapshot>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Starts watching the master at this address, or the first one heard.
    pub fn start(address: String) -> Self {
        let nothing = WatchSnapshot {
            state: WatchState::Looking,
            message: "Looking for a master".into(),
            master: address.clone(),
            name: String::new(),
            farm: Arc::default(),
        };
        let (sender, seen) = watch::channel(nothing);
        Self { seen, task: tokio::spawn(run(address, sender)) }
    }

    /// What was last seen.
    pub fn snapshot(&self) -> WatchSnapshot {
        self.seen.borrow().clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(address: String, seen: watch::Sender<WatchSnapshot>) {
    loop {
        match connect(&address).await {
            Ok(api) => follow(&api, &seen).await,
            Err(error) => {
                seen.send_modify(|seen| seen.message = error.to_string());
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Until the master stops answering.
async fn follow(api: &Api, seen: &watch::Sender<WatchSnapshot>) {
    let Ok(MasterInfo { name, .. }) = api.info().await else { return };
    loop {
        match api.farm().await {
            Ok(farm) => {
                let ready = farm.slaves.iter().filter(|s| s.state == netrender_core::slave::SlaveState::Ready).count();
                let slaves = match ready {
                    0 => "no slave ready".to_owned(),
                    1 => "1 slave ready".to_owned(),
                    many => format!("{many} slaves ready"),
                };
                let message = format!("Connected to {name}, {slaves}");
                let now = WatchSnapshot {
                    state: WatchState::Connected,
                    message,
                    master: api.url(),
                    name: name.clone(),
                    farm: Arc::new(farm),
                };
                seen.send_replace(now);
            }
            Err(error) => {
                seen.send_modify(|seen| {
                    seen.state = WatchState::Reconnecting;
                    seen.message = error.to_string();
                });
                return;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
