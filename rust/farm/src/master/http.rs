//! The master's HTTP interface: every route, and what all handlers have at hand. What a request means is in the files beside
//! this one and below it.

mod asked;
mod blobs;
mod jobs;
mod lists;
mod work;

use super::{
    archive,
    changes::Changes,
    control,
    error::MasterError,
    files,
    frames::{self, Passes},
    history::History,
    inputs, intake,
    live::Live,
    merge::Pictures,
    metrics, page,
    space::Space,
    story, web,
};
use crate::{blobs::BlobStore, master::owner::Owner, pieces::PieceStore};
pub(super) use asked::{Asked, At, OfBlob, OfFrame, OfJob, OfJobAndSlave, OfSlave, Ours};
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    middleware,
    routing::{get, post, put},
};
use netrender_core::{scheduler::Reply, wire::MasterInfo};
use std::sync::Arc;

/// Largest JSON body taken; a manifest comes as a blob.
const MAX_JSON: usize = 8 << 20;

type Answer<T> = Result<Json<T>, MasterError>;

/// What every handler has at hand.
#[derive(Clone)]
pub struct App {
    pub owner: Owner,
    pub blobs: BlobStore,
    pub pieces: Arc<PieceStore>,
    pub info: Arc<MasterInfo>,
    /// The working folder, to say how much room there is.
    pub data: Arc<std::path::Path>,
    pub space: Arc<Space>,
    /// Of frames that are not finished.
    pub pictures: Arc<Pictures>,
    /// What slaves print.
    pub live: Arc<Live>,
    /// Of frames that are, as somebody looked at them.
    pub passes: Arc<Passes>,
    /// For pages that stay open.
    pub changes: Arc<Changes>,
    /// What happened.
    pub history: History,
    /// How often slaves give a sign of life.
    pub heartbeat_s: f64,
}

/// Every route.
pub fn router(app: App) -> Router {
    let api = Router::new()
        .route("/info", get(lists::info))
        .route("/farm", get(lists::farm))
        .route("/events", get(lists::events))
        .route("/blobs/missing", post(blobs::missing))
        .route("/jobs", get(lists::jobs).post(jobs::submit))
        .route("/jobs/{job}", get(jobs::job).patch(control::edit_job).delete(jobs::delete_job))
        .route("/jobs/{job}/stop", post(jobs::stop))
        .route("/jobs/{job}/more", post(jobs::more))
        .route("/jobs/{job}/frames/requeue", post(control::requeue_frames))
        .route("/jobs/{job}/frames/{frame}", get(frames::detail))
        .route("/jobs/{job}/frames/{frame}/passes", get(frames::passes))
        .route("/jobs/{job}/frames/{frame}/image.png", get(frames::png))
        .route("/jobs/{job}/frames/{frame}/image.jpg", get(frames::jpeg))
        .route("/jobs/{job}/frames/{frame}/log", get(frames::log))
        .route("/jobs/{job}/files", get(inputs::files))
        .route("/jobs/{job}/urls.txt", get(archive::urls))
        .route("/jobs/{job}/{verb}", post(jobs::change_job))
        .route("/jobs/{job}/blacklist/{slave}", put(jobs::blacklist).delete(jobs::unblacklist))
        .route("/slaves", get(lists::slaves).post(work::register))
        .route("/slaves/{slave}/poll", post(work::poll))
        .route("/slaves/{slave}/heartbeat", post(work::heartbeat))
        .route("/slaves/{slave}/leave", post(work::leave))
        .route("/slaves/{slave}/{verb}", post(control::order_slave))
        .route("/timeline", get(story::timeline))
        .route("/history", get(story::history))
        .route("/errors", get(story::errors))
        .route("/stats", get(story::stats))
        .route("/results", post(work::hand_in))
        .route("/failures", post(work::fail))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .route("/pieces/missing", post(intake::missing).layer(DefaultBodyLimit::max(intake::MAX_ASKED * 32)))
        .route("/pieces/get", post(intake::get))
        .route("/pieces", post(intake::put).layer(DefaultBodyLimit::disable()))
        .route("/blobs/{digest}", put(blobs::put_blob).get(blobs::get_blob).layer(DefaultBodyLimit::disable()));
    Router::new()
        .nest("/api/v1", api)
        .route("/", get(web::index))
        .route("/web/{*name}", get(web::file))
        .route("/metrics", get(metrics::metrics))
        .route("/plain", get(page::list))
        .route("/plain/{job}", get(page::job))
        .route("/{name}", get(files::plain))
        .fallback(|uri: Uri| async move { MasterError::NotFound(uri.path().to_owned()) })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            MasterError::WrongMethod(method.to_string(), uri.path().to_owned())
        })
        .layer(middleware::from_fn(page::for_readers))
        .with_state(app)
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, MasterError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!("{error}");
        MasterError::Stopping
    })
}

pub(super) fn unexpected(reply: &Reply) -> MasterError {
    tracing::error!("the farm answered {reply:?}");
    MasterError::Disk
}
