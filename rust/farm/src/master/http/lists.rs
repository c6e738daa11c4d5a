//! The farm in lists, and the events that say that they changed.

use super::{Answer, App, blocking};
use crate::master::{changes, error::MasterError};
use axum::{
    Json,
    extract::{Query, State},
    response::{
        IntoResponse, Response,
        sse::{Event as Sse, KeepAlive, Sse as SseStream},
    },
};
use futures_util::stream;
use netrender_core::wire::{FarmView, MasterInfo};
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc, time::Duration};

pub(super) async fn info(State(app): State<App>) -> Answer<MasterInfo> {
    let (data, mut info) = (app.data.clone(), (*app.info).clone());
    info.free_bytes = blocking(move || fs4::available_space(&data).ok()).await?;
    Ok(Json(info))
}

pub(super) async fn farm(State(app): State<App>) -> Answer<Arc<FarmView>> {
    app.owner.fresh().await.map(Json)
}

pub(super) async fn jobs(State(app): State<App>) -> Result<Response, MasterError> {
    Ok(Json(&app.owner.fresh().await?.jobs).into_response())
}

pub(super) async fn slaves(State(app): State<App>) -> Result<Response, MasterError> {
    Ok(Json(&app.owner.fresh().await?.slaves).into_response())
}

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    /// `farm`: what changed, too.
    #[serde(default)]
    what: String,
}

/// The revision each time anything changed, and whoever cares asks for what it shows; or, asked for `what=farm`, the lists
/// and then what changed in them.
pub(super) async fn events(State(app): State<App>, Query(asked): Query<EventsQuery>) -> Response {
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
