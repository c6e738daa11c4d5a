//! The HTTP interface: every route. A file is named as the resource that it serves; its handlers
//! unpack the request and call a service or the farm. What does not live here: anything that is to
//! be decided about jobs, results and files.

mod balance;
mod blobs;
mod connections;
mod downloads;
mod error;
mod events;
mod extract;
mod farm;
mod frames;
mod history;
mod info;
mod job_files;
mod jobs;
mod metrics;
mod openapi;
mod origin;
mod pieces;
mod plain_pages;
mod plain_urls;
mod results;
pub mod server;
mod slaves;
mod stats;
mod web;
mod work;

use super::app::App;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, Uri},
    middleware,
    routing::get,
};
use error::HttpError;
pub(crate) use origin::OwnNames;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Largest JSON body taken, in bytes; a manifest comes as a blob.
const MAX_JSON: usize = 8 << 20;

/// Every route. Those that describe themselves are in openapi.json. `names` are those of this
/// machine.
pub fn router(app: App, names: OwnNames) -> Router {
    let (described, description) = described().split_for_parts();
    let description = openapi::describe(description);
    Router::new()
        .route(
            "/api/v1/openapi.json",
            get(|asked: HeaderMap| async move { openapi::send(&asked, description.clone()) }),
        )
        .route("/", get(web::index))
        .route("/web/{*name}", get(web::file))
        .route("/plain", get(plain_pages::list))
        .route("/plain/{job}", get(plain_pages::job))
        .merge(described)
        .fallback(|uri: Uri| async move { HttpError::NotFound(uri.path().to_owned()) })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            HttpError::WrongMethod(method.to_string(), uri.path().to_owned())
        })
        .layer(middleware::from_fn_with_state(names, origin::check))
        .layer(middleware::from_fn(plain_pages::errors_as_pages))
        .with_state(app)
}

fn described() -> OpenApiRouter<App> {
    let api = OpenApiRouter::default()
        .routes(routes!(info::info))
        .routes(routes!(farm::farm))
        .routes(routes!(events::events))
        .routes(routes!(balance::balance, balance::set_balance))
        .routes(routes!(jobs::jobs, jobs::submit))
        .routes(routes!(jobs::job, jobs::edit_job, jobs::delete_job))
        .routes(routes!(jobs::progress))
        .routes(routes!(jobs::summary))
        .routes(routes!(jobs::stop))
        .routes(routes!(jobs::more))
        .routes(routes!(jobs::change_job))
        .routes(routes!(jobs::blacklist, jobs::unblacklist))
        .routes(routes!(frames::requeue_frames))
        .routes(routes!(frames::detail))
        .routes(routes!(frames::passes))
        .routes(routes!(frames::png))
        .routes(routes!(frames::jpeg))
        .routes(routes!(frames::unfinished))
        .routes(routes!(frames::outputs))
        .routes(routes!(frames::output))
        .routes(routes!(frames::log))
        .routes(routes!(job_files::files))
        .routes(routes!(plain_urls::urls))
        .routes(routes!(slaves::slaves, work::register))
        .routes(routes!(work::poll))
        .routes(routes!(work::heartbeat))
        .routes(routes!(work::leave))
        .routes(routes!(slaves::slave))
        .routes(routes!(slaves::setting_infos))
        .routes(routes!(slaves::settings, slaves::edit_slave))
        .routes(routes!(slaves::order_slave))
        .routes(routes!(history::timeline))
        .routes(routes!(history::history))
        .routes(routes!(history::errors))
        .routes(routes!(stats::stats))
        .routes(routes!(stats::sizes))
        .routes(routes!(results::hand_in))
        .routes(routes!(results::hand_in_bake))
        .routes(routes!(results::fail))
        .routes(routes!(blobs::missing))
        .layer(DefaultBodyLimit::max(MAX_JSON));
    let lists_of_pieces = OpenApiRouter::default()
        .routes(routes!(pieces::missing))
        .routes(routes!(pieces::get))
        .layer(DefaultBodyLimit::max(pieces::MAX_ASKED * 32));
    let of_any_size = OpenApiRouter::default()
        .routes(routes!(pieces::put))
        .routes(routes!(blobs::put_blob, blobs::get_blob))
        .layer(DefaultBodyLimit::disable());
    OpenApiRouter::default()
        .nest("/api/v1", api.merge(lists_of_pieces).merge(of_any_size))
        .routes(routes!(metrics::metrics))
        .routes(routes!(plain_urls::plain))
}
