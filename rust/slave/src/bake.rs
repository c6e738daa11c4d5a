//! Handing in a job's baked .blend. It is not kept over a restart of the slave: another slave, or
//! this one, bakes again.

use super::{
    connection::Link,
    failure::failure,
    hand_in::{LogSource, report_failure},
    shared::Shared,
    task::Task,
};
use netrender_core::{model::result::FailureKind, wire::BakeRequest};
use netrender_net::api::ApiError;
use netrender_store::blobs::{digest_of, digest_of_file};
use std::path::PathBuf;
use tempfile::TempDir;

/// A .blend as Blender saved it, with the simulations baked.
pub struct BakedScene {
    /// Folder of the file; removed with this.
    pub _folder: TempDir,
    /// The .blend.
    pub path: PathBuf,
    /// Time that Blender took.
    pub seconds: f64,
    /// Blender's output.
    pub log: LogSource,
}

/// Sends the .blend to the master, which may be away for a while, or reports why that failed.
pub async fn hand_in(shared: &Shared, task: &Task, scene: BakedScene) {
    let log = match &scene.log {
        LogSource::Worker(book, id) => book.take(*id).await,
        LogSource::Saved(log) => log.clone(),
    };
    let path = scene.path.clone();
    let digest = match tokio::task::spawn_blocking(move || digest_of_file(&path)).await {
        Ok(Ok(digest)) => digest,
        Ok(Err(error)) => return fail(shared, task, &error.to_string(), &log).await,
        Err(error) => return fail(shared, task, &error.to_string(), &log).await,
    };
    let log_digest = digest_of(log.as_bytes());
    let (job, path, seconds, log_text) = (task.key.job, &scene.path, scene.seconds, &log);
    let send = move |Link { api, slave, .. }: Link| async move {
        let missing = api.missing(&[digest, log_digest]).await?;
        if missing.contains(&digest) {
            api.put_file(digest, path).await?;
        }
        if missing.contains(&log_digest) {
            api.put_blob(log_digest, log_text.clone()).await?;
        }
        let request = BakeRequest { slave, job, blend: digest, log: Some(log_digest), seconds };
        Ok::<_, ApiError>(api.hand_in_bake(&request).await?.fresh)
    };
    match shared.connection.ask(&task.key.farm, send).await {
        // The slave stops, or belongs to another farm by now.
        None => {}
        Some(Ok(fresh)) => {
            tracing::info!(%job, fresh, "the baked scene is handed in");
            shared.leases.send_modify(|leases| leases.give_back(task));
        }
        Some(Err(error)) => fail(shared, task, &format!("the master did not take it: {error}"), &log).await,
    }
}

async fn fail(shared: &Shared, task: &Task, why: &str, log: &str) {
    let error = failure(FailureKind::HandInFailed, format!("the simulations were baked, but {why}"));
    report_failure(shared, task, error, log).await;
}
