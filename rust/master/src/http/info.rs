//! `/info`: the master's description of itself.

use super::error::JsonReply;
use crate::app::App;
use axum::{Json, extract::State};
use netrender_core::wire::MasterInfo;

/// The master's description of itself.
#[utoipa::path(get, path = "/info", tag = "farm", responses((status = OK, body = MasterInfo)))]
pub(super) async fn info(State(app): State<App>) -> JsonReply<MasterInfo> {
    Ok(Json(app.info().await?))
}
