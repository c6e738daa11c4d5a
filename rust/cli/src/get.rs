//! `netrender get`: fetching finished frames.

use super::{arguments::GetArguments, control::frame_list, output::print_json, stop::Stop};
use netrender_client::{FetchWhat, Transfer, connect, fetch};
use netrender_core::model::ids::JobId;

pub async fn get(arguments: GetArguments, address: &str, json: bool) -> Result<(), Stop> {
    let frames = frame_list(arguments.frames)?;
    let what = FetchWhat::parse(&arguments.what)?;
    let api = connect(address).await?;
    let transfer = Transfer::default();
    let work = fetch(&api, JobId(arguments.id), frames.as_ref(), what, &arguments.output, &transfer);
    let files = transfer.run(work).await?;
    if json {
        return print_json(&files);
    }
    for file in files {
        say!("{}", file.display());
    }
    Ok(())
}
