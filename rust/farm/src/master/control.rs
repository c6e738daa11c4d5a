//! What people change from the monitor and the command line: a job's settings, frames to be rendered again, and what
//! a slave shall do.

use super::{
    error::MasterError,
    http::{App, Ours, job_id, slave_id, unexpected},
    space::{blobs_of_task, discard},
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use netrender_core::{
    edit::JobEdit,
    scheduler::{Command, Reply},
    slave::Duty,
    wire::{EditReply, RequeueRequest},
};

/// With `If-Match: <edits of the job>` it is refused when somebody else edited the job meanwhile.
pub async fn edit_job(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Ours(edit): Ours<JobEdit>,
) -> Result<Json<EditReply>, MasterError> {
    let command = Command::Edit { job: job_id(&id)?, edit, seen: seen(&headers)? };
    match app.owner.command(command).await? {
        Reply::Edited(edits) => Ok(Json(EditReply { edits })),
        other => Err(unexpected(&other)),
    }
}

fn seen(headers: &HeaderMap) -> Result<Option<u32>, MasterError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.trim_matches('"').parse();
    number.map(Some).map_err(|_| MasterError::BadRequest(format!("If-Match: {text:?} is not the number of an edit")))
}

/// Their pictures go at once.
pub async fn requeue_frames(
    State(app): State<App>,
    Path(id): Path<String>,
    Ours(RequeueRequest { frames }): Ours<RequeueRequest>,
) -> Result<StatusCode, MasterError> {
    let (id, chosen) = (job_id(&id)?, frames.clone());
    let pictures = app.owner.job(id, move |_, job| {
        let tasks = chosen.frames().into_iter().filter_map(|frame| job.tasks.get(&frame));
        tasks.flat_map(blobs_of_task).collect::<Vec<_>>()
    });
    let pictures = pictures.await?;
    app.owner.command(Command::RequeueFrames { job: id, frames }).await?;
    tokio::spawn(async move { discard(&app, pictures).await });
    Ok(StatusCode::NO_CONTENT)
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

pub async fn order_slave(
    State(app): State<App>,
    Path((id, verb)): Path<(String, String)>,
) -> Result<StatusCode, MasterError> {
    let slave = slave_id(&id)?;
    let duty = duty(&verb).ok_or_else(|| MasterError::NotFound(format!("slaves/{id}/{verb}")))?;
    app.owner.command(Command::Order { slave, duty }).await.map(|_| StatusCode::NO_CONTENT)
}
