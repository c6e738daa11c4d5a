//! `/jobs/{job}/frames/{frame}`: a frame in detail, rendered again, its passes as pictures, its
//! log.

use super::{
    downloads::{About, known, not_modified, send_blob, send_made},
    error::{HttpError, JsonReply},
    extract::{FramePath, JobPath, JsonBody, OutputPath, PathParams, QueryParams},
};
use crate::{
    app::App,
    error::MasterError,
    services::{
        blob_reader::WINDOW,
        frames::LogWanted,
        pass_cache::{ImageFormat, PassKey},
        slave_logs::LogPart,
    },
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use netrender_core::{
    model::{ids::SlaveId, result::OutputFile},
    wire::{FrameDetail, PassView, RequeueRequest},
};
use netrender_film::Choice;
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use utoipa::IntoParams;

/// Width of a picture by default, in pixels.
const WIDTH: u32 = 1920;

/// Bytes that the log has, and the byte at which the next part begins.
const LOG_SIZE: HeaderName = HeaderName::from_static("x-log-size");
const LOG_NEXT: HeaderName = HeaderName::from_static("x-log-next");

/// Renders frames again. The pictures they have are deleted at once.
#[utoipa::path(
    post, path = "/jobs/{job}/frames/requeue", tag = "frames",
    params(JobPath),
    request_body = RequeueRequest,
    responses((status = NO_CONTENT)),
)]
pub(super) async fn requeue_frames(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    JsonBody(RequeueRequest { frames }): JsonBody<RequeueRequest>,
) -> Result<StatusCode, HttpError> {
    app.jobs.requeue_frames(job, frames).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A frame in detail: its attempts, and which samples are where.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}", tag = "frames", operation_id = "frame",
    params(FramePath),
    responses((status = OK, body = FrameDetail)),
)]
pub(super) async fn detail(
    State(app): State<App>,
    PathParams(FramePath { job, frame }): PathParams<FramePath>,
) -> JsonReply<FrameDetail> {
    Ok(Json(app.frames.detail(job, frame).await?))
}

/// The passes of a frame that is done.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/passes", tag = "frames",
    params(FramePath),
    responses((status = OK, body = [PassView])),
)]
pub(super) async fn passes(
    State(app): State<App>,
    PathParams(FramePath { job, frame }): PathParams<FramePath>,
) -> JsonReply<Vec<PassView>> {
    let (film, expect) = app.frames.film(job, frame).await?;
    Ok(Json(app.passes.passes(film, expect).await?))
}

/// The pass that is shown, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageQuery {
    /// The view layer. Without `pass` it is ignored, and the film's own picture is shown.
    #[serde(default)]
    layer: String,
    pass: Option<String>,
    /// The stereo view or camera; the first by default.
    view: Option<String>,
    /// Brightness, in stops.
    #[serde(default)]
    exposure: f32,
    /// Width of the picture, in pixels; at most the film's. 1,920 by default.
    width: Option<u32>,
}

/// A pass of a frame as a PNG.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/image.png", tag = "frames",
    params(FramePath, ImageQuery),
    responses((status = OK, body = [u8], content_type = "image/png")),
)]
pub(super) async fn png(
    State(app): State<App>,
    PathParams(path): PathParams<FramePath>,
    headers: HeaderMap,
    QueryParams(query): QueryParams<ImageQuery>,
) -> Result<Response, HttpError> {
    image(&app, path, &headers, query, ImageFormat::Png).await
}

/// A pass of a frame as a JPEG.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/image.jpg", tag = "frames",
    params(FramePath, ImageQuery),
    responses((status = OK, body = [u8], content_type = "image/jpeg")),
)]
pub(super) async fn jpeg(
    State(app): State<App>,
    PathParams(path): PathParams<FramePath>,
    headers: HeaderMap,
    QueryParams(query): QueryParams<ImageQuery>,
) -> Result<Response, HttpError> {
    image(&app, path, &headers, query, ImageFormat::Jpeg).await
}

async fn image(
    app: &App,
    FramePath { job, frame }: FramePath,
    headers: &HeaderMap,
    ImageQuery { layer, pass, view, exposure, width }: ImageQuery,
    format: ImageFormat,
) -> Result<Response, HttpError> {
    if !exposure.is_finite() {
        return Err(MasterError::Invalid("the exposure is a number of stops, such as -1.5".into()).into());
    }
    let (film, expect) = app.frames.film(job, frame).await?;
    let choice = pass.map(|pass| Choice { layer, pass, view });
    let key = PassKey { film, choice, width: width.unwrap_or(WIDTH).min(expect.width) };
    let mime = match format {
        ImageFormat::Png => "image/png",
        ImageFormat::Jpeg => "image/jpeg",
    };
    let tag = format!("\"{}\"", blake3::hash(format!("{key:?} {exposure} {mime}").as_bytes()).to_hex());
    let about = About { mime, name: None, immutable: false };
    if known(headers, &tag) {
        return not_modified(&tag, about);
    }
    let image = app.passes.image(key, expect, exposure, format).await?;
    send_made(&tag, image.into(), about)
}

