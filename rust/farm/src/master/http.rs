//! The master's HTTP interface: `/api/v1/...`, the plain URLs for wget, and a start page that works without JavaScript.

use super::{
    archive,
    changes::{self, Changes},
    control,
    error::MasterError,
    files,
    frames::{self, Passes},
    history::History,
    inputs, intake,
    live::Live,
    merge::Pictures,
    metrics, page,
    space::{Space, check_room, discard},
    story, view, web,
};
use crate::{blobs::BlobStore, master::owner::Owner, pieces::PieceStore};
use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State},
    http::{Method, StatusCode, Uri, request::Parts},
    middleware,
    response::{
        IntoResponse, Response,
        sse::{Event as Sse, KeepAlive, Sse as SseStream},
    },
    routing::{get, post, put},
};
use futures_util::{StreamExt, stream};
use netrender_core::{
    digest::Digest,
    ids::{Frame, JobId, SlaveId, Timestamp},
    job::JobSpec,
    scheduler::{Command, Reply},
    share::Part,
    task::{TaskResult, TaskState},
    wire::{
        FailRequest, FarmView, HandInReply, HandInRequest, Heartbeat, JobDetail, MasterInfo, MissingReply,
        MissingRequest, MoreRequest, PROTOCOL, PartOf, PollReply, PollRequest, RegisterReply, RegisterRequest,
        StopRequest, SubmitReply,
    },
};
use netrender_film::Expect;
use serde::{Deserialize, de::DeserializeOwned};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// Largest JSON body taken; a manifest comes as a blob.
const MAX_JSON: usize = 8 << 20;
/// Largest blob taken: a 16K film with a hundred channels.
const MAX_BLOB: u64 = 64 << 30;
/// A poll is answered within this time even if there is nothing to say; half of what the other side waits.
const POLL: Duration = Duration::from_secs(25);
/// Errors kept of a slave's report; the whole log is a blob of its own.
const MAX_ERROR_CHARS: usize = 16 << 10;

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

type Answer<T> = Result<Json<T>, MasterError>;

/// A JSON body of ours; anything else is a clear 400, in our own error form.
pub(super) struct Ours<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Ours<T> {
    type Rejection = MasterError;

    async fn from_request(request: Request, state: &S) -> Result<Self, MasterError> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|error| MasterError::BadRequest(error.body_text()))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| MasterError::BadRequest(format!("the body is not the JSON expected here: {error}")))
    }
}

/// What follows the `?`; anything else is a clear 400, in our own error form.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = MasterError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MasterError> {
        let asked = Query::try_from_uri(&parts.uri).map_err(|error| MasterError::BadRequest(error.body_text()))?;
        Ok(Self(asked.0))
    }
}

