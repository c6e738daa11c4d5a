//! Following the farm in the background, for panels. Reading the latest state never waits.

use super::connect::connect;
use futures_util::StreamExt;
use netrender_core::{model::slave::SlaveState, wire::FarmView};
use netrender_net::{
    api::{Api, ApiError},
    events::FarmEvent,
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

/// Shortest time between two states that readers see, and between two tries to connect.
const EVERY: Duration = Duration::from_secs(1);

/// State of the connection to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchState {
    /// No master was reached yet.
    Looking,
    /// The master answers.
    Connected,
    /// The master answered before and does not now.
    Reconnecting,
}

/// The farm at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct WatchSnapshot {
    /// State of the connection, for programs.
    pub state: WatchState,
    /// State in a sentence.
    pub message: String,
    /// Address of the master.
    pub master: String,
    /// Name of the farm.
    pub name: String,
    /// Lists of jobs and slaves as they were last fetched.
    #[serde(flatten)]
    pub farm: Arc<FarmView>,
}

/// Follows a farm until dropped.
pub struct Watcher {
    seen: watch::Receiver<WatchSnapshot>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Follows the master at this address, or the first one heard if it is empty.
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

    /// Returns the latest state.
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

/// Follows one master until the connection breaks.
async fn follow(api: &Api, seen: &watch::Sender<WatchSnapshot>) {
    let error = match api.info().await {
        Ok(info) => follow_lists(api, info.name, seen).await,
        Err(error) => error,
    };
    seen.send_modify(|seen| {
        if seen.state == WatchState::Connected {
            seen.state = WatchState::Reconnecting;
        }
        seen.message = error.to_string();
    });
}

/// Applies the events of the change feed and publishes the lists, the first time at once and then
/// at most every second.
async fn follow_lists(api: &Api, name: String, seen: &watch::Sender<WatchSnapshot>) -> ApiError {
    let events = match api.follow_farm().await {
        Ok(events) => events,
        Err(error) => return error,
    };
    let mut events = std::pin::pin!(events);
    let mut farm = FarmView::default();
    let mut due = None::<Instant>;
    let mut published = None::<Instant>;
    loop {
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.next() => {
                match event {
                    Some(Ok(FarmEvent::Farm(lists))) => farm = lists,
                    Some(Ok(FarmEvent::Change(change))) => {
                        if let Err(error) = farm.apply(change) {
                            return ApiError::NotAMaster { url: api.url(), why: error.to_string() };
                        }
                    }
                    Some(Err(error)) => return error,
                    None => return ApiError::Unreachable { url: api.url(), why: "it ended the connection".into() },
                }
                due = due.or_else(|| Some(published.map_or_else(Instant::now, |published| published + EVERY)));
            }
            () = wait => {
                seen.send_replace(connected(api, &name, &farm));
                (due, published) = (None, Some(Instant::now()));
            }
        }
    }
}

fn connected(api: &Api, name: &str, farm: &FarmView) -> WatchSnapshot {
    let slaves = match farm.slaves.iter().filter(|slave| slave.state == SlaveState::Ready).count() {
        0 => "no slave ready".to_owned(),
        1 => "1 slave ready".to_owned(),
        many => format!("{many} slaves ready"),
    };
    WatchSnapshot {
        state: WatchState::Connected,
        message: format!("Connected to {name}, {slaves}"),
        master: api.url(),
        name: name.to_owned(),
        farm: Arc::new(farm.clone()),
    }
}
