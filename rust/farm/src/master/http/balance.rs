//! Who gets the next slave.

use super::{Answer, App, Ours, unexpected};
use crate::master::control::seen;
use axum::{Json, extract::State, http::HeaderMap};
use netrender_core::{
    farm::Farm,
    rules::Rules,
    scheduler::{Command, Reply},
    wire::{BalanceView, EditReply},
};

/// Who gets the next slave: what it goes by, in numbers and in words.
#[utoipa::path(get, path = "/balance", tag = "farm", responses((status = OK, body = BalanceView)))]
pub(super) async fn balance(State(app): State<App>) -> Answer<BalanceView> {
    let view = |farm: &Farm| BalanceView {
        edits: farm.rule_edits,
        rules: farm.rules,
        usual: Rules::default(),
        words: farm.rules.in_words(),
    };
    app.owner.look(view).await.map(Json)
}

/// Changes who gets the next slave, from the next one on; what is absent is as usual.
///
/// With `If-Match: <edits of the balance>` it is refused when somebody else changed it meanwhile.
#[utoipa::path(
    put, path = "/balance", tag = "farm",
    params(("If-Match" = Option<String>, Header, description = "The number of the change that was seen")),
    request_body = Rules,
    responses((status = OK, body = EditReply)),
)]
pub(super) async fn set_balance(
    State(app): State<App>,
    headers: HeaderMap,
    Ours(rules): Ours<Rules>,
) -> Answer<EditReply> {
    let command = Command::ChangeRules { rules, seen: seen(&headers)? };
    match app.owner.command(command).await? {
        Reply::Edited(edits) => Ok(Json(EditReply { edits })),
        other => Err(unexpected(&other)),
    }
}
