//! `/metrics`: gauges of the farm in Prometheus' text format 0.0.4. Rates over time are for
//! Prometheus to make.

use super::error::HttpError;
use crate::{app::App, blocking::blocking};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use netrender_core::{
    model::{job::JobState, slave::SlaveState},
    wire::{FarmView, JobView, MasterInfo},
};
use std::fmt::{Display, Write};

/// Gauges for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "farm",
    responses((status = OK, body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, HttpError> {
    let farm = app.farm.latest_rows().await?;
    let folder = app.folder.clone();
    let room = blocking(move || (folder.free_bytes(), folder.total_bytes())).await?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text(&app.info, &farm, room)).into_response())
}

fn text(info: &MasterInfo, farm: &FarmView, (free, total): (Option<u64>, Option<u64>)) -> String {
    let mut page = Page::default();
    page.family("netrender_info", "Which master this is.");
    page.value("netrender_info", &[("version", &info.version), ("name", &info.name), ("farm", &info.farm)], 1);

    page.family("netrender_jobs", "Jobs by state.");
    let states = [
        ("active", JobState::Active),
        ("paused", JobState::Paused),
        ("finished", JobState::Finished),
        ("failed", JobState::Failed),
        ("canceled", JobState::Canceled),
    ];
    for (word, state) in states {
        let jobs = farm.jobs.iter().filter(|job| job.state == state).count();
        page.value("netrender_jobs", &[("state", word)], jobs);
    }

    page.family("netrender_frames", "Frames of all jobs by state; waiting ones only of jobs that go on.");
    let sum = |count: fn(&JobView) -> u32| farm.jobs.iter().map(|job| u64::from(count(job))).sum();
    let counts: [(&str, u64); 4] = [
        ("done", sum(|job| job.done)),
        ("failed", sum(|job| job.failed)),
        ("rendering", sum(|job| job.rendering)),
        (
            "waiting",
            sum(|job| match job.state {
                JobState::Active => job.total.saturating_sub(job.done + job.failed + job.rendering),
                _ => 0,
            }),
        ),
    ];
    for (word, frames) in counts {
        page.value("netrender_frames", &[("state", word)], frames);
    }

    page.family("netrender_slaves", "Slaves by what they do.");
    let there = || farm.slaves.iter().filter(|slave| slave.state == SlaveState::Ready);
    let lost = farm.slaves.iter().filter(|slave| slave.state == SlaveState::Lost).count();
    let busy = there().filter(|slave| slave.job.is_some()).count();
    let paused = there().filter(|slave| slave.job.is_none() && (slave.paused || slave.draining)).count();
    for (word, slaves) in
        [("busy", busy), ("idle", there().count() - busy - paused), ("paused", paused), ("lost", lost)]
    {
        page.value("netrender_slaves", &[("state", word)], slaves);
    }

    for (name, help, bytes) in [
        ("netrender_disk_free_bytes", "Room on the master's disk.", free),
        ("netrender_disk_size_bytes", "All of the master's disk.", total),
    ] {
        if let Some(bytes) = bytes {
            page.family(name, help);
            page.value(name, &[], bytes);
        }
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }
}
