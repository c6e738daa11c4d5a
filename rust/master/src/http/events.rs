//! `/events`: server-sent events that say that the farm's lists changed, or how.

use super::extract::QueryParams;
use crate::{app::App, services::change_feed::FeedEvent};
use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use netrender_core::wire::FarmView;
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::watch;
use utoipa::IntoParams;

/// Time for which a burst of changes is gathered into one `revision`.
const GATHER: Duration = Duration::from_millis(50);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// `farm`: the lists and their changes instead of revisions.
    #[serde(default)]
    what: String,
}

/// Server-sent events until the client disconnects.
///
/// An event `revision` each time anything changes. With `what=farm` instead an event `farm` with
/// the whole lists, then an event `change` for each change of them: new rows whole, of others the
/// fields that differ and the `id`, and the ids of those that are gone. `farm` comes again if the
/// client was too slow to receive every change.
#[utoipa::path(
    get, path = "/events", tag = "farm",
    params(EventsQuery),
    responses((status = OK, body = String, content_type = "text/event-stream")),
)]
pub(super) async fn events(State(app): State<App>, QueryParams(query): QueryParams<EventsQuery>) -> Response {
    if query.what == "farm" {
        let events = app.feed.listen().map(|event| Ok::<_, Infallible>(sse(event)));
        return Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    }
    Sse::new(revisions(app.farm.rows())).keep_alive(KeepAlive::default()).into_response()
}

fn sse(event: FeedEvent) -> SseEvent {
    match event {
        FeedEvent::Farm(lists) => SseEvent::default().event("farm").data(&*lists),
        FeedEvent::Change(change) => SseEvent::default().event("change").data(&*change),
    }
}

/// The revision of the lists now, and each later one.
fn revisions(rows: watch::Receiver<Arc<FarmView>>) -> impl futures_util::Stream<Item = Result<SseEvent, Infallible>> {
    stream::unfold((rows, true), |(mut rows, is_first)| async move {
        if !is_first {
            rows.changed().await.ok()?;
            tokio::time::sleep(GATHER).await;
        }
        let revision = rows.borrow_and_update().revision;
        Some((Ok(SseEvent::default().event("revision").data(revision.to_string())), (rows, false)))
    })
}