/// The film of an unfinished frame with all its passes, made of the samples that are there. It is
/// replaced every few seconds.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/unfinished.exr", tag = "frames",
    params(FramePath),
    responses((status = OK, body = [u8], content_type = "image/x-exr")),
)]
pub(super) async fn unfinished(
    State(app): State<App>,
    PathParams(FramePath { job, frame }): PathParams<FramePath>,
) -> Result<Response, HttpError> {
    app.farm.task(job, frame, |_, _, _| ()).await?;
    let Some(film) = app.unfinished.get(job, frame).and_then(|picture| picture.film) else {
        return Err(MasterError::NotThere(format!("frame {frame} of job {job} has nothing to show yet")).into());
    };
    // An open file can be read to its end, whatever replaces it meanwhile; only Windows needs its
    // name for as long.
    let file = tokio::fs::File::open(&**film).await.map_err(|_| MasterError::Disk)?;
    let length = file.metadata().await.map_err(|_| MasterError::Disk)?.len();
    let bytes = ReaderStream::with_capacity(file, WINDOW).map(move |bytes| {
        let _keep = &film;
        bytes
    });
    let headers = [
        (header::CONTENT_TYPE, "image/x-exr".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// The files that File Output nodes of the compositor wrote for a frame that is done.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/outputs", tag = "frames",
    params(FramePath),
    responses((status = OK, body = [OutputFile])),
)]
pub(super) async fn outputs(
    State(app): State<App>,
    PathParams(FramePath { job, frame }): PathParams<FramePath>,
) -> JsonReply<Vec<OutputFile>> {
    Ok(Json(app.frames.outputs(job, frame).await?))
}

/// One of the files that File Output nodes wrote.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/outputs/{number}", tag = "frames",
    params(OutputPath),
    responses((status = OK, body = [u8], content_type = "application/octet-stream")),
)]
pub(super) async fn output(
    State(app): State<App>,
    PathParams(OutputPath { job, frame, number }): PathParams<OutputPath>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let outputs = app.frames.outputs(job, frame).await?;
    let Some(file) = outputs.get(usize::try_from(number).unwrap_or(usize::MAX)) else {
        let why = format!("frame {frame} of job {job} has {} files of File Output nodes", outputs.len());
        return Err(MasterError::NotThere(why).into());
    };
    let name = header_name(&file.path);
    let about = About { mime: "application/octet-stream", name: Some(&name), immutable: false };
    send_blob(&app.reader, &headers, file.digest, about).await
}

/// The last part of a path, with what a header can't have replaced.
fn header_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = |letter: char| letter.is_ascii_graphic() && letter != '"' || letter == ' ';
    name.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect()
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    /// The first byte that is wanted.
    #[serde(default)]
    offset: u64,
    /// The attempt, counted from 0. By default the one that is being rendered, or else the last
    /// that has a log.
    attempt: Option<usize>,
    /// One of several slaves that render the frame now.
    slave: Option<u32>,
}

/// Part of a frame's log, 256 KiB at most. Empty while the frame is being rendered and nothing was
/// reported of it.
#[utoipa::path(
    get, path = "/jobs/{job}/frames/{frame}/log", tag = "frames",
    params(FramePath, LogQuery),
    responses(
        (
            status = OK,
            body = String,
            headers(
                ("X-Log-Size" = u64, description = "How many bytes there are"),
                ("X-Log-Next" = u64, description = "Where the next part begins"),
            ),
        ),
    ),
)]
pub(super) async fn log(
    State(app): State<App>,
    PathParams(FramePath { job, frame }): PathParams<FramePath>,
    QueryParams(LogQuery { offset, attempt, slave }): QueryParams<LogQuery>,
) -> Result<Response, HttpError> {
    let wanted = LogWanted { offset, attempt, slave: slave.map(SlaveId) };
    let LogPart { text, at, size } = app.frames.log(job, frame, wanted).await?;
    let text = whole_letters(&text);
    let next = at + text.len() as u64;
    let headers = [(LOG_SIZE, size.to_string()), (LOG_NEXT, next.to_string())];
    let text = String::from_utf8_lossy(text).into_owned();
    Ok((headers, [(header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// The text without a letter that is cut in two at its end: it begins the next part.
fn whole_letters(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => &text[..error.valid_up_to()],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_is_cut_in_two() {
        let text = "Bild gespeichert: Möwe.exr\n".as_bytes();
        for end in 0..=text.len() {
            let part = whole_letters(&text[..end]);
            assert!(std::str::from_utf8(part).is_ok() && part.len() + 1 >= end);
        }
        assert_eq!(whole_letters(b"a\xffb"), b"a\xffb", "what is no text stays what it is");
    }
}
