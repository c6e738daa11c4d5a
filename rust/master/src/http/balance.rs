//! `/balance`: the policy by which slaves are distributed among jobs.

use super::{
    error::JsonReply,
    extract::{IfMatch, JsonBody},
};
use crate::app::App;
use axum::{Json, extract::State};
use netrender_core::{
    decide::Command,
    model::{farm::Farm, policy::Policy},
    wire::{BalanceView, EditReply},
};

/// The policy by which jobs get slaves, in numbers and in words.
#[utoipa::path(get, path = "/balance", tag = "farm", responses((status = OK, body = BalanceView)))]
pub(super) async fn balance(State(app): State<App>) -> JsonReply<BalanceView> {
    let view = |farm: &Farm| BalanceView {
        edits: farm.policy_edits,
        policy: farm.policy,
        usual: Policy::default(),
        words: farm.policy.in_words(),
    };
    Ok(Json(app.farm.read(view).await?))
}

/// Replaces the policy by which jobs get slaves; absent fields have their default.
///
/// With `If-Match: <edits of the policy>` it is refused if it was changed meanwhile.
#[utoipa::path(
    put, path = "/balance", tag = "farm",
    params(("If-Match" = Option<String>, Header, description = "The number of the change that was seen")),
    request_body = Policy,
    responses((status = OK, body = EditReply)),
)]
pub(super) async fn set_balance(
    State(app): State<App>,
    IfMatch(seen): IfMatch,
    JsonBody(policy): JsonBody<Policy>,
) -> JsonReply<EditReply> {
    Ok(Json(EditReply { edits: app.farm.edit(Command::ChangePolicy { policy, seen }).await? }))
}
