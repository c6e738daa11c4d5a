//! A Blender as an operating system process: started, observed, and killed together with everything
//! it started. Messages to it are the business of the parent module.

use super::log::{LogBook, last_lines};
use netrender_blender::{Blender, UNSEEN, WORKER};
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};
use tokio::{process::Command, sync::watch};

/// Time that a process has to end after its socket was closed. A crashing Blender writes a crash
/// report first.
const EXIT_WAIT: Duration = Duration::from_secs(5);

/// Time that a Blender has to say whether it sees a path.
const LOOK_WAIT: Duration = Duration::from_secs(60);

/// Everything needed to start a worker.
#[derive(Clone, Debug)]
pub struct Launch {
    blender: Blender,
    script: PathBuf,
    console: bool,
    /// Time without output and processor time after which a Blender counts as hung; zero for never.
    pub hang_timeout: watch::Receiver<Duration>,
}

impl Launch {
    /// Writes the worker's scripts into `folder`. `program` is a Blender, or a Python that has
    /// `bpy`.
    pub fn new(
        program: &Path,
        folder: &Path,
        console: bool,
        hang_timeout: watch::Receiver<Duration>,
    ) -> std::io::Result<Self> {
        let script = std::path::absolute(WORKER.write(folder)?)?;
        // A bare name is looked up on PATH; anything else must not depend on the current folder.
        let bare = program.components().count() == 1;
        let program = if bare { program.to_owned() } else { std::path::absolute(program)? };
        Ok(Self { blender: Blender::at(&program), script, console, hang_timeout })
    }

    /// Path of the program, for messages.
    pub fn program(&self) -> String {
        self.blender.path().display().to_string()
    }

    /// What is wrong if the Blender has a file system of its own in which the slave's data folder is
    /// not; `None` if it sees the folder.
    pub async fn hidden_by_sandbox(&self) -> Option<String> {
        let mut command = tokio::process::Command::from(self.blender.look_at(&self.script));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let status = tokio::time::timeout(LOOK_WAIT, command.status()).await.ok()?.ok()?;
        let what = format!(
            "cannot see {}: it seems to be in a sandbox; choose a folder that it sees (--data)",
            self.script.parent().unwrap_or(&self.script).display()
        );
        (status.code() == Some(UNSEEN)).then_some(what)
    }

    /// Kills Blenders that an earlier run of this slave left behind, stopped or hung. They are
    /// recognised by the path of the script: it is in the data folder, which is locked, so nobody
    /// else can have started them.
    pub fn kill_orphans(&self) {
        let Ok(mut system) = System::new() else { return };
        let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
        system.refresh_processes_specifics(ProcessesToUpdate::All, false, what);
        for (pid, process) in system.processes() {
            if process.cmd().iter().any(|word| Path::new(word) == self.script) {
                tracing::warn!(%pid, "a blender of an earlier run of this slave is killed");
                process.kill();
            }
        }
    }

    /// Starts the process. It connects to `address` and identifies itself with `token`.
    pub fn spawn(&self, address: &str, token: &str, color_configuration: Option<&str>) -> std::io::Result<Process> {
        let mut command = Command::from(self.blender.script(&self.script, [""; 0]));
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_kept_from_blender(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("NETRENDER_WORKER_ADDR", address).env("NETRENDER_WORKER_TOKEN", token);
        if let Some(path) = color_configuration {
            command.env("OCIO", path);
        }
        // One pipe for both, which keeps the order of the output.
        let (output, input) = std::io::pipe()?;
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        let mut wrap = CommandWrap::from(command);
        wrap.wrap(KillOnDrop);
        #[cfg(unix)]
        wrap.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        wrap.wrap(process_wrap::tokio::JobObject);
        let child = wrap.spawn()?;
        // The ends of the pipe on this side must close, or its end is never seen.
        drop(wrap);
        tracing::info!(pid = child.id(), program = %self.program(), "blender started");
        let log = LogBook::read(output, self.console)?;
        Ok(Process { child, log, ended: None })
    }
}

/// True for variables of the slave's environment that its Blender must not see: the slave's own
/// settings, and what changes pixels. Jobs look alike on every slave.
fn is_kept_from_blender(name: &str) -> bool {
    // A colour configuration with its views and displays; kernels of Cycles; options of OSL.
    let prefixes = ["NETRENDER_", "OCIO", "BLENDER_OCIO", "CYCLES_CPU_NO_", "OSL_OPTIONS"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// A running worker process. Dropping it kills the process and everything it started.
#[derive(Debug)]
pub struct Process {
    child: Box<dyn ChildWrapper>,
    /// Output of the process.
    pub log: Arc<LogBook>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Process id; `None` once the process has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// True while the process runs.
    pub fn is_alive(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap_or_default();
        }
        self.ended.is_none()
    }

    /// Waits for the end of the process. Returns its exit status in words.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => {
                self.ended = Some(status);
                status.to_string()
            }
            Err(error) => error.to_string(),
        }
    }

    /// Kills the process with everything it started and waits for its end.
    pub async fn kill(&mut self) {
        self.kill_group();
        if tokio::time::timeout(EXIT_WAIT, self.ended()).await.is_err() {
            tracing::warn!(pid = self.child.id(), "blender does not end after being killed");
        }
    }

    /// Exit status and last lines of a process that stopped answering.
    pub async fn post_mortem(&mut self) -> (String, String) {
        let status = match tokio::time::timeout(EXIT_WAIT, self.ended()).await {
            Ok(status) => status,
            Err(_) => {
                self.kill().await;
                "it hung and was killed".into()
            }
        };
        // The rest of the output may still be in the pipe.
        tokio::time::sleep(Duration::from_millis(50)).await;
        (status, last_lines(&self.log.unfinished(), 30, 4096))
    }

    fn kill_group(&mut self) {
        // Once its leader was waited for, the group's number may belong to other processes.
        if self.ended.is_none()
            && let Err(error) = self.child.start_kill()
        {
            tracing::debug!(%error, "blender was gone before it was killed");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_pixels_is_kept_from_blender_and_what_finds_engines_is_not() {
        for name in ["OCIO", "OCIO_ACTIVE_VIEWS", "BLENDER_OCIO", "CYCLES_CPU_NO_AVX2", "NETRENDER_SLAVE_NAME"] {
            assert!(is_kept_from_blender(name), "{name}");
        }
        for name in ["PATH", "HOME", "DISPLAY", "BLENDER_USER_SCRIPTS", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"] {
            assert!(!is_kept_from_blender(name), "{name}");
        }
    }
}
