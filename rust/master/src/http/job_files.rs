//! `/jobs/{job}/files`: the files a job needs, for people: where they are on the artist's machine,
//! how large, of what kind, and whether the master has them whole.

use super::{
    error::JsonReply,
    extract::{JobPath, PathParams, QueryParams},
};
use crate::app::App;
use axum::{Json, extract::State};
use netrender_core::wire::FilesView;
use serde::Deserialize;
use utoipa::IntoParams;

/// Files in one answer by default, and at most.
const FILES: usize = 1_000;
const MAX_FILES: usize = 10_000;

/// The part of the list that is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FilesQuery {
    /// Number of files before the first that is wanted.
    #[serde(default)]
    skip: usize,
    /// Most files in the answer: 1,000 by default, 10,000 at most.
    limit: Option<usize>,
}

/// The files a job needs, and how many pieces of each are missing.
#[utoipa::path(
    get, path = "/jobs/{job}/files", tag = "jobs",
    params(JobPath, FilesQuery),
    responses((status = OK, body = FilesView)),
)]
pub(super) async fn files(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    QueryParams(FilesQuery { skip, limit }): QueryParams<FilesQuery>,
) -> JsonReply<FilesView> {
    let manifest = app.farm.job(job, |_, job| job.spec.manifest).await?;
    Ok(Json(app.job_files.list(manifest, skip, limit.unwrap_or(FILES).min(MAX_FILES)).await?))
}
