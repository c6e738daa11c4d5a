//! Jobs as clients and people handle them: sent, looked at, paused, stopped, deleted. Their settings are in `control.rs`.

use super::{Answer, App, At, OfJob, OfJobAndSlave, Ours, blocking, unexpected};
use crate::master::{error::MasterError, intake, view};
use axum::{Json, extract::State, http::StatusCode};
use netrender_core::{
    ids::JobId,
    job::JobSpec,
    scheduler::{Command, Reply},
    wire::{JobDetail, MoreRequest, StopRequest, SubmitReply},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Queues a job.
///
/// Its list of files and all pieces of them must be there. Sent again with the same key it is the same job.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs",
    request_body = JobSpec,
    responses((status = CREATED, body = SubmitReply)),
)]
pub(super) async fn submit(
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

/// A job with its frames.
#[utoipa::path(get, path = "/jobs/{job}", tag = "jobs", params(OfJob), responses((status = OK, body = JobDetail)))]
pub(super) async fn job(State(app): State<App>, At(OfJob { job }): At<OfJob>) -> Answer<JobDetail> {
    app.owner.job(job, view::detail).await.map(Json)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Change {
    /// The job's number.
    #[param(value_type = u32, example = 1)]
    job: JobId,
    /// What to do.
    #[param(pattern = "^(pause|resume|cancel|requeue)$")]
    verb: String,
}

/// Pauses a job, lets it go on, cancels it, or renders all its frames that failed again.
#[utoipa::path(post, path = "/jobs/{job}/{verb}", tag = "jobs", params(Change), responses((status = NO_CONTENT)))]
pub(super) async fn change_job(
    State(app): State<App>,
    At(Change { job, verb }): At<Change>,
) -> Result<StatusCode, MasterError> {
    let command = match verb.as_str() {
        "pause" => Command::Pause(job),
        "resume" => Command::Resume(job),
        "cancel" => Command::Cancel(job),
        "requeue" => Command::Requeue(job),
        _ => return Err(MasterError::NotFound(format!("jobs/{job}/{verb}"))),
    };
    app.owner.command(command).await.map(|_| StatusCode::NO_CONTENT)
}

/// Hands frames over as they are that several slaves render together.
#[utoipa::path(
    post, path = "/jobs/{job}/stop", tag = "jobs",
    params(OfJob),
    request_body = StopRequest,
    responses((status = NO_CONTENT)),
)]
pub(super) async fn stop(
    State(app): State<App>,
    At(OfJob { job }): At<OfJob>,
    Ours(StopRequest { frames }): Ours<StopRequest>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::Stop { job, frames }).await.map(|_| StatusCode::NO_CONTENT)
}

/// Gives frames more samples.
#[utoipa::path(
    post, path = "/jobs/{job}/more", tag = "jobs",
    params(OfJob),
    request_body = MoreRequest,
    responses((status = NO_CONTENT)),
)]
pub(super) async fn more(
    State(app): State<App>,
    At(OfJob { job }): At<OfJob>,
    Ours(MoreRequest { samples, frames }): Ours<MoreRequest>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::More { job, samples, frames }).await.map(|_| StatusCode::NO_CONTENT)
}

/// Deletes a job. Its files go in the background.
#[utoipa::path(delete, path = "/jobs/{job}", tag = "jobs", params(OfJob), responses((status = NO_CONTENT)))]
pub(super) async fn delete_job(
    State(app): State<App>,
    At(OfJob { job }): At<OfJob>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::Delete(job)).await?;
    app.space.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Keeps a slave off a job.
#[utoipa::path(
    put, path = "/jobs/{job}/blacklist/{slave}", tag = "jobs",
    params(OfJobAndSlave),
    responses((status = NO_CONTENT)),
)]
pub(super) async fn blacklist(State(app): State<App>, at: At<OfJobAndSlave>) -> Result<StatusCode, MasterError> {
    set_blacklist(&app, at, true).await
}

/// Lets a slave at a job again.
#[utoipa::path(
    delete, path = "/jobs/{job}/blacklist/{slave}", tag = "jobs",
    params(OfJobAndSlave),
    responses((status = NO_CONTENT)),
)]
pub(super) async fn unblacklist(State(app): State<App>, at: At<OfJobAndSlave>) -> Result<StatusCode, MasterError> {
    set_blacklist(&app, at, false).await
}

async fn set_blacklist(
    app: &App,
    At(OfJobAndSlave { job, slave }): At<OfJobAndSlave>,
    listed: bool,
) -> Result<StatusCode, MasterError> {
    let command = Command::Blacklist { job, slave, listed };
    app.owner.command(command).await.map(|_| StatusCode::NO_CONTENT)
}
