//! What slaves say: who they are, what they hold and want, that they live, what they rendered and what failed.

use super::{Answer, App, At, OfSlave, Ours, blocking, unexpected};
use crate::master::{error::MasterError, owner::Sign, space::discard};
use axum::{Json, extract::State, http::StatusCode};
use netrender_core::{
    ids::Timestamp,
    job::Job,
    scheduler::{Command, Reply},
    share::Part,
    task::{TaskResult, TaskState},
    wire::{
        FailRequest, HandInReply, HandInRequest, Heartbeat, PROTOCOL, PartOf, PollReply, PollRequest, RegisterReply,
        RegisterRequest,
    },
};
use netrender_film::Expect;
use std::time::Duration;

/// A poll is answered within this time even if there is nothing to say; half of what the other side waits.
const POLL: Duration = Duration::from_secs(25);
/// Errors kept of a slave's report; the whole log is a blob of its own.
const MAX_ERROR_CHARS: usize = 16 << 10;

/// A slave says who it is and what it can do.
#[utoipa::path(
    post, path = "/slaves", tag = "work",
    request_body = RegisterRequest,
    responses((status = OK, body = RegisterReply)),
)]
pub(super) async fn register(State(app): State<App>, Ours(request): Ours<RegisterRequest>) -> Answer<RegisterReply> {
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

/// A slave says what it holds and wants. Held open until there is something to say, for 25 s at most.
#[utoipa::path(
    post, path = "/slaves/{slave}/poll", tag = "work",
    params(OfSlave),
    request_body = PollRequest,
    responses((status = OK, body = PollReply)),
)]
pub(super) async fn poll(
    State(app): State<App>,
    At(OfSlave { slave }): At<OfSlave>,
    Ours(request): Ours<PollRequest>,
) -> Answer<PollReply> {
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

/// A slave's sign of life.
#[utoipa::path(
    post, path = "/slaves/{slave}/heartbeat", tag = "work",
    params(OfSlave),
    request_body = Heartbeat,
    responses((status = NO_CONTENT)),
)]
pub(super) async fn heartbeat(
    State(app): State<App>,
    At(OfSlave { slave }): At<OfSlave>,
    Ours(beat): Ours<Heartbeat>,
) -> Result<StatusCode, MasterError> {
    let Heartbeat { now, log, report } = beat;
    let now = now.map(|mut progress| {
        progress.text = progress.text.chars().take(200).collect();
        progress
    });
    app.owner.heard(slave, Sign { progress: now.clone(), report }).await?;
    app.live.hear(slave, now.as_ref(), log);
    Ok(StatusCode::NO_CONTENT)
}

/// A slave stops; what it has goes back to the queue.
#[utoipa::path(post, path = "/slaves/{slave}/leave", tag = "work", params(OfSlave), responses((status = NO_CONTENT)))]
pub(super) async fn leave(
    State(app): State<App>,
    At(OfSlave { slave }): At<OfSlave>,
) -> Result<StatusCode, MasterError> {
    app.owner.command(Command::Leave(slave)).await?;
    app.live.forget(slave);
    Ok(StatusCode::NO_CONTENT)
}

/// A slave hands in a frame, or some samples of one. The blobs it names must be there.
#[utoipa::path(
    post, path = "/results", tag = "work",
    request_body = HandInRequest,
    responses((status = OK, body = HandInReply)),
)]
pub(super) async fn hand_in(State(app): State<App>, Ours(request): Ours<HandInRequest>) -> Answer<HandInReply> {
    let HandInRequest { slave, job, frame, film, preview, log, seconds, part } = request;
    let warm_up_s = part.as_ref().map_or(0.0, |part| part.warm_up_s);
    if [seconds, warm_up_s].iter().any(|time| !time.is_finite() || *time < 0.0) {
        return Err(MasterError::BadRequest("the seconds are not a time".into()));
    }
    let share = part.as_ref().map(|part| part.share);
    let done = move |_: &_, job: &Job| {
        let done = job.tasks.get(&frame).is_some_and(|task| matches!(task.state, TaskState::Done(_)));
        (Expect { width: job.spec.width, height: job.spec.film_lines(share) }, done)
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

/// A slave says that a frame failed.
#[utoipa::path(post, path = "/failures", tag = "work", request_body = FailRequest, responses((status = NO_CONTENT)))]
pub(super) async fn fail(State(app): State<App>, Ours(request): Ours<FailRequest>) -> Result<StatusCode, MasterError> {
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
