//! A Blender as a process: how it is started, found out about and ended with all that it started itself. What is said to
//! it is the business of the parent module.

use super::log::{LogBook, last_lines};
use crate::blender::Blender;
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};
use tokio::{process::Command, sync::watch};

/// What Blender runs.
const SCRIPT: &str = "netrender_worker.py";
/// The Python side of the worker, carried along so that a slave needs no add-on installed. The script finds the others
/// beside itself.
const FILES: [(&str, &str); 7] = [
    (SCRIPT, include_str!("../../../../../addon/netrender_rs/worker/netrender_worker.py")),
    ("netrender_worker_paths.py", include_str!("../../../../../addon/netrender_rs/worker/netrender_worker_paths.py")),
    ("netrender_worker_scene.py", include_str!("../../../../../addon/netrender_rs/worker/netrender_worker_scene.py")),
    ("netrender_worker_device.py", include_str!("../../../../../addon/netrender_rs/worker/netrender_worker_device.py")),
    ("netrender_worker_share.py", include_str!("../../../../../addon/netrender_rs/worker/netrender_worker_share.py")),
    ("netrender_worker_finish.py", include_str!("../../../../../addon/netrender_rs/worker/netrender_worker_finish.py")),
    (
        "netrender_worker_denoise.py",
        include_str!("../../../../../addon/netrender_rs/worker/netrender_worker_denoise.py"),
    ),
];
/// A process whose socket closed ends by itself; a crashing Blender may first write its crash report.
const EXIT_WAIT: Duration = Duration::from_secs(5);

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct Launch {
    blender: Blender,
    script: PathBuf,
    console: bool,
    /// How long a Blender may do nothing before it counts as hung; zero for ever.
    pub hang_timeout: watch::Receiver<Duration>,
}

impl Launch {
    /// `program`: a Blender, or a Python that has `bpy`. Writes the scripts into `folder`.
    pub fn new(
        program: &Path,
        folder: &Path,
        console: bool,
        hang_timeout: watch::Receiver<Duration>,
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text)?;
        }
        let script = std::path::absolute(folder.join(SCRIPT))?;
        // A bare name is looked up on PATH; anything else must not depend on the current folder.
        let bare = program.components().count() == 1;
        let program = if bare { program.to_owned() } else { std::path::absolute(program)? };
        Ok(Self { blender: Blender::at(&program), script, console, hang_timeout })
    }

    /// The program, for messages.
    pub fn program(&self) -> String {
        self.blender.path().display().to_string()
    }

    /// Ends Blenders that an earlier life of this slave left behind, stopped or hung. They are known by our script: the
    /// folder it is in is locked by us, so nobody else can have started them.
    pub fn kill_orphans(&self) {
        let Ok(mut system) = System::new() else { return };
        let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
        system.refresh_processes_specifics(ProcessesToUpdate::All, false, what);
        for (pid, process) in system.processes() {
            if process.cmd().iter().any(|word| Path::new(word) == self.script) {
                tracing::warn!(target: "netrender::slave", %pid, "a blender of an earlier run of this slave is killed");
                process.kill();
            }
        }
    }

    /// Starts the process; it will connect to `address` and prove itself with `token`.
    pub fn spawn(&self, address: &str, token: &str) -> std::io::Result<Process> {
        let mut command = Command::from(self.blender.script(&self.script, [""; 0]));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NETRENDER_")) {
            command.env_remove(name);
        }
        command.env("NETRENDER_WORKER_ADDR", address).env("NETRENDER_WORKER_TOKEN", token);
        // One pipe for both, so that the order of what is printed stays.
        let (output, input) = std::io::pipe()?;
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        let mut wrap = CommandWrap::from(command);
        wrap.wrap(KillOnDrop);
        #[cfg(unix)]
        wrap.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        wrap.wrap(process_wrap::tokio::JobObject);
        let child = wrap.spawn()?;
        // Our ends of the pipe must close, or its end is never seen.
        drop(wrap);
        tracing::info!(target: "netrender::slave", pid = child.id(), program = %self.program(), "blender started");
        let log = LogBook::read(output, self.console)?;
        Ok(Process { child, log, ended: None })
    }
}

/// A running worker process. Dropping it kills it and all it started.
#[derive(Debug)]
pub struct Process {
    child: Box<dyn ChildWrapper>,
    /// What it prints.
    pub log: Arc<LogBook>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Its number; None once it ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap_or_default();
        }
        self.ended.is_none()
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => {
                self.ended = Some(status);
                status.to_string()
            }
            Err(error) => error.to_string(),
        }
    }

    /// Kills it with all it started and waits for the end.
    pub async fn kill(&mut self) {
        self.kill_group();
        if tokio::time::timeout(EXIT_WAIT, self.ended()).await.is_err() {
            tracing::warn!(target: "netrender::slave", pid = self.child.id(), "blender does not end after being killed");
        }
    }

    /// How a process ended that said no more: its status and last lines.
    pub async fn post_mortem(&mut self) -> (String, String) {
        let status = match tokio::time::timeout(EXIT_WAIT, self.ended()).await {
            Ok(status) => status,
            Err(_) => {
                self.kill().await;
                "it hung and was killed".into()
            }
        };
        // What is still in the pipe belongs to it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        (status, last_lines(&self.log.unfinished(), 30, 4096))
    }

    fn kill_group(&mut self) {
        // The group's number may be somebody else's once its leader was waited for.
        if self.ended.is_none()
            && let Err(error) = self.child.start_kill()
        {
            tracing::debug!(target: "netrender::slave", %error, "blender was gone before it was killed");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}
