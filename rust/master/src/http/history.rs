//! `/timeline`, `/history` and `/errors`: the farm's past.

use super::{error::JsonReply, extract::QueryParams};
use crate::app::App;
use axum::{Json, extract::State};
use netrender_core::{
    durable::chronicle::Happening,
    model::ids::{SlaveId, Timestamp},
    wire::ActivityView,
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Entries of the history by default.
const HAPPENINGS: u32 = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineQuery {
    from_ms: Option<u64>,
    to_ms: Option<u64>,
    slave: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    limit: Option<u32>,
}

/// Activities of slaves: the latest 20,000 in order of their ends, then those that have not
/// ended; of the last hour by default.
#[utoipa::path(get, path = "/timeline", tag = "farm", params(TimelineQuery), responses((status = OK, body = [ActivityView])))]
pub(super) async fn timeline(
    State(app): State<App>,
    QueryParams(query): QueryParams<TimelineQuery>,
) -> JsonReply<Vec<ActivityView>> {
    let (from, to) = (query.from_ms.map(Timestamp), query.to_ms.map(Timestamp));
    Ok(Json(app.figures.timeline(from, to, query.slave.map(SlaveId)).await?))
}

/// Happenings, newest first; 100 by default, 1,000 at most.
#[utoipa::path(
    get, path = "/history", tag = "farm",
    params(HistoryQuery),
    responses((status = OK, body = [Happening])),
)]
pub(super) async fn history(
    State(app): State<App>,
    QueryParams(query): QueryParams<HistoryQuery>,
) -> JsonReply<Vec<Happening>> {
    Ok(Json(app.figures.happenings(query.limit.unwrap_or(HAPPENINGS)).await?))
}

/// Failures of the last day, newest first.
#[utoipa::path(get, path = "/errors", tag = "farm", responses((status = OK, body = [Happening])))]
pub(super) async fn errors(State(app): State<App>) -> JsonReply<Vec<Happening>> {
    Ok(Json(app.figures.failures().await?))
}
