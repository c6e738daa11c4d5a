//! Jobs as clients and people handle them: sent, looked at, paused, stopped, deleted. Their settings are in `control.rs`.

use super::{Answer, App, Ours, blocking, job_id, slave_id, unexpected};
use crate::master::{error::MasterError, intake, view};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use netrender_core::{
    job::JobSpec,
    scheduler::{Command, Reply},
    wire::{JobDetail, MoreRequest, StopRequest, SubmitReply},
};

pub(in crate::master) async fn submit(
    State(app): State<App>,
    Ours(spec): Ours<JobSpec>,
) -> Result<(StatusCode, Json<SubmitReply>), MasterError> {
    let _found_stays = app.space.hold().await;
    let (blobs, pieces, manifest) = (app.blobs.clone(), app.pieces.clone(), spec.manifest);
    blocking(move || intake::check_files(&blobs, &pieces, manifest)).await??;
    match app.owner.command(Command::Submit(Box::new(spec))).await? {
        Reply::Accepted(job) => Ok((StatusCode::CREATED, Json(SubmitReply { job }))),
        other => Err(unexpected(&other)),
    }
}

pub(in crate::master) async fn job(State(app): State<App>, Path(id): Path<String>) -> Answer<JobDetail> {
    app.owner.job(job_id(&id)?, view::detail).await.map(Json)
}

pub(in crate::master) async fn change_job(
    State(app): State<App>,
    Path((id, verb)): Path<(String, String)>,
) -> Result<StatusCode, MasterError> {
    let id = job_id(&id)?;
    let command = match verb.as_str() {
        "pause" => Command::Pause(id),
        "resume" => Command::Resume(id),
        "cancel" => Command::Cancel(id),
        "requeue" => Command::Requeue(id),
        _ => return Err(MasterError::NotFound(format!("jobs/{id}/{verb}"))),
    };
    app.owner.command(command).await.map(|_| StatusCode::NO_CONTENT)
}

pub(in crate::master) async fn stop(
    State(app): State<App>,
    Path(id): Path<String>,
    Ours(StopRequest { frames }): Ours<StopRequest>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::Stop { job: job_id(&id)?, frames }).await.map(|_| StatusCode::NO_CONTENT)
}

pub(in crate::master) async fn more(
    State(app): State<App>,
    Path(id): Path<String>,
    Ours(MoreRequest { samples, frames }): Ours<MoreRequest>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::More { job: job_id(&id)?, samples, frames }).await.map(|_| StatusCode::NO_CONTENT)
}

/// Its files go in the background.
pub(in crate::master) async fn delete_job(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::Delete(job_id(&id)?)).await?;
    app.space.wake();
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::master) async fn blacklist(
    State(app): State<App>,
    path: Path<(String, String)>,
) -> Result<StatusCode, MasterError> {
    set_blacklist(&app, path, true).await
}

pub(in crate::master) async fn unblacklist(
    State(app): State<App>,
    path: Path<(String, String)>,
) -> Result<StatusCode, MasterError> {
    set_blacklist(&app, path, false).await
}

async fn set_blacklist(
    app: &App,
    Path((job, slave)): Path<(String, String)>,
    listed: bool,
) -> Result<StatusCode, MasterError> {
    let command = Command::Blacklist { job: job_id(&job)?, slave: slave_id(&slave)?, listed };
    app.owner.command(command).await.map(|_| StatusCode::NO_CONTENT)
}
