//! `netrender master` and `netrender slave`: services until SIGINT or SIGTERM.

use super::{
    arguments::{MasterArguments, SlaveArguments},
    output::print_json,
    stop::Stop,
};
use netrender_blender::Blender;
use netrender_core::{model::slave_settings::SlaveSettings, printable::printable};
use netrender_master::{Master, MasterOptions};
use netrender_slave::{Slave, SlaveOptions};
use std::{path::PathBuf, time::Duration};

pub async fn master(arguments: MasterArguments) -> Result<(), Stop> {
    let timeout = arguments.slave_timeout;
    if !(timeout.is_finite() && timeout > 0.0 && timeout < 1e9) {
        return Err(Stop::Usage("the slave timeout is a number of seconds above 0".into()));
    }
    let options = MasterOptions {
        data: arguments.data.map_or_else(|| home("master"), Ok)?,
        host: arguments.host,
        port: arguments.port,
        name: arguments.name,
        broadcast: !arguments.no_broadcast,
        clear_on_exit: arguments.clear_on_exit,
        slave_timeout: Duration::from_secs_f64(timeout),
        allow_scripts: arguments.allow_scripts,
        host_names: arguments.allow_host,
    };
    let asked_to_stop = stop_signal()?;
    let master = Master::start(options).await.map_err(|error| Stop::Failed(error.to_string()))?;
    say!("{} is listening on {}", printable(&master.info().name), master.url());
    asked_to_stop.await;
    say!("stopping");
    master.stop().await;
    Ok(())
}

pub async fn slave(arguments: SlaveArguments, master: String) -> Result<(), Stop> {
    let settings = SlaveSettings {
        name: Some(arguments.name.trim().to_owned()).filter(|name| !name.is_empty()),
        tags: Some(arguments.tags.into_iter().filter(|tag| !tag.is_empty()).collect()),
        threads: Some(arguments.threads).filter(|threads| *threads != 0),
        hang_timeout_s: arguments.hang_timeout,
        cache_limit_gb: arguments.cache_limit,
        upload_interval_s: arguments.upload_interval,
    };
    settings.check().map_err(|why| Stop::Usage(why.into()))?;
    let options = SlaveOptions {
        data: arguments.data.map_or_else(|| home("slave"), Ok)?,
        blender: Blender::choose(arguments.blender.as_deref()).path().to_owned(),
        master: Some(master).filter(|address| !address.is_empty()),
        device: arguments.device,
        console: arguments.console,
        clear_on_exit: arguments.clear_on_exit,
        settings,
    };
    let asked_to_stop = stop_signal()?;
    let slave = Slave::start(options).await.map_err(|error| Stop::Failed(error.to_string()))?;
    let seen = slave.snapshot();
    say!("{} is ready with Blender {} on {}", printable(&seen.name), seen.blender, slave.device());
    let ended = tokio::select! {
        () = asked_to_stop => Ok(()),
        ended = slave.ended() => ended,
    };
    say!("stopping");
    slave.stop().await;
    ended.map_err(Stop::Failed)
}

/// `netrender check`: exit code 1 if something is wrong.
pub async fn check(data: Option<PathBuf>, json: bool) -> Result<(), Stop> {
    let data = data.map_or_else(|| home("master"), Ok)?;
    let checking = tokio::task::spawn_blocking(move || netrender_master::check(&data));
    let found = checking.await.map_err(|error| Stop::Failed(error.to_string()))?;
    let found = found.map_err(|error| Stop::Failed(error.to_string()))?;
    if json {
        print_json(&found)?;
    } else {
        say!(
            "{} jobs, {} frames done; {} files and {} pieces are right",
            found.jobs,
            found.frames_done,
            found.files_right,
            found.pieces_right
        );
        if found.unneeded_files > 0 {
            say!("{} files with {} bytes are needed by no job", found.unneeded_files, found.unneeded_bytes);
        }
        for problem in &found.problems {
            say!("{problem}");
        }
    }
    if found.problems.is_empty() { Ok(()) } else { Err(Stop::Said(1)) }
}

/// Default data folder of a service.
fn home(service: &str) -> Result<PathBuf, Stop> {
    netrender_net::folders::data(service)
        .ok_or_else(|| Stop::Usage("say which folder to work in with --data DIR".into()))
}

/// Resolves when the service is to end. Signals are caught from the call on, so that none is lost
/// while the service starts.
fn stop_signal() -> Result<impl Future<Output = ()>, Stop> {
    let failed = |error: std::io::Error| Stop::Failed(format!("can't listen for signals: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(windows)]
    {
        use tokio::signal::windows::{ctrl_c, ctrl_close};
        let (mut interrupt, mut close) = (ctrl_c().map_err(failed)?, ctrl_close().map_err(failed)?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = close.recv() => {}
            }
        })
    }
}
