//! What people change from the monitor and the command line: a job's settings, frames to be rendered again, and what
//! a slave shall do.

use super::{
    error::MasterError,
    http::{App, At, OfJob, OfSlave, Ours, unexpected},
    space::{blobs_of_task, discard},
    view,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use netrender_core::{
    edit::JobEdit,
    error::Refusal,
    ids::SlaveId,
    scheduler::{Command, Reply},
    settings::SlaveEdit,
    slave::Duty,
    wire::{EditReply, RequeueRequest, SettingsView, SlaveDetail},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Changes settings of a job; absent ones stay.
///
/// With `If-Match: <edits of the job>` it is refused when somebody else edited the job meanwhile.
#[utoipa::path(
    patch, path = "/jobs/{job}", tag = "jobs",
    params(OfJob, ("If-Match" = Option<String>, Header, description = "The number of the edit that was seen")),
    request_body = JobEdit,
    responses((status = OK, body = EditReply)),
)]
pub async fn edit_job(
    State(app): State<App>,
    At(OfJob { job }): At<OfJob>,
    headers: HeaderMap,
    Ours(edit): Ours<JobEdit>,
) -> Result<Json<EditReply>, MasterError> {
    let command = Command::Edit { job, edit, seen: seen(&headers)? };
    match app.owner.command(command).await? {
        Reply::Edited(edits) => Ok(Json(EditReply { edits })),
        other => Err(unexpected(&other)),
    }
}

/// Which edit was seen by whoever edits.
pub(super) fn seen(headers: &HeaderMap) -> Result<Option<u32>, MasterError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.trim_matches('"').parse();
    number.map(Some).map_err(|_| MasterError::BadRequest(format!("If-Match: {text:?} is not the number of an edit")))
}

/// Renders frames again. Their pictures go at once.
#[utoipa::path(
    post, path = "/jobs/{job}/frames/requeue", tag = "frames",
    params(OfJob),
    request_body = RequeueRequest,
    responses((status = NO_CONTENT)),
)]
pub async fn requeue_frames(
    State(app): State<App>,
    At(OfJob { job }): At<OfJob>,
    Ours(RequeueRequest { frames }): Ours<RequeueRequest>,
) -> Result<StatusCode, MasterError> {
    let chosen = frames.clone();
    let pictures = app.owner.job(job, move |_, job| {
        let tasks = chosen.frames().into_iter().filter_map(|frame| job.tasks.get(&frame));
        tasks.flat_map(blobs_of_task).collect::<Vec<_>>()
    });
    let pictures = pictures.await?;
    app.owner.command(Command::RequeueFrames { job, frames }).await?;
    tokio::spawn(async move { discard(&app, pictures).await });
    Ok(StatusCode::NO_CONTENT)
}

/// A slave, looked at closely.
#[utoipa::path(get, path = "/slaves/{slave}", tag = "slaves", params(OfSlave), responses((status = OK, body = SlaveDetail)))]
pub async fn slave(
    State(app): State<App>,
    At(OfSlave { slave }): At<OfSlave>,
) -> Result<Json<SlaveDetail>, MasterError> {
    let known = app
        .owner
        .slave(slave, |slave, report| (view::settings(slave, report), report.map(|report| report.cache_bytes)));
    let (settings, cache_bytes) = known.await?;
    let lists = app.owner.fresh().await?;
    let row = lists.slaves.iter().find(|row| row.id == slave).ok_or(Refusal::UnknownSlave(slave))?;
    Ok(Json(SlaveDetail { slave: row.clone(), settings, cache_bytes, log: app.live.end(slave) }))
}

/// What a slave is set to, and what of it is in use.
#[utoipa::path(
    get, path = "/slaves/{slave}/settings", tag = "slaves",
    params(OfSlave),
    responses((status = OK, body = SettingsView)),
)]
pub async fn settings(
    State(app): State<App>,
    At(OfSlave { slave }): At<OfSlave>,
) -> Result<Json<SettingsView>, MasterError> {
    app.owner.slave(slave, view::settings).await.map(Json)
}

/// Changes settings of a slave, running or not; absent ones stay, null means the slave's own.
///
/// With `If-Match: <edits of the slave>` it is refused when somebody else edited the slave meanwhile.
#[utoipa::path(
    patch, path = "/slaves/{slave}/settings", tag = "slaves",
    params(OfSlave, ("If-Match" = Option<String>, Header, description = "The number of the edit that was seen")),
    request_body = SlaveEdit,
    responses((status = OK, body = EditReply)),
)]
pub async fn edit_slave(
    State(app): State<App>,
    At(OfSlave { slave }): At<OfSlave>,
    headers: HeaderMap,
    Ours(edit): Ours<SlaveEdit>,
) -> Result<Json<EditReply>, MasterError> {
    let command = Command::EditSlave { slave, edit: Box::new(edit), seen: seen(&headers)? };
    match app.owner.command(command).await? {
        Reply::Edited(edits) => Ok(Json(EditReply { edits })),
        other => Err(unexpected(&other)),
    }
}

/// `None`: no such verb.
fn duty(verb: &str) -> Option<Duty> {
    Some(match verb {
        "resume" => Duty::Work,
        "pause" => Duty::Pause,
        "drain" => Duty::Drain,
        "stop" => Duty::Stop,
        _ => return None,
    })
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Order {
    /// The slave's number.
    #[param(value_type = u32, example = 1)]
    slave: SlaveId,
    /// What to do.
    #[param(pattern = "^(pause|resume|drain|stop)$")]
    verb: String,
}

/// Pauses a slave, lets it go on, lets it end after what it has, or stops it.
#[utoipa::path(post, path = "/slaves/{slave}/{verb}", tag = "slaves", params(Order), responses((status = NO_CONTENT)))]
pub async fn order_slave(
    State(app): State<App>,
    At(Order { slave, verb }): At<Order>,
) -> Result<StatusCode, MasterError> {
    let duty = duty(&verb).ok_or_else(|| MasterError::NotFound(format!("slaves/{slave}/{verb}")))?;
    app.owner.command(Command::Order { slave, duty }).await.map(|_| StatusCode::NO_CONTENT)
}
