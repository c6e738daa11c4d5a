//! Pages that work without JavaScript: the list of jobs and slaves, a job's frames, and errors. All
//! text from outside is escaped.

use super::{
    error::HttpError,
    extract::{JobPath, PathParams, QueryParams},
    web,
};
use crate::app::App;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use netrender_core::wire::{ErrorDetail, FarmView, JobDetail, JobView, MasterInfo, TaskView};
use serde::Deserialize;
use std::fmt::{self, Display, Write};

/// Frames on one page.
const FRAMES: usize = 500;

/// `/plain`
pub(super) async fn list(State(app): State<App>) -> Result<Response, HttpError> {
    let farm = app.farm.latest_rows().await?;
    Ok(page(StatusCode::OK, &app.info.name, &jobs_and_slaves(&app.info, &farm)))
}

#[derive(Deserialize)]
pub(super) struct PageQuery {
    /// Frames before the page's first.
    #[serde(default)]
    skip: usize,
}

/// `/plain/1`
pub(super) async fn job(
    State(app): State<App>,
    PathParams(JobPath { job }): PathParams<JobPath>,
    QueryParams(PageQuery { skip }): QueryParams<PageQuery>,
) -> Result<Response, HttpError> {
    let job = app.farm.detail(job).await?;
    Ok(page(StatusCode::OK, &job.job.name, &frames(&job, skip)))
}

/// Shows errors to browsers as a page that says how to go on.
pub(super) async fn errors_as_pages(request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
    let reads_pages = accepts.is_some_and(|kinds| kinds.contains("text/html"));
    let answer = next.run(request).await;
    match answer.extensions().get::<ErrorDetail>() {
        Some(error) if reads_pages => {
            let title = if answer.status() == StatusCode::NOT_FOUND { "Not here" } else { "That did not work" };
            let body = format!(
                "<h1>{title}</h1><p>{}<p>{}<p><a href='/'>Back to the monitor</a>, or <a href='/plain'>the plain list</a>",
                Safe(&sentence(&error.message)),
                Safe(&sentence(&error.hint))
            );
            page(answer.status(), title, &body)
        }
        _ => answer,
    }
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <link rel=icon href=/web/icon.svg><link rel=stylesheet href=/web/plain.css>\
         <title>{} - netrender</title><body>{body}",
        Safe(title)
    );
    let mut answer = (status, Html(html)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(web::POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn jobs_and_slaves(info: &MasterInfo, farm: &FarmView) -> String {
    let mut html = String::new();
    let _ = write!(
        html,
        "<meta http-equiv=refresh content=5><h1>{}</h1><p>Scripts that scenes bring along {}.<h2>Jobs</h2>",
        Safe(&info.name),
        if info.scripts { "run, for jobs that need them" } else { "don't run on this farm" }
    );
    if farm.jobs.is_empty() {
        html.push_str("<p>No jobs yet: press <b>Send job</b> in Blender.");
    } else {
        html.push_str("<table><tr><th>No.<th>Name<th>Status<th>Done<th>Failed<th>Frames<th>Pictures");
        for job in farm.jobs.iter().rev() {
            let _ = write!(
                html,
                "<tr><td><a href='/plain/{0}'>{0}</a><td>{1}<td>{2}<td>{3} of {4}<td>{5}<td>{6}<td>{7}",
                job.id,
                Safe(&job.name),
                Safe(&status(job)),
                job.done,
                job.total,
                job.failed,
                Safe(&job.frames),
                pictures(job)
            );
        }
        html.push_str("</table>");
    }
    html.push_str("<h2>Slaves</h2>");
    if farm.slaves.is_empty() {
        html.push_str("<p>No slaves yet: press <b>Start service</b> in Blender's Slave panel.");
    } else {
        html.push_str("<table><tr><th>No.<th>Name<th>Status<th>Blender<th>Threads");
        for slave in &farm.slaves {
            let _ = write!(
                html,
                "<tr><td>{}<td>{}<td>{}<td>{}<td>{}",
                slave.id,
                Safe(&slave.name),
                Safe(&slave.status),
                slave.blender,
                slave.threads
            );
        }
        html.push_str("</table>");
    }
    html
}

fn frames(JobDetail { job, tasks, .. }: &JobDetail, skip: usize) -> String {
    let mut html = String::new();
    let _ = write!(
        html,
        "<p><a href='/plain'>All jobs and slaves</a><h1>{}: {}</h1><p>{}. {} of {} frames are done, {} failed. {}",
        job.id,
        Safe(&job.name),
        Safe(&status(job)),
        job.done,
        job.total,
        job.failed,
        pictures(job)
    );
    html.push_str("<table><tr><th>Frame<th>State<th>Slave<th>Seconds<th>Files<th>Why it failed");
    for task in tasks.iter().skip(skip).take(FRAMES) {
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            task.frame,
            task.state,
            task.slave.map(|slave| slave.to_string()).unwrap_or_default(),
            task.seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default(),
            files(job, task),
            Safe(task.error.as_ref().map_or("", |error| error.message.lines().next().unwrap_or_default()))
        );
    }
    html.push_str("</table><p>");
    if skip > 0 {
        let _ = write!(html, "<a href='/plain/{}?skip={}'>Earlier frames</a> ", job.id, skip.saturating_sub(FRAMES));
    }
    if tasks.len() > skip.saturating_add(FRAMES) {
        let _ = write!(html, "<a href='/plain/{}?skip={}'>Later frames</a>", job.id, skip + FRAMES);
    }
    html
}

fn files(job: &JobView, task: &TaskView) -> String {
    let (id, frame) = (job.id, task.frame);
    let mut links = String::new();
    if task.preview || task.units.is_some() {
        let _ = write!(links, "<a href='/thumb_{id}_{frame}.jpg'>JPEG</a> ");
    }
    if task.film.is_some() {
        let _ = write!(links, "<a href='/render_{id}_{frame}.exr'>EXR</a> ");
    }
    if task.film.is_some() || task.error.is_some() {
        let _ = write!(links, "<a href='/log_{id}_{frame}.log'>Log</a>");
    }
    links
}

fn pictures(job: &JobView) -> String {
    if job.done == 0 {
        return String::new();
    }
    format!(
        "<a href='/result_{0}.zip'>All as a zip</a>, <a href='/result_{0}.zip?what=jpg'>JPEGs only</a>, \
         <a href='/api/v1/jobs/{0}/urls.txt'>addresses for wget</a>",
        job.id
    )
}

fn status(job: &JobView) -> String {
    if job.why.is_empty() { job.status.clone() } else { format!("{}: {}", job.status, job.why) }
}

/// An error message as a sentence. Messages have no capital and no stop, so that they can stand
/// inside other sentences.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let text: String = first.chain(letters).collect();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text } else { text + "." }
}

/// Text escaped for HTML.
struct Safe<'a>(&'a str);

impl Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_becomes_a_sentence() {
        assert_eq!(Safe("<b onload='x'>&\"").to_string(), "&lt;b onload=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!(sentence("there is nothing at /x"), "There is nothing at /x.");
        assert_eq!(sentence("Is it?"), "Is it?");
        assert_eq!(sentence(""), "");
    }
}
