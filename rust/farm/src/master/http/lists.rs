//! The farm in lists, and the events that say that they changed.

use super::{Answer, App, Asked, blocking};
use crate::master::{changes, error::MasterError};
use axum::{
    Json,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event as Sse, KeepAlive, Sse as SseStream},
    },
};
use futures_util::stream;
use netrender_core::wire::{FarmView, JobView, MasterInfo, SlaveView};
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc, time::Duration};
use utoipa::IntoParams;

/// Which master this is.
#[utoipa::path(get, path = "/info", tag = "farm", responses((status = OK, body = MasterInfo)))]
pub(super) async fn info(State(app): State<App>) -> Answer<MasterInfo> {
    let (data, mut info) = (app.data.clone(), (*app.info).clone());
    info.free_bytes = blocking(move || fs4::available_space(&data).ok()).await?;
    Ok(Json(info))
}

/// All jobs and slaves.
#[utoipa::path(get, path = "/farm", tag = "farm", responses((status = OK, body = FarmView)))]
pub(super) async fn farm(State(app): State<App>) -> Answer<Arc<FarmView>> {
    app.owner.fresh().await.map(Json)
}

/// All jobs.
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses((status = OK, body = [JobView])))]
pub(super) async fn jobs(State(app): State<App>) -> Result<Response, MasterError> {
    Ok(Json(&app.owner.fresh().await?.jobs).into_response())
}

/// All slaves.
#[utoipa::path(get, path = "/slaves", tag = "slaves", responses((status = OK, body = [SlaveView])))]
pub(super) async fn slaves(State(app): State<App>) -> Result<Response, MasterError> {
    Ok(Json(&app.owner.fresh().await?.slaves).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// `farm`: what changed, too.
    #[serde(default)]
    what: String,
}

/// Server-sent events, for as long as somebody listens.
///
/// `revision` each time anything changed, and whoever cares asks for what it shows; or, asked for `what=farm`, the lists
/// and then what changed in them.
#[utoipa::path(
    get, path = "/events", tag = "farm",
    params(EventsQuery),
    responses((status = OK, body = String, content_type = "text/event-stream")),
)]
pub(super) async fn events(State(app): State<App>, Asked(asked): Asked<EventsQuery>) -> Response {
    if asked.what == "farm" {
        return SseStream::new(changes::stream(&app)).keep_alive(KeepAlive::default()).into_response();
    }
    let changes = stream::unfold((app.owner.view(), true), |(mut view, first)| async move {
        if !first {
            view.changed().await.ok()?;
            // A burst of changes is one message.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let revision = view.borrow_and_update().revision;
        Some((Ok::<_, Infallible>(Sse::default().event("revision").data(revision.to_string())), (view, false)))
    });
    SseStream::new(changes).keep_alive(KeepAlive::default()).into_response()
}
