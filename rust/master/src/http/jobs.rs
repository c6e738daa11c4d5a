//! `/jobs`: the list, and one job: submitted, shown, edited, paused, stopped, deleted.

use super::{
    error::{HttpError, JsonReply},
    extract::{IfMatch, JobPath, JobSlavePath, JsonBody, PathParams, QueryParams},
};
use crate::app::App;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use netrender_core::{
    decide::Command,
    model::{ids::JobId, job_settings::JobEdit, spec::JobSpec},
    wire::{EditReply, JobDetail, JobProgress, JobSummary, JobVerb, JobView, MoreRequest, StopRequest, SubmitReply},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// All jobs.
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses((status = OK, body = [JobView])))]
pub(super) async fn jobs(State(app): State<App>) -> Result<Response, HttpError> {
    Ok(Json(&app.farm.latest_rows().await?.jobs).into_response())
}

/// Queues a job.
///
/// Its manifest and all pieces of its files must have been sent before. The same key again is the
/// same job.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs",
    request_body = JobSpec,
    responses((status = CREATED, body = SubmitReply)),
)]
pub(super) async fn submit(
    State(app): State<App>,
    JsonBody(spec): JsonBody<JobSpec>,
) -> Result<(StatusCode, Json<SubmitReply>), HttpError> {
    let job = app.jobs.submit(spec).await?;
    Ok((StatusCode::CREATED, Json(SubmitReply { job })))
}

/// A job with its frames.
#[utoipa::path(get, path = "/jobs/{job}", tag = "jobs", params(JobPath), responses((status = OK, body = JobDetail)))]
pub(super) async fn job(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
) -> JsonReply<JobDetail> {
    Ok(Json(app.farm.detail(job).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ProgressQuery {
    /// True to get the frames that are done, too.
    #[serde(default)]
    frames: bool,
}

/// How far a job is: a short answer, however many frames it has.
#[utoipa::path(
    get, path = "/jobs/{job}/progress", tag = "jobs",
    params(JobPath, ProgressQuery),
    responses((status = OK, body = JobProgress)),
)]
pub(super) async fn progress(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    QueryParams(ProgressQuery { frames }): QueryParams<ProgressQuery>,
) -> JsonReply<JobProgress> {
    Ok(Json(app.farm.progress(job, frames).await?))
}

/// The facts about a job that its row in the list does not have: a short answer, however many
/// frames it has.
#[utoipa::path(
    get, path = "/jobs/{job}/summary", tag = "jobs",
    params(JobPath),
    responses((status = OK, body = JobSummary)),
)]
pub(super) async fn summary(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
) -> JsonReply<JobSummary> {
    Ok(Json(JobSummary::of(app.farm.detail(job).await?)))
}

/// Changes settings of a job; absent ones stay.
///
/// With `If-Match: <edits of the job>` it is refused if the job was edited meanwhile.
#[utoipa::path(
    patch, path = "/jobs/{job}", tag = "jobs",
    params(JobPath, ("If-Match" = Option<String>, Header, description = "The number of the edit that was seen")),
    request_body = JobEdit,
    responses((status = OK, body = EditReply)),
)]
pub(super) async fn edit_job(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    IfMatch(seen): IfMatch,
    JsonBody(edit): JsonBody<JobEdit>,
) -> JsonReply<EditReply> {
    Ok(Json(EditReply { edits: app.farm.edit(Command::Edit { job, edit, seen }).await? }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Change {
    /// The job's number.
    #[param(value_type = u32, example = 1)]
    job: JobId,
    /// The verb.
    #[param(value_type = JobVerb, inline)]
    verb: String,
}

/// Pauses, resumes or cancels a job, or renders all its failed frames again.
#[utoipa::path(post, path = "/jobs/{job}/{verb}", tag = "jobs", params(Change), responses((status = NO_CONTENT)))]
pub(super) async fn change_job(
    State(app): State<App>,
    PathParams(Change { job, verb }): PathParams<Change>,
) -> Result<StatusCode, HttpError> {
    let command = match verb.parse().map_err(|_| HttpError::NotFound(format!("jobs/{job}/{verb}")))? {
        JobVerb::Pause => Command::Pause(job),
        JobVerb::Resume => Command::Resume(job),
        JobVerb::Cancel => Command::Cancel(job),
        JobVerb::Requeue => Command::Requeue(job),
    };
    command_only(&app, command).await
}

/// Finishes frames that several slaves render together with the samples they have.
#[utoipa::path(
    post, path = "/jobs/{job}/stop", tag = "jobs",
    params(JobPath),
    request_body = StopRequest,
    responses((status = NO_CONTENT)),
)]
pub(super) async fn stop(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    JsonBody(StopRequest { frames }): JsonBody<StopRequest>,
) -> Result<StatusCode, HttpError> {
    command_only(&app, Command::Stop { job, frames }).await
}

/// Gives frames more samples.
#[utoipa::path(
    post, path = "/jobs/{job}/more", tag = "jobs",
    params(JobPath),
    request_body = MoreRequest,
    responses((status = NO_CONTENT)),
)]
pub(super) async fn more(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    JsonBody(MoreRequest { samples, frames }): JsonBody<MoreRequest>,
) -> Result<StatusCode, HttpError> {
    command_only(&app, Command::More { job, samples, frames }).await
}

/// Deletes a job. Its files are deleted in the background.
#[utoipa::path(delete, path = "/jobs/{job}", tag = "jobs", params(JobPath), responses((status = NO_CONTENT)))]
pub(super) async fn delete_job(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
) -> Result<StatusCode, HttpError> {
    app.jobs.delete(job).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keeps a slave away from a job.
#[utoipa::path(
    put, path = "/jobs/{job}/blacklist/{slave}", tag = "jobs",
    params(JobSlavePath),
    responses((status = NO_CONTENT)),
)]
pub(super) async fn blacklist(
    State(app): State<App>,
    PathParams(JobSlavePath { job, slave }): PathParams<JobSlavePath>,
) -> Result<StatusCode, HttpError> {
    command_only(&app, Command::Blacklist { job, slave, listed: true }).await
}

/// Allows a slave to render a job again.
#[utoipa::path(
    delete, path = "/jobs/{job}/blacklist/{slave}", tag = "jobs",
    params(JobSlavePath),
    responses((status = NO_CONTENT)),
)]
pub(super) async fn unblacklist(
    State(app): State<App>,
    PathParams(JobSlavePath { job, slave }): PathParams<JobSlavePath>,
) -> Result<StatusCode, HttpError> {
    command_only(&app, Command::Blacklist { job, slave, listed: false }).await
}

async fn command_only(app: &App, command: Command) -> Result<StatusCode, HttpError> {
    app.farm.command(command).await?;
    Ok(StatusCode::NO_CONTENT)
}
