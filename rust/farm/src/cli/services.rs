//! `netrender master` and `netrender slave`: services until SIGINT or SIGTERM.

use super::{
    Stop,
    arguments::{MasterArguments, SlaveArguments},
    report::print_json,
};
use crate::{
    blender::Blender,
    discovery,
    master::{Master, MasterOptions},
    slave::{Finder, Slave, SlaveOptions, cache_limit, upload_interval},
};
use std::{path::PathBuf, pin::Pin, sync::Arc, time::Duration};

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
    };
    let asked_to_stop = stop_signal()?;
    let master = Master::start(options).await.map_err(|error| Stop::Failed(error.to_string()))?;
    say!("{} is listening on {}", master.info().name, master.url());
    asked_to_stop.await;
    say!("stopping");
    master.stop().await;
    Ok(())
}

pub async fn slave(arguments: SlaveArguments, master: String) -> Result<(), Stop> {
    let options = SlaveOptions {
        data: arguments.data.map_or_else(|| home("slave"), Ok)?,
        blender: Blender::choose(arguments.blender.as_deref()).path().to_owned(),
        master: Some(master).filter(|address| !address.is_empty()),
        name: arguments.name,
        threads: arguments.threads,
        device: format!("{:?}", arguments.device).to_lowercase(),
        tags: arguments.tags.into_iter().filter(|tag| !tag.is_empty()).collect(),
        console: arguments.console,
        cache_limit_bytes: cache_limit(arguments.cache_limit)
            .ok_or_else(|| Stop::Usage("the cache limit is a number of gigabytes from 0 up".into()))?,
        hang_timeout: Duration::try_from_secs_f64(arguments.hang_timeout)
            .map_err(|_| Stop::Usage("the hang timeout is a number of seconds from 0 up".into()))?,
        upload_interval_s: upload_interval(arguments.upload_interval)
            .ok_or_else(|| Stop::Usage("the upload interval is 1 to 3600 seconds".into()))?,
        clear_on_exit: arguments.clear_on_exit,
    };
    let asked_to_stop = stop_signal()?;
    let slave = Slave::start(options, Arc::new(Heard)).await.map_err(|error| Stop::Failed(error.to_string()))?;
    let seen = slave.snapshot();
    say!("{} is ready with Blender {} on {}", seen.name, seen.blender, slave.device());
    let ended = tokio::select! {
        () = asked_to_stop => Ok(()),
        ended = slave.ended() => ended,
    };
    say!("stopping");
    slave.stop().await;
    ended.map_err(Stop::Failed)
}

/// Exit code 1 when something is wrong.
pub async fn check(data: Option<PathBuf>, json: bool) -> Result<(), Stop> {
    let data = data.map_or_else(|| home("master"), Ok)?;
    let looking = tokio::task::spawn_blocking(move || crate::master::check(&data));
    let found = looking.await.map_err(|error| Stop::Failed(error.to_string()))?;
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

/// Finds masters by their beacons.
pub struct Heard;

impl Finder for Heard {
    fn find(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async {
            let found = discovery::find_first(Duration::from_secs(1)).await.ok().flatten();
            found.map(|found| found.url)
        })
    }
}

fn home(service: &str) -> Result<PathBuf, Stop> {
    crate::folders::data(service).ok_or_else(|| Stop::Usage("say which folder to work in with --data DIR".into()))
}

/// Armed when this returns, so that no signal is lost while the service starts.
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
