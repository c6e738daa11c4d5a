//! The program `netrender`. Exit codes: 0 done, 1 the request or the job failed, 2 wrong usage, 3
//! no master reached.

/// Prints a line of the answer, with names of strangers made safe for a terminal. Unlike `println!`
/// it does not panic if the reader went away (`| head`).
macro_rules! say {
    ($($words:tt)*) => {{
        $crate::output::print_line(&mut std::io::stdout(), &format!($($words)*));
    }};
}

/// Prints a line of progress or an error to standard error.
macro_rules! say_aside {
    ($($words:tt)*) => {{
        $crate::output::print_line(&mut std::io::stderr(), &format!($($words)*));
    }};
}

mod arguments;
mod control;
mod get;
mod lists;
mod output;
mod services;
mod sources;
mod stop;
mod submit;

use arguments::{Arguments, Verb};
use clap::Parser;
use netrender_core::wire::{JobVerb, SlaveVerb};
use sources::Completed;
use std::{ffi::OsString, io::IsTerminal};
use stop::Stop;
use tracing::Level;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Runs the command and returns its exit code. `arguments` do not include the program's name.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> i32 {
    let given: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let json = given.iter().any(|word| word == "--json");
    let Completed { words, warnings } = match sources::complete(given, &|name| std::env::var_os(name)) {
        Ok(completed) => completed,
        Err(message) => return end(&Stop::Usage(message), json),
    };
    let arguments = match Arguments::try_parse_from(std::iter::once("netrender".into()).chain(words)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return error.exit_code();
        }
    };
    let wanted = std::env::var("NETRENDER_LOG").ok().and_then(|targets| targets.parse().ok());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| output::LogLines(std::io::stderr()))
        .with_ansi(std::io::stderr().is_terminal());
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(wanted.unwrap_or_else(|| Targets::new().with_target("netrender", Level::INFO))))
        .try_init();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(&Stop::Failed(format!("this machine gives no threads: {error}")), json),
    };
    let outcome = runtime.block_on(perform(arguments));
    // A name look-up that hangs must not keep the program running.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => 0,
        Err(stop) => end(&stop, json),
    }
}

async fn perform(arguments: Arguments) -> Result<(), Stop> {
    let Arguments { master, json, verb, config: _ } = arguments;
    let address = master.unwrap_or_default();
    match verb {
        Verb::Master(options) => services::master(options).await,
        Verb::Slave(options) => services::slave(options, address).await,
        Verb::Submit(options) => submit::submit(options, &address, json).await,
        Verb::Jobs => lists::jobs(&address, json).await,
        Verb::Job { id } => lists::job(&address, id, json).await,
        Verb::Slaves => lists::slaves(&address, json).await,
        Verb::Get(options) => get::get(options, &address, json).await,
        Verb::Pause { id } => control::change(&address, id, JobVerb::Pause, json).await,
        Verb::Resume { id } => control::change(&address, id, JobVerb::Resume, json).await,
        Verb::Cancel { id } => control::change(&address, id, JobVerb::Cancel, json).await,
        Verb::Stop { id, frames } => control::stop(&address, id, frames, json).await,
        Verb::More { id, samples, frames } => control::more(&address, id, samples, frames, json).await,
        Verb::Requeue { id, frames: None } => control::change(&address, id, JobVerb::Requeue, json).await,
        Verb::Requeue { id, frames: Some(frames) } => control::requeue(&address, id, &frames, json).await,
        Verb::Set(options) => control::set(&address, options, json).await,
        Verb::PauseSlave { slave } => control::order(&address, slave, SlaveVerb::Pause, json).await,
        Verb::ResumeSlave { slave } => control::order(&address, slave, SlaveVerb::Resume, json).await,
        Verb::DrainSlave { slave } => control::order(&address, slave, SlaveVerb::Drain, json).await,
        Verb::StopSlave { slave } => control::order(&address, slave, SlaveVerb::Stop, json).await,
        Verb::Delete { id } => control::delete(&address, id, json).await,
        Verb::Blacklist { id, slave, lift } => control::blacklist(&address, id, slave, !lift, json).await,
        Verb::Check { data } => services::check(data, json).await,
        Verb::Discover { seconds } => lists::discover(seconds, json).await,
    }
}

fn end(stop: &Stop, json: bool) -> i32 {
    let (exit_code, code, message) = stop.parts();
    if message.is_empty() {
        return exit_code;
    }
    if json {
        output::print_raw(&serde_json::json!({ "error": { "code": code, "message": message } }).to_string());
    } else {
        say_aside!("netrender: {message}");
    }
    exit_code
}
