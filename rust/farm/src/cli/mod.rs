//! The `netrender` command. Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 no master reached.

/// A line for the person at the terminal. A reader that went away (`| head`) is no reason to panic, as `println!` would.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($words)*)));
    }};
}

/// The same beside the answer itself: progress and errors.
macro_rules! say_aside {
    ($($words:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($words)*)));
    }};
}

mod arguments;
mod config;
mod control;
mod farm;
mod report;
mod services;
mod submit;

use crate::client::ClientError;
use arguments::{Arguments, Verb};
use clap::Parser;
pub use services::Heard;
use std::{ffi::OsString, io::IsTerminal};

/// Why the command ends without having done what was asked.
enum Stop {
    /// Exit code 1.
    Failed(String),
    /// Exit code 2.
    Usage(String),
    /// Exit code 3.
    NoMaster(String),
    /// Everything is said already; the exit code remains.
    Said(i32),
}

impl Stop {
    fn parts(&self) -> (i32, &'static str, &str) {
        match self {
            Self::Failed(message) => (1, "failed", message),
            Self::Usage(message) => (2, "usage", message),
            Self::NoMaster(message) => (3, "no_master", message),
            Self::Said(exit_code) => (*exit_code, "", ""),
        }
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            error if error.is_no_master() => Self::NoMaster(message),
            ClientError::Usage(_) | ClientError::Incomplete(_) => Self::Usage(message),
            _ => Self::Failed(message),
        }
    }
}

impl From<crate::api::ApiError> for Stop {
    fn from(error: crate::api::ApiError) -> Self {
        ClientError::from(error).into()
    }
}

/// Runs the command; `arguments` without the program's name. Returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> i32 {
    let given: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let json = given.iter().any(|word| word == "--json");
    let all = match config::with_config(given) {
        Ok(all) => std::iter::once("netrender".into()).chain(all),
        Err(message) => return end(&Stop::Usage(message), json),
    };
    let arguments = match Arguments::try_parse_from(all) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return error.exit_code();
        }
    };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("NETRENDER_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("netrender=info,netrender_farm=info")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(&Stop::Failed(format!("this machine gives no threads: {error}")), json),
    };
    let outcome = runtime.block_on(perform(arguments));
    // A name look-up that hangs must not hold the terminal.
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
        Verb::Jobs => farm::jobs(&address, json).await,
        Verb::Job { id } => farm::job(&address, id, json).await,
        Verb::Slaves => farm::slaves(&address, json).await,
        Verb::Get(options) => farm::get(options, &address, json).await,
        Verb::Pause { id } => farm::change(&address, id, "pause", json).await,
        Verb::Resume { id } => farm::change(&address, id, "resume", json).await,
        Verb::Cancel { id } => farm::change(&address, id, "cancel", json).await,
        Verb::Stop { id, frames } => farm::stop(&address, id, frames, json).await,
        Verb::More { id, samples, frames } => farm::more(&address, id, samples, frames, json).await,
        Verb::Requeue { id, frames: None } => farm::change(&address, id, "requeue", json).await,
        Verb::Requeue { id, frames: Some(frames) } => control::requeue(&address, id, &frames, json).await,
        Verb::Set(options) => control::set(&address, options, json).await,
        Verb::PauseSlave { slave } => control::order(&address, slave, "pause", json).await,
        Verb::ResumeSlave { slave } => control::order(&address, slave, "resume", json).await,
        Verb::DrainSlave { slave } => control::order(&address, slave, "drain", json).await,
        Verb::StopSlave { slave } => control::order(&address, slave, "stop", json).await,
        Verb::Delete { id } => farm::delete(&address, id, json).await,
        Verb::Blacklist { id, slave, lift } => farm::blacklist(&address, id, slave, !lift, json).await,
        Verb::Check { data } => services::check(data, json).await,
        Verb::Discover { seconds } => farm::discover(seconds, json).await,
        Verb::Bench => Err(Stop::Usage("bench is not there yet".into())),
    }
}

fn end(stop: &Stop, json: bool) -> i32 {
    let (exit_code, code, message) = stop.parts();
    if message.is_empty() {
        return exit_code;
    }
    if json {
        say!("{}", serde_json::json!({ "error": { "code": code, "message": message } }));
    } else {
        say_aside!("netrender: {message}");
    }
    exit_code
}