/// Every route.
pub fn router(app: App) -> Router {
    let api = Router::new()
        .route("/info", get(info))
        .route("/farm", get(farm))
        .route("/events", get(events))
        .route("/blobs/missing", post(missing))
        .route("/jobs", get(jobs).post(submit))
        .route("/jobs/{job}", get(job).patch(control::edit_job).delete(delete_job))
        .route("/jobs/{job}/stop", post(stop))
        .route("/jobs/{job}/more", post(more))
        .route("/jobs/{job}/frames/requeue", post(control::requeue_frames))
        .route("/jobs/{job}/frames/{frame}", get(frames::detail))
        .route("/jobs/{job}/frames/{frame}/passes", get(frames::passes))
        .route("/jobs/{job}/frames/{frame}/image.png", get(frames::png))
        .route("/jobs/{job}/frames/{frame}/image.jpg", get(frames::jpeg))
        .route("/jobs/{job}/frames/{frame}/log", get(frames::log))
        .route("/jobs/{job}/files", get(inputs::files))
        .route("/jobs/{job}/urls.txt", get(archive::urls))
        .route("/jobs/{job}/{verb}", post(change_job))
        .route("/jobs/{job}/blacklist/{slave}", put(blacklist).delete(unblacklist))
        .route("/slaves", get(slaves).post(register))
        .route("/slaves/{slave}/poll", post(poll))
        .route("/slaves/{slave}/heartbeat", post(heartbeat))
        .route("/slaves/{slave}/leave", post(leave))
        .route("/slaves/{slave}/{verb}", post(control::order_slave))
        .route("/timeline", get(story::timeline))
        .route("/history", get(story::history))
        .route("/errors", get(story::errors))
        .route("/stats", get(story::stats))
        .route("/results", post(hand_in))
        .route("/failures", post(fail))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .route("/pieces/missing", post(intake::missing).layer(DefaultBodyLimit::max(intake::MAX_ASKED * 32)))
        .route("/pieces/get", post(intake::get))
        .route("/pieces", post(intake::put).layer(DefaultBodyLimit::disable()))
        .route("/blobs/{digest}", put(put_blob).get(files::get_blob).layer(DefaultBodyLimit::disable()));
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

async fn info(State(app): State<App>) -> Answer<MasterInfo> {
    let (data, mut info) = (app.data.clone(), (*app.info).clone());
    info.free_bytes = blocking(move || fs4::available_space(&data).ok()).await?;
    Ok(Json(info))
}

async fn farm(State(app): State<App>) -> Answer<Arc<FarmView>> {
    app.owner.fresh().await.map(Json)
}

async fn jobs(State(app): State<App>) -> Result<Response, MasterError> {
    Ok(Json(&app.owner.fresh().await?.jobs).into_response())
}

async fn slaves(State(app): State<App>) -> Result<Response, MasterError> {
    Ok(Json(&app.owner.fresh().await?.slaves).into_response())
}

#[derive(Deserialize)]
struct EventsQuery {
    /// `farm`: what changed, too.
    #[serde(default)]
    what: String,
}

/// The revision each time anything changed, and whoever cares asks for what it shows; or, asked for `what=farm`, the lists
/// and then what changed in them.
async fn events(State(app): State<App>, Query(asked): Query<EventsQuery>) -> Response {
    if asked.what == "farm" {
        return SseStream::new(changes::stream(&app)).keep_alive(KeepAlive::default()).into_response();
    }
    let changes = stream::unfold((app.owner.view(), true), |(mut view, first)| async move {
        if !first {
            view.changed().await.ok()?;
            // A burst of changes is one message.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let revision = view.borrow_and_update().revision;
        Some((Ok::<_, Infallible>(Sse::default().event("revision").data(revision.to_string())), (view, false)))
    });
    SseStream::new(changes).keep_alive(KeepAlive::default()).into_response()
}

async fn missing(State(app): State<App>, Ours(request): Ours<MissingRequest>) -> Answer<MissingReply> {
    let look = move || request.digests.into_iter().filter(|digest| !app.blobs.has(digest)).collect();
    Ok(Json(MissingReply { missing: blocking(look).await? }))
}

async fn put_blob(State(app): State<App>, Path(name): Path<String>, body: Body) -> Result<StatusCode, MasterError> {
    let digest = digest(&name)?;
    if app.blobs.has(&digest) {
        return Ok(StatusCode::OK);
    }
    check_room(&app.data)?;
    let mut incoming = app.blobs.incoming()?;
    let mut stream = body.into_data_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| MasterError::BadRequest(format!("the upload broke off: {error}")))?;
        if incoming.bytes() + bytes.len() as u64 > MAX_BLOB {
            return Err(MasterError::BadRequest(format!("a blob may have at most {MAX_BLOB} bytes")));
        }
        incoming = blocking(move || incoming.write(&bytes).map(|()| incoming)).await??;
    }
    blocking(move || incoming.finish(Some(digest))).await??;
    Ok(StatusCode::CREATED)
}

