//! The change feed of the farm's lists, for pages and programs that stay connected: the lists once,
//! then the rows that differ and of these the fields that do. It is made once for all listeners,
//! and only while there are any.

use crate::ledger::farm_handle::FarmHandle;
use futures_util::{Stream, stream};
use netrender_core::wire::{FarmChange, FarmView};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::broadcast::{self, Receiver, Sender, WeakSender, error::RecvError};

/// Changes kept for a listener with a slow line. One that falls further behind gets the whole lists
/// again.
const KEPT: usize = 64;

/// An event of the feed, as JSON.
pub enum FeedEvent {
    /// The whole lists.
    Farm(Arc<str>),
    /// The differences since the previous event.
    Change(Arc<str>),
}

/// The feed as listeners see it.
pub struct ChangeFeed {
    farm: FarmHandle,
    known: Mutex<Known>,
    /// Ends with the publisher, and with it all listeners.
    changes: WeakSender<Arc<str>>,
}

/// The lists as all listeners know them.
#[derive(Default)]
struct Known {
    rows: Arc<FarmView>,
    /// The lists as JSON, once a new listener needed them.
    whole: Option<Arc<str>>,
}

/// The sending end of the feed.
pub struct Publisher {
    feed: Arc<ChangeFeed>,
    changes: Sender<Arc<str>>,
}

impl ChangeFeed {
    /// A feed that sends nothing before its publisher runs, and ends when that is dropped.
    pub fn new(farm: &FarmHandle) -> (Arc<Self>, Publisher) {
        let changes = broadcast::channel(KEPT).0;
        let feed = Arc::new(Self { farm: farm.clone(), known: Mutex::default(), changes: changes.downgrade() });
        (feed.clone(), Publisher { feed, changes })
    }

    /// [`FeedEvent::Farm`], then a [`FeedEvent::Change`] for each change; `Farm` again for a
    /// listener that could not keep up.
    pub fn listen(self: Arc<Self>) -> impl Stream<Item = FeedEvent> + Send {
        stream::unfold((self, None::<Receiver<_>>), |(feed, changes)| async move {
            if let Some(mut changes) = changes {
                match changes.recv().await {
                    Ok(change) => return Some((FeedEvent::Change(change), (feed, Some(changes)))),
                    Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(_)) => {}
                }
            }
            let (whole, changes) = feed.subscribe().await?;
            Some((FeedEvent::Farm(whole), (feed, Some(changes))))
        })
    }

    /// The lists as JSON with all commands before in them, and a receiver of every change after
    /// them; `None` after the end.
    async fn subscribe(&self) -> Option<(Arc<str>, Receiver<Arc<str>>)> {
        let rows = self.farm.latest_rows().await.ok()?;
        let sender = self.changes.upgrade()?;
        let mut known = self.known.lock();
        known.advance(rows, &sender);
        let changes = sender.subscribe();
        let whole = known.whole.take().unwrap_or_else(|| json(&*known.rows));
        known.whole = Some(whole.clone());
        Some((whole, changes))
    }
}

impl Known {
    /// Makes these lists the known ones, and sends listeners the difference.
    fn advance(&mut self, rows: Arc<FarmView>, listeners: &Sender<Arc<str>>) {
        if rows.revision <= self.rows.revision {
            return;
        }
        if listeners.receiver_count() > 0 {
            // All of them may leave meanwhile.
            let _ = listeners.send(json(&FarmChange::between(&self.rows, &rows)));
        }
        *self = Self { rows, whole: None };
    }
}

impl Publisher {
    /// Sends every change of the lists to the listeners until the farm's thread ends.
    pub async fn run(self) {
        let mut rows = self.feed.farm.rows();
        while rows.changed().await.is_ok() {
            let now = rows.borrow_and_update().clone();
            self.feed.known.lock().advance(now, &self.changes);
        }
    }
}

fn json(value: &impl Serialize) -> Arc<str> {
    serde_json::to_string(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_farm::TestFarm;
    use futures_util::StreamExt;
    use netrender_core::{decide::Command, model::job_settings::JobEdit};
    use serde_json::Value;

    fn change(event: Option<FeedEvent>) -> Value {
        match event {
            Some(FeedEvent::Change(change)) => serde_json::from_str(&change).unwrap(),
            Some(FeedEvent::Farm(_)) => panic!("the whole lists"),
            None => panic!("the feed ended"),
        }
    }

    fn whole(event: Option<FeedEvent>) -> Value {
        match event {
            Some(FeedEvent::Farm(lists)) => serde_json::from_str(&lists).unwrap(),
            Some(FeedEvent::Change(change)) => panic!("{change}"),
            None => panic!("the feed ended"),
        }
    }

    #[tokio::test]
    async fn a_listener_gets_the_lists_and_then_the_fields_that_change() {
        let house = TestFarm::new();
        let job = house.job("1-3").await;
        let (feed, publisher) = ChangeFeed::new(&house.farm);
        let running = tokio::spawn(publisher.run());
        let mut events = Box::pin(feed.clone().listen());
        let lists = whole(events.next().await);
        assert_eq!(lists["jobs"][0]["priority"], 50);

        let edit = JobEdit { priority: Some(7), ..JobEdit::default() };
        house.farm.command(Command::Edit { job, edit, seen: None }).await.unwrap();
        let edited = change(events.next().await);
        assert_eq!(edited["jobs"], serde_json::json!([{"id": job, "priority": 7, "edits": 1}]));
        assert!(edited["revision"].as_u64() > lists["revision"].as_u64());

        let slave = house.slave("anna").await;
        let joined = change(events.next().await);
        assert_eq!(
            (&joined["slaves"][0]["id"], &joined["slaves"][0]["name"]),
            (&serde_json::json!(slave), &"anna".into())
        );

        house.farm.command(Command::Delete(job)).await.unwrap();
        assert_eq!(change(events.next().await)["gone_jobs"], serde_json::json!([job]));
        running.abort();
        assert!(events.next().await.is_none(), "the feed ends with the master");
        assert!(feed.subscribe().await.is_none());
    }

    #[tokio::test]
    async fn a_listener_that_falls_behind_gets_the_whole_lists_again() {
        let house = TestFarm::new();
        let (feed, publisher) = ChangeFeed::new(&house.farm);
        let mut events = Box::pin(feed.clone().listen());
        whole(events.next().await);
        let _who_keeps_up = feed.subscribe().await;
        for revision in 1..=KEPT as u64 + 1 {
            let rows = Arc::new(FarmView { revision: 1000 + revision, ..FarmView::default() });
            feed.known.lock().advance(rows, &publisher.changes);
        }
        assert_eq!(whole(events.next().await)["revision"], 1000 + KEPT as u64 + 1);
    }
}
