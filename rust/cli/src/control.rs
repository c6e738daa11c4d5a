//! Verbs that change jobs and slaves.

use super::{arguments::SetArguments, output::print_json, stop::Stop};
use netrender_client::connect;
use netrender_core::{
    model::{
        frames::{FrameList, FrameListError},
        ids::{JobId, SlaveId},
        job_settings::JobEdit,
    },
    printable::printable,
    wire::{JobVerb, SlaveVerb},
};
use netrender_net::api::Api;

pub async fn set(address: &str, arguments: SetArguments, json: bool) -> Result<(), Stop> {
    let SetArguments { id, priority, name, category, chunk, tags } = arguments;
    let tags = tags.map(|tags| tags.into_iter().filter(|tag| !tag.is_empty()).collect());
    let edit = JobEdit { priority, name, category, chunk, tags };
    if edit == JobEdit::default() {
        return Err(Stop::Usage("say what to change, for example --priority 80".into()));
    }
    let api = connect(address).await?;
    api.edit_job(JobId(id), &edit).await?;
    say_changed(&api, id, json).await
}

pub async fn requeue(address: &str, id: u32, frames: &str, json: bool) -> Result<(), Stop> {
    let frames: FrameList = frames.parse().map_err(|error| Stop::Usage(format!("{error}")))?;
    let api = connect(address).await?;
    api.requeue_frames(JobId(id), frames).await?;
    say_changed(&api, id, json).await
}

pub async fn order(address: &str, slave: u32, verb: SlaveVerb, json: bool) -> Result<(), Stop> {
    let api = connect(address).await?;
    api.order_slave(SlaveId(slave), verb).await?;
    let slaves = api.farm().await?.slaves;
    let Some(slave) = slaves.into_iter().find(|one| one.id == SlaveId(slave)) else { return Ok(()) };
    if json {
        return print_json(&slave);
    }
    say!("Slave {} ({}): {}", slave.id, printable(&slave.name), printable(&slave.status));
    Ok(())
}

pub async fn change(address: &str, id: u32, verb: JobVerb, json: bool) -> Result<(), Stop> {
    let api = connect(address).await?;
    api.change_job(JobId(id), verb).await?;
    say_changed(&api, id, json).await
}

pub async fn stop(address: &str, id: u32, frames: Option<String>, json: bool) -> Result<(), Stop> {
    let frames = frame_list(frames)?;
    let api = connect(address).await?;
    api.stop(JobId(id), frames).await?;
    say_changed(&api, id, json).await
}

pub async fn more(address: &str, id: u32, samples: u32, frames: Option<String>, json: bool) -> Result<(), Stop> {
    let frames = frame_list(frames)?;
    let api = connect(address).await?;
    api.more(JobId(id), samples, frames).await?;
    say_changed(&api, id, json).await
}

/// Prints the status of a job that was changed.
async fn say_changed(api: &Api, id: u32, json: bool) -> Result<(), Stop> {
    if json {
        return print_json(&api.job(JobId(id)).await?.job);
    }
    say!("Job {id} is {}", api.progress(JobId(id), false).await?.status);
    Ok(())
}

pub async fn delete(address: &str, id: u32, json: bool) -> Result<(), Stop> {
    connect(address).await?.delete_job(JobId(id)).await?;
    if json {
        return print_json(&serde_json::json!({ "deleted": id }));
    }
    say!("Job {id} is deleted");
    Ok(())
}

pub async fn blacklist(address: &str, id: u32, slave: u32, listed: bool, json: bool) -> Result<(), Stop> {
    let api = connect(address).await?;
    api.blacklist(JobId(id), SlaveId(slave), listed).await?;
    let job = api.job(JobId(id)).await?.job;
    if json {
        return print_json(&job);
    }
    say!("Slave {slave} {} job {id}", if listed { "gets no more of" } else { "may render" });
    Ok(())
}

/// Parses frames in the artist's notation; `None` means all.
pub fn frame_list(text: Option<String>) -> Result<Option<FrameList>, Stop> {
    text.map(|text| text.parse()).transpose().map_err(|error: FrameListError| Stop::Usage(error.to_string()))
}