async fn submit(
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

async fn job(State(app): State<App>, Path(id): Path<String>) -> Answer<JobDetail> {
    app.owner.job(job_id(&id)?, view::detail).await.map(Json)
}

async fn change_job(
    State(app): State<App>,
    Path((id, verb)): Path<(String, String)>,
) -> Result<StatusCode, MasterError> {
    let id = job_id(&id)?;
    let command = match verb.as_str() {
        "pause" => Command::Pause(id),
        "resume" => Command::Resume(id),
        "cancel" => Command::Cancel(id),
        "requeue" => Command::Requeue(id),
        _ => return Err(MasterError::NotFound(format!("jobs/{id}/{verb}"))),
    };
    app.owner.command(command).await.map(|_| StatusCode::NO_CONTENT)
}

async fn stop(
    State(app): State<App>,
    Path(id): Path<String>,
    Ours(StopRequest { frames }): Ours<StopRequest>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::Stop { job: job_id(&id)?, frames }).await.map(|_| StatusCode::NO_CONTENT)
}

async fn more(
    State(app): State<App>,
    Path(id): Path<String>,
    Ours(MoreRequest { samples, frames }): Ours<MoreRequest>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::More { job: job_id(&id)?, samples, frames }).await.map(|_| StatusCode::NO_CONTENT)
}

/// Its files go in the background.
async fn delete_job(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::Delete(job_id(&id)?)).await?;
    app.space.wake();
    Ok(StatusCode::NO_CONTENT)
}

async fn blacklist(State(app): State<App>, path: Path<(String, String)>) -> Result<StatusCode, MasterError> {
    set_blacklist(&app, path, true).await
}

async fn unblacklist(State(app): State<App>, path: Path<(String, String)>) -> Result<StatusCode, MasterError> {
    set_blacklist(&app, path, false).await
}

async fn set_blacklist(
    app: &App,
    Path((job, slave)): Path<(String, String)>,
    listed: bool,
) -> Result<StatusCode, MasterError> {
    let command = Command::Blacklist { job: job_id(&job)?, slave: slave_id(&slave)?, listed };
    app.owner.command(command).await.map(|_| StatusCode::NO_CONTENT)
}

async fn register(State(app): State<App>, Ours(request): Ours<RegisterRequest>) -> Answer<RegisterReply> {
    if request.protocol != PROTOCOL {
        return Err(MasterError::OtherProtocol(request.protocol));
    }
    let usable = |text: &str| (1..=200).contains(&text.chars().count());
    if !usable(&request.key) || !usable(&request.name) {
        return Err(MasterError::BadRequest("a slave's key and name have 1 to 200 characters".into()));
    }
    let RegisterRequest { key, name, info, started, protocol: _ } = request;
    let command = Command::Register { key, name, info: Box::new(info), started };
    match app.owner.command(command).await? {
        Reply::Registered(slave) => {
            Ok(Json(RegisterReply { slave, farm: app.info.farm.clone(), heartbeat_s: app.heartbeat_s }))
        }
        other => Err(unexpected(&other)),
    }
}

async fn poll(
    State(app): State<App>,
    Path(slave): Path<String>,
    Ours(request): Ours<PollRequest>,
) -> Answer<PollReply> {
    let slave = slave_id(&slave)?;
    match tokio::time::timeout(POLL, app.owner.poll(slave, request)).await {
        Ok(reply) => reply.map(|mut reply| {
            if let Some(grant) = &mut reply.grant {
                grant.scripts = app.info.scripts && grant.spec.scripts;
            }
            Json(reply)
        }),
        Err(_) => Ok(Json(PollReply::default())),
    }
}

