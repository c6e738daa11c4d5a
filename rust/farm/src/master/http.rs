//! The master's HTTP interface: every route, and what all handlers have at hand. What a request means is in the files beside
//! this one and below it.

mod asked;
mod balance;
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
    metrics, openapi, page,
    space::Space,
    story, web,
};
use crate::{blobs::BlobStore, master::owner::Owner, pieces::PieceStore};
pub(super) use asked::{Asked, At, OfBlob, OfFrame, OfJob, OfJobAndSlave, OfSlave, Ours};
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, Uri},
    middleware,
    routing::get,
};
use netrender_core::{scheduler::Reply, wire::MasterInfo};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

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
    /// How it does.
    pub figures: Arc<story::Figures>,
    /// How often slaves give a sign of life.
    pub heartbeat_s: f64,
}

/// Every route. Those that describe themselves are in openapi.json.
pub fn router(app: App) -> Router {
    let (described, description) = described().split_for_parts();
    let description = openapi::describe(description);
    Router::new()
        .route(
            "/api/v1/openapi.json",
            get(|asked: HeaderMap| async move { openapi::answer(&asked, description.clone()) }),
        )
        .route("/", get(web::index))
        .route("/web/{*name}", get(web::file))
        .route("/plain", get(page::list))
        .route("/plain/{job}", get(page::job))
        .merge(described)
        .fallback(|uri: Uri| async move { MasterError::NotFound(uri.path().to_owned()) })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            MasterError::WrongMethod(method.to_string(), uri.path().to_owned())
        })
        .layer(middleware::from_fn(page::for_readers))
        .with_state(app)
}

fn described() -> OpenApiRouter<App> {
    let api = OpenApiRouter::default()
        .routes(routes!(lists::info))
        .routes(routes!(lists::farm))
        .routes(routes!(lists::events))
        .routes(routes!(balance::balance, balance::set_balance))
        .routes(routes!(lists::jobs, jobs::submit))
        .routes(routes!(jobs::job, control::edit_job, jobs::delete_job))
        .routes(routes!(jobs::stop))
        .routes(routes!(jobs::more))
        .routes(routes!(jobs::change_job))
        .routes(routes!(jobs::blacklist, jobs::unblacklist))
        .routes(routes!(control::requeue_frames))
        .routes(routes!(frames::detail))
        .routes(routes!(frames::passes))
        .routes(routes!(frames::png))
        .routes(routes!(frames::jpeg))
        .routes(routes!(frames::unfinished))
        .routes(routes!(frames::log))
        .routes(routes!(inputs::files))
        .routes(routes!(archive::urls))
        .routes(routes!(lists::slaves, work::register))
        .routes(routes!(work::poll))
        .routes(routes!(work::heartbeat))
        .routes(routes!(work::leave))
        .routes(routes!(control::slave))
        .routes(routes!(control::settings, control::edit_slave))
        .routes(routes!(control::order_slave))
        .routes(routes!(story::timeline))
        .routes(routes!(story::history))
        .routes(routes!(story::errors))
        .routes(routes!(story::stats))
        .routes(routes!(story::sizes))
        .routes(routes!(work::hand_in))
        .routes(routes!(work::fail))
        .routes(routes!(blobs::missing))
        .layer(DefaultBodyLimit::max(MAX_JSON));
    let lists_of_pieces = OpenApiRouter::default()
        .routes(routes!(intake::missing))
        .routes(routes!(intake::get))
        .layer(DefaultBodyLimit::max(intake::MAX_ASKED * 32));
    let of_any_size = OpenApiRouter::default()
        .routes(routes!(intake::put))
        .routes(routes!(blobs::put_blob, blobs::get_blob))
        .layer(DefaultBodyLimit::disable());
    OpenApiRouter::default()
        .nest("/api/v1", api.merge(lists_of_pieces).merge(of_any_size))
        .routes(routes!(metrics::metrics))
        .routes(routes!(files::plain))
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
