//! The plain page, for browsers without JavaScript: jobs and slaves as two tables. Everything that came from outside is escaped.

use netrender_core::wire::{FarmView, MasterInfo};
use std::fmt::Write;

/// The whole page.
pub fn render(info: &MasterInfo, farm: &FarmView) -> String {
    let mut html = String::new();
    let name = escape(&info.name);
    let _ = write!(
        html,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <link rel=icon href=/web/icon.svg><meta http-equiv=refresh content=5><title>{name} - netrender</title><style>\
         :root{{color-scheme:light dark}}body{{font:15px system-ui;margin:2em auto;max-width:60em;padding:0 1em}}\
         table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:.3em .8em .3em 0}}</style>\
         <h1>{name}</h1><p>Scripts that scenes bring along {}.<h2>Jobs</h2>",
        if info.scripts { "run, for jobs that need them" } else { "don't run on this farm" }
    );
    if farm.jobs.is_empty() {
        html.push_str("<p>No jobs yet: press <b>Send job</b> in Blender.");
    } else {
        html.push_str("<table><tr><th>No.<th>Name<th>Status<th>Done<th>Failed<th>Frames");
        for job in farm.jobs.iter().rev() {
            let _ = write!(
                html,
                "<tr><td><a href='/api/v1/jobs/{0}'>{0}</a><td>{1}<td>{2}<td>{3} of {4}<td>{5}<td>{6}",
                job.id,
                escape(&job.name),
                escape(&if job.why.is_empty() { job.status.clone() } else { format!("{}: {}", job.status, job.why) }),
                job.done,
                job.total,
                job.failed,
                escape(&job.frames)
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
                escape(&slave.name),
                escape(&slave.status),
                slave.blender,
                slave.threads
            );
        }
        html.push_str("</table>");
    }
    html
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
