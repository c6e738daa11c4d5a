//! The door from async code to blocking work: disk, database, films.

use super::error::MasterError;

/// Runs `work` on a thread that may block.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, MasterError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!("{error}");
        MasterError::Stopping
    })
}
