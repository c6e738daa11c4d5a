//! Tries whether the slave's Blender can draw. EEVEE, Workbench and Grease Pencil need a display, or
//! software that draws without one; a Blender that has neither aborts.

use super::worker::{Launch, Worker, protocol::Ask};
use serde_json::Value;
use std::time::Duration;

/// Time that a picture of a few pixels may take. Software that draws compiles its shaders first.
const PATIENCE: Duration = Duration::from_secs(120);

/// True if the Blender can draw. It is tried in a Blender of its own, because one that can't dies.
pub async fn try_to_draw(launch: &Launch) -> bool {
    let Ok(mut worker) = Worker::start(launch, None).await else {
        // The scene's own worker will not start either, and then says why.
        return true;
    };
    let drawn = tokio::time::timeout(PATIENCE, worker.ask::<Value>(Ask::Draw, |_| ())).await;
    worker.kill().await;
    match drawn {
        Ok(Ok(_)) => return true,
        Ok(Err(error)) => tracing::warn!("Blender can't draw, so scenes that need it are left to others: {error:?}"),
        Err(_) => tracing::warn!(
            "Blender did not draw within {} s, so scenes that need it are left to others",
            PATIENCE.as_secs()
        ),
    }
    false
}
