//! `/stats` and `/sizes`: figures of the farm.

use super::error::JsonReply;
use crate::app::App;
use axum::{Json, extract::State};
use netrender_core::wire::{JobSize, Stats};
use std::sync::Arc;

/// Figures of the farm.
#[utoipa::path(get, path = "/stats", tag = "farm", responses((status = OK, body = Stats)))]
pub(super) async fn stats(State(app): State<App>) -> JsonReply<Arc<Stats>> {
    Ok(Json(app.figures.stats().await?))
}

/// Bytes that each job's films have on the master's disk.
#[utoipa::path(get, path = "/sizes", tag = "farm", responses((status = OK, body = [JobSize])))]
pub(super) async fn sizes(State(app): State<App>) -> JsonReply<Vec<JobSize>> {
    Ok(Json(app.figures.sizes().await?))
}
