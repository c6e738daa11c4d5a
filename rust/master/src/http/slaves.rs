//! `/slaves` as people use it: the list, one in detail, its settings, and orders to it. Slaves' own
//! part is in `work.rs`.

use super::{
    error::{HttpError, JsonReply},
    extract::{IfMatch, JsonBody, PathParams, SlavePath},
};
use crate::{app::App, ledger::rows};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use netrender_core::{
    decide::Command,
    model::{
        ids::SlaveId,
        slave::Duty,
        slave_settings::{SettingInfo, SlaveEdit, SlaveSetting},
    },
    wire::{EditReply, SettingsView, SlaveDetail, SlaveVerb, SlaveView},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// All slaves.
#[utoipa::path(get, path = "/slaves", tag = "slaves", responses((status = OK, body = [SlaveView])))]
pub(super) async fn slaves(State(app): State<App>) -> Result<Response, HttpError> {
    Ok(Json(&app.farm.latest_rows().await?.slaves).into_response())
}

/// A slave in detail.
#[utoipa::path(get, path = "/slaves/{slave}", tag = "slaves", params(SlavePath), responses((status = OK, body = SlaveDetail)))]
pub(super) async fn slave(
    State(app): State<App>,
    PathParams(SlavePath { slave }): PathParams<SlavePath>,
) -> JsonReply<SlaveDetail> {
    Ok(Json(app.slaves.detail(slave).await?))
}

/// The settings of a slave: set remotely, its own, and in use.
#[utoipa::path(
    get, path = "/slaves/{slave}/settings", tag = "slaves",
    params(SlavePath),
    responses((status = OK, body = SettingsView)),
)]
pub(super) async fn settings(
    State(app): State<App>,
    PathParams(SlavePath { slave }): PathParams<SlavePath>,
) -> JsonReply<SettingsView> {
    Ok(Json(app.farm.slave(slave, rows::settings).await?))
}

/// Changes remote settings of a slave, running or not; absent ones stay, and null clears one.
///
/// With `If-Match: <edits of the slave>` it is refused if the slave was edited meanwhile.
#[utoipa::path(
    patch, path = "/slaves/{slave}/settings", tag = "slaves",
    params(SlavePath, ("If-Match" = Option<String>, Header, description = "The number of the edit that was seen")),
    request_body = SlaveEdit,
    responses((status = OK, body = EditReply)),
)]
pub(super) async fn edit_slave(
    State(app): State<App>,
    PathParams(SlavePath { slave }): PathParams<SlavePath>,
    IfMatch(seen): IfMatch,
    JsonBody(edit): JsonBody<SlaveEdit>,
) -> JsonReply<EditReply> {
    Ok(Json(EditReply { edits: app.farm.edit(Command::EditSlave { slave, edit: Box::new(edit), seen }).await? }))
}

/// Ranges, units, defaults and meanings of the settings that every slave has.
#[utoipa::path(get, path = "/slave-settings", tag = "slaves", responses((status = OK, body = Vec<SettingInfo>)))]
pub(super) async fn setting_infos() -> Json<Vec<SettingInfo>> {
    Json(SlaveSetting::ALL.iter().map(|setting| setting.info()).collect())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Order {
    /// The slave's number.
    #[param(value_type = u32, example = 1)]
    slave: SlaveId,
    /// The verb.
    #[param(value_type = SlaveVerb, inline)]
    verb: String,
}

/// Pauses or resumes a slave, stops it after the frames it has, or stops it now.
#[utoipa::path(post, path = "/slaves/{slave}/{verb}", tag = "slaves", params(Order), responses((status = NO_CONTENT)))]
pub(super) async fn order_slave(
    State(app): State<App>,
    PathParams(Order { slave, verb }): PathParams<Order>,
) -> Result<StatusCode, HttpError> {
    let duty = match verb.parse().map_err(|_| HttpError::NotFound(format!("slaves/{slave}/{verb}")))? {
        SlaveVerb::Resume => Duty::Work,
        SlaveVerb::Pause => Duty::Pause,
        SlaveVerb::Drain => Duty::Drain,
        SlaveVerb::Stop => Duty::Stop,
    };
    app.farm.command(Command::Order { slave, duty }).await?;
    Ok(StatusCode::NO_CONTENT)
}
