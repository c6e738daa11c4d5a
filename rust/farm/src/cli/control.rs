//! Verbs that change what is on the farm already: jobs' settings, frames to render again, what slaves shall do.

use super::{Stop, arguments::SetArguments, farm::say_changed, report::print_json};
use crate::client::connect;
use netrender_core::{
    edit::JobEdit,
    frames::FrameList,
    ids::{JobId, SlaveId},
};

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

pub async fn order(address: &str, slave: u32, verb: &str, json: bool) -> Result<(), Stop> {
    let api = connect(address).await?;
    api.order_slave(SlaveId(slave), verb).await?;
    let slaves = api.farm().await?.slaves;
    let Some(slave) = slaves.into_iter().find(|one| one.id == SlaveId(slave)) else { return Ok(()) };
    if json {
        return print_json(&slave);
    }
    say!("Slave {} ({}): {}", slave.id, slave.name, slave.status);
    Ok(())
}
