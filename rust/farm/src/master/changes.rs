//! What changes on the farm, told as it happens to pages that stay open: the lists once, then the rows that differ and of
//! these the fields that do. Made once for all who listen, and only while somebody does.

use super::http::App;
use axum::response::sse::Event as Sse;
use futures_util::{Stream, stream};
use netrender_core::{
    ids::{JobId, SlaveId},
    wire::FarmView,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::broadcast::{self, error::RecvError};

/// Changes kept for a listener with a slow line. Who falls further behind is told everything anew.
const KEPT: usize = 64;

/// Who listens, and what they know.
pub struct Changes {
    known: Mutex<Known>,
    told: broadcast::Sender<Arc<str>>,
}

/// The lists as all listeners know them, and as JSON once somebody new needed them.
#[derive(Default)]
struct Known {
    view: Arc<FarmView>,
    whole: Option<Arc<str>>,
}

/// A change from one of the lists' revisions to a later one.
#[derive(Serialize)]
struct Change {
    revision: u64,
    /// New rows whole; of others the fields that differ, and `id`.
    jobs: Vec<Value>,
    slaves: Vec<Value>,
    gone_jobs: Vec<JobId>,
    gone_slaves: Vec<SlaveId>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { known: Mutex::default(), told: broadcast::channel(KEPT).0 }
    }
}

impl Changes {
    /// The lists as JSON, and every change after them.
    fn listen(&self, now: impl FnOnce() -> Arc<FarmView>) -> (Arc<str>, broadcast::Receiver<Arc<str>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.told.receiver_count() == 0 {
            // Nobody listened, so nobody looked.
            *known = Known { view: now(), whole: None };
        }
        let told = self.told.subscribe();
        let whole = known.whole.take().unwrap_or_else(|| json(&*known.view));
        known.whole = Some(whole.clone());
        (whole, told)
    }

    fn tell(&self, view: Arc<FarmView>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.told.receiver_count() == 0 || view.revision == known.view.revision {
            return;
        }
        let (jobs, gone_jobs) = rows(&known.view.jobs, &view.jobs, |job| job.id);
        let (slaves, gone_slaves) = rows(&known.view.slaves, &view.slaves, |slave| slave.id);
        let change = Change { revision: view.revision, jobs, slaves, gone_jobs, gone_slaves };
        *known = Known { view, whole: None };
        // They may all have gone meanwhile.
        let _ = self.told.send(json(&change));
    }
}

/// The rows that differ, and the numbers of those that are gone.
fn rows<T: PartialEq + Serialize, I: Ord + Copy>(old: &[T], new: &[T], id: impl Fn(&T) -> I) -> (Vec<Value>, Vec<I>) {
    let mut before: BTreeMap<I, &T> = old.iter().map(|row| (id(row), row)).collect();
    let differing = new
        .iter()
        .filter_map(|row| match before.remove(&id(row)) {
            Some(same) if same == row => None,
            Some(other) => Some(fields(object(other), object(row))),
            None => Some(Value::Object(object(row))),
        })
        .collect();
    (differing, before.into_keys().collect())
}

fn fields(old: Map<String, Value>, mut new: Map<String, Value>) -> Value {
    new.retain(|name, value| name == "id" || old.get(name) != Some(value));
    Value::Object(new)
}

fn object(row: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn json(value: &impl Serialize) -> Arc<str> {
    serde_json::to_string(value).unwrap_or_default().into()
}

/// Tells those who listen, for ever.
pub async fn tend(app: App) {
    let mut view = app.owner.view();
    while view.changed().await.is_ok() {
        let now = view.borrow_and_update().clone();
        app.changes.tell(now);
    }
}

/// Event `farm` with the lists, then an event `change` for each change; `farm` again for who could not keep up.
pub fn stream(app: &App) -> impl Stream<Item = Result<Sse, Infallible>> + Send + use<> {
    let (changes, view) = (app.changes.clone(), app.owner.view());
    let nobody = None::<broadcast::Receiver<Arc<str>>>;
    stream::unfold((changes, view, nobody), |(changes, view, told)| async move {
        if let Some(mut told) = told {
            match told.recv().await {
                Ok(change) => {
                    return Some((Ok(Sse::default().event("change").data(&*change)), (changes, view, Some(told))));
                }
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) => {}
            }
        }
        let (whole, told) = changes.listen(|| view.borrow().clone());
        Some((Ok(Sse::default().event("farm").data(&*whole)), (changes, view, Some(told))))
    })
}