async fn heartbeat(
    State(app): State<App>,
    Path(slave): Path<String>,
    Ours(beat): Ours<Heartbeat>,
) -> Result<StatusCode, MasterError> {
    let Heartbeat { now, log } = beat;
    let now = now.map(|mut progress| {
        progress.text = progress.text.chars().take(200).collect();
        progress
    });
    let slave = slave_id(&slave)?;
    app.owner.heard(slave, now.clone()).await?;
    app.live.hear(slave, now.as_ref(), log);
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(State(app): State<App>, Path(slave): Path<String>) -> Result<StatusCode, MasterError> {
    let slave = slave_id(&slave)?;
    app.owner.command(Command::Leave(slave)).await?;
    app.live.forget(slave);
    Ok(StatusCode::NO_CONTENT)
}

async fn hand_in(State(app): State<App>, Ours(request): Ours<HandInRequest>) -> Answer<HandInReply> {
    let HandInRequest { slave, job, frame, film, preview, log, seconds, part } = request;
    let warm_up_s = part.as_ref().map_or(0.0, |part| part.warm_up_s);
    if [seconds, warm_up_s].iter().any(|time| !time.is_finite() || *time < 0.0) {
        return Err(MasterError::BadRequest("the seconds are not a time".into()));
    }
    let done = move |_: &_, job: &netrender_core::job::Job| {
        let done = job.tasks.get(&frame).is_some_and(|task| matches!(task.state, TaskState::Done(_)));
        (Expect { width: job.spec.width, height: job.spec.height }, done)
    };
    let (expect, done) = app.owner.job(job, done).await?;
    let sent = [Some(film), preview, log, part.as_ref().and_then(|part| part.view)];
    if done {
        tokio::spawn(async move { discard(&app, sent.into_iter().flatten()).await });
        return Ok(Json(HandInReply { fresh: false }));
    }
    let found_stays = app.space.hold().await;
    let blobs = app.blobs.clone();
    let film_bytes = blocking(move || {
        let absent = sent.iter().flatten().filter(|digest| !blobs.has(digest)).count();
        if absent > 0 {
            return Err(MasterError::MissingPieces(absent));
        }
        netrender_film::check(&blobs.path(&film), &expect)
            .map_err(|error| MasterError::BadPicture(error.to_string()))?;
        Ok(blobs.size(&film).unwrap_or(0))
    })
    .await?;
    let handed_in = async {
        let result = TaskResult { slave, film, film_bytes: film_bytes?, preview, log, seconds };
        let command = match part {
            None => Command::HandIn { job, frame, result: Box::new(result) },
            Some(PartOf { lease, share, view, warm_up_s }) => {
                let part = Box::new(Part { share, result, view, build: None, warm_up_s, at: Timestamp(0) });
                Command::HandInPart { job, frame, lease, part }
            }
        };
        match app.owner.command(command).await? {
            Reply::HandedIn(fresh) => Ok(Json(HandInReply { fresh })),
            other => Err(unexpected(&other)),
        }
    };
    let handed_in = handed_in.await;
    drop(found_stays);
    if matches!(handed_in, Ok(Json(HandInReply { fresh: false })) | Err(MasterError::BadPicture(_))) {
        tokio::spawn(async move { discard(&app, sent.into_iter().flatten()).await });
    }
    handed_in
}

async fn fail(State(app): State<App>, Ours(request): Ours<FailRequest>) -> Result<StatusCode, MasterError> {
    let FailRequest { slave, lease, job, frame, mut error, log } = request;
    if error.message.chars().count() > MAX_ERROR_CHARS {
        // The end of a log is what explains.
        let skip = error.message.chars().count() - MAX_ERROR_CHARS;
        error.message = error.message.chars().skip(skip).collect();
    }
    error.kind = error.kind.chars().take(64).collect();
    let log = log.filter(|log| app.blobs.has(log));
    let command = Command::Fail { slave, lease, job, frame, error, log };
    app.owner.command(command).await.map(|_| StatusCode::NO_CONTENT)
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

pub(super) fn digest(text: &str) -> Result<Digest, MasterError> {
    text.parse().map_err(|error| MasterError::BadRequest(format!("{text:?}: {error}")))
}

pub(super) fn job_id(text: &str) -> Result<JobId, MasterError> {
    let wrong = |_| MasterError::BadRequest(format!("{text:?} is not a job's number"));
    text.parse().map(JobId).map_err(wrong)
}

pub(super) fn frame_id(text: &str) -> Result<Frame, MasterError> {
    let wrong = |_| MasterError::BadRequest(format!("{text:?} is not a frame's number"));
    text.parse().map(Frame).map_err(wrong)
}

pub(super) fn slave_id(text: &str) -> Result<SlaveId, MasterError> {
    let wrong = |_| MasterError::BadRequest(format!("{text:?} is not a slave's number"));
    text.parse().map(SlaveId).map_err(wrong)
}
