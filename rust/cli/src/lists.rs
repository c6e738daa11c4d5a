//! Verbs that show what there is: `jobs`, `job`, `slaves`, `discover`.

use super::{
    output::{print_json, table},
    stop::Stop,
};
use netrender_client::connect;
use netrender_core::{
    model::{build::DeviceKind, ids::JobId, slave::SlaveInfo},
    printable::printable,
};
use netrender_net::discovery;
use std::time::Duration;

pub async fn jobs(address: &str, json: bool) -> Result<(), Stop> {
    let jobs = connect(address).await?.farm().await?.jobs;
    if json {
        return print_json(&jobs);
    }
    if jobs.is_empty() {
        say!("No jobs yet: send one with `netrender submit FILE.blend`.");
        return Ok(());
    }
    let rows = jobs.iter().map(|job| {
        let status = if job.why.is_empty() { job.status.clone() } else { format!("{} ({})", job.status, job.why) };
        let done = format!("{}/{}", job.done, job.total);
        [job.id.to_string(), job.name.clone(), done, job.failed.to_string(), job.priority.to_string(), status]
    });
    table(["No.", "Name", "Done", "Failed", "Priority", "Status"], rows);
    Ok(())
}

pub async fn job(address: &str, id: u32, json: bool) -> Result<(), Stop> {
    let detail = connect(address).await?.job(JobId(id)).await?;
    if json {
        return print_json(&detail);
    }
    let job = &detail.job;
    say!(
        "Job {} {:?}: {}, {} of {} frames done, {} failed",
        job.id,
        job.name,
        job.status,
        job.done,
        job.total,
        job.failed
    );
    if !job.why.is_empty() {
        say!("It waits: {}", printable(&job.why));
    }
    if !detail.spec.split_note.is_empty() {
        say!("Split frames: {}", printable(&detail.spec.split_note));
    }
    for warning in &detail.spec.warnings {
        let hint = if warning.hint.is_empty() { String::new() } else { format!(" -> {}", printable(&warning.hint)) };
        say!("{}: {}{hint}", warning.severity.in_words(), warning.in_words());
    }
    let rows = detail.tasks.iter().map(|task| {
        let slave = task.slave.map(|slave| slave.to_string()).unwrap_or_default();
        let seconds = task.seconds.map(|seconds| format!("{seconds:.2}")).unwrap_or_default();
        let error = task.error.as_ref().map(|error| error.message.lines().next().unwrap_or("").to_owned());
        let state = match task.units {
            Some([done, all]) if done < all => format!("{}, {done} of {all} {}", task.state, task.unit.word()),
            _ => task.state.to_string(),
        };
        [task.frame.to_string(), state, slave, task.attempts.to_string(), seconds, error.unwrap_or_default()]
    });
    table(["Frame", "State", "Slave", "Attempts", "Seconds", "Error"], rows);
    Ok(())
}

pub async fn slaves(address: &str, json: bool) -> Result<(), Stop> {
    let slaves = connect(address).await?.farm().await?.slaves;
    if json {
        return print_json(&slaves);
    }
    if slaves.is_empty() {
        say!("No slaves yet: start one with `netrender slave`.");
        return Ok(());
    }
    let rows = slaves.iter().map(|slave| {
        let (version, threads) = (slave.blender.to_string(), slave.threads.to_string());
        let (device, status, progress) = (devices(&slave.info), slave.status.clone(), slave.progress.clone());
        [slave.id.to_string(), slave.name.clone(), version, device, threads, status, progress]
    });
    table(["No.", "Name", "Blender", "Device", "Threads", "Status", "Progress"], rows);
    Ok(())
}

/// Kind of device that a slave renders with, and the names of its GPUs.
fn devices(info: &SlaveInfo) -> String {
    let own = info.devices.iter().filter(|device| device.kind == info.device && device.kind != DeviceKind::Cpu);
    let names: Vec<&str> = own.map(|device| device.name.as_str()).collect();
    if names.is_empty() { info.device.to_string() } else { format!("{} ({})", info.device, names.join(", ")) }
}

pub async fn discover(seconds: f64, json: bool) -> Result<(), Stop> {
    if !(seconds > 0.0 && seconds <= 60.0) {
        return Err(Stop::Usage("listen for more than 0 and at most 60 seconds".into()));
    }
    let found = discovery::discover(Duration::from_secs_f64(seconds))
        .await
        .map_err(|error| Stop::Failed(format!("can't look for masters: {error}")))?;
    if json {
        print_json(&found)?;
    } else if !found.is_empty() {
        table(
            ["Name", "Address", "Version"],
            found.iter().map(|one| [one.name.clone(), one.url.clone(), one.version.clone()]),
        );
    }
    match (found.is_empty(), json) {
        (false, _) => Ok(()),
        (true, true) => Err(Stop::Said(3)),
        (true, false) => Err(Stop::NoMaster("no master was heard on this network".into())),
    }
}
