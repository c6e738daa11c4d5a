//! `/farm`: all jobs and slaves.

use super::error::JsonReply;
use crate::app::App;
use axum::{Json, extract::State};
use netrender_core::wire::FarmView;
use std::sync::Arc;

/// All jobs and slaves.
#[utoipa::path(get, path = "/farm", tag = "farm", responses((status = OK, body = FarmView)))]
pub(super) async fn farm(State(app): State<App>) -> JsonReply<Arc<FarmView>> {
    Ok(Json(app.farm.latest_rows().await?))
}
