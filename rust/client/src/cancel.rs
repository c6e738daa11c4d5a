//! Canceling all jobs.

use super::error::ClientError;
use netrender_core::{
    model::job::JobState,
    wire::{ErrorCode, JobVerb},
};
use netrender_net::api::Api;

/// Cancels every job that has not ended. A job that ends meanwhile is no error.
pub async fn cancel_all(api: &Api) -> Result<(), ClientError> {
    for job in api.farm().await?.jobs {
        if !matches!(job.state, JobState::Active | JobState::Paused) {
            continue;
        }
        match api.change_job(job.id, JobVerb::Cancel).await {
            Err(error) if error.is_code(ErrorCode::WrongState) || error.is_code(ErrorCode::UnknownJob) => {}
            other => other?,
        }
    }
    Ok(())
}
