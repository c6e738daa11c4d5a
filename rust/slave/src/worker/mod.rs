//! A warm Blender process. The rendering loop decides what it is asked; `addon/netrender_rs/worker`
//! is the other side.
//!
//! Lifecycle:
//! - start: the process says hello with its one-time token, within two minutes;
//! - ask: one request at a time; it is busy until it has answered;
//! - hung: neither output nor processor time for the hang time, so the watchdog kills it;
//! - died: the error carries the last lines of its log;
//! - end: asked to quit if it is idle, else killed; dropped, it is killed with its whole group.

mod log;
mod process;
pub mod protocol;
mod watchdog;

pub use log::{LogBook, last_lines};
pub use process::Launch;

use netrender_core::model::result::FailureKind;
use process::Process;
use protocol::{Ask, Complaint, Hello, Line, MAX_LINE_BYTES, PROTOCOL, Request};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use watchdog::Watchdog;

/// Time that a Blender has to start. A cold disk, a virus scanner and a big Blender together need
/// less.
const HELLO_WAIT: Duration = Duration::from_secs(120);
/// Time that an idle worker has to end by itself. Nothing is lost when it is killed instead, so an
/// artist who stops her slave does not wait for it.
const QUIT_WAIT: Duration = Duration::from_millis(500);

/// Reason why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system could not start the program.
    #[error("{program} can't be started: {source}")]
    Spawn {
        /// Path or name of the program.
        program: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The program ended or kept silent.
    #[error("{program} {what}; it printed:\n{printed}")]
    NoHello {
        /// Path or name of the program.
        program: String,
        /// Description of what happened.
        what: String,
        /// Last lines of its output.
        printed: String,
    },
}

/// Reason why a request failed.
#[derive(Debug)]
pub enum AskError {
    /// The worker refused the request and continues.
    Refused(Complaint),
    /// The process has ended.
    Died {
        /// Exit status in words.
        status: String,
    },
    /// The process did nothing for this long and was killed.
    Hung(Duration),
}

/// Reason why an exchange of messages broke off.
enum Broken {
    Line(std::io::Error),
    Hung(Duration),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Line(error)
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// Greeting of the process: versions and abilities.
    pub hello: Hello,
    process: Process,
    stream: BufReader<TcpStream>,
    last_id: u64,
    busy: bool,
    hang_timeout: watch::Receiver<Duration>,
}

impl Worker {
    /// Starts a Blender, with a colour configuration of its own if there is one, and waits for its
    /// greeting.
    pub async fn start(launch: &Launch, color_configuration: Option<&str>) -> Result<Self, StartError> {
        let program = launch.program();
        let spawn = |source| StartError::Spawn { program: program.clone(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(spawn)?;
        let address = listener.local_addr().map_err(spawn)?.to_string();
        let token = netrender_net::random_hex();
        let mut process = launch.spawn(&address, &token, color_configuration).map_err(spawn)?;
        let met = tokio::select! {
            met = tokio::time::timeout(HELLO_WAIT, meet(&listener, &token)) => {
                met.map_err(|_| format!("did not say hello within {} s", HELLO_WAIT.as_secs()))
            }
            status = process.ended() => Err(format!("ended before it said hello ({status})")),
        };
        let what = match met {
            Ok((hello, stream)) if hello.protocol == PROTOCOL => {
                let hang_timeout = launch.hang_timeout.clone();
                return Ok(Self { hello, process, stream, last_id: 0, busy: false, hang_timeout });
            }
            Ok((hello, _)) => format!("speaks worker protocol {} instead of {PROTOCOL}", hello.protocol),
            Err(what) => what,
        };
        process.kill().await;
        let (_, printed) = process.post_mortem().await;
        let what = launch.hidden_by_sandbox().await.unwrap_or(what);
        Err(StartError::NoHello { program, what, printed })
    }

    /// Sends a request and waits for the answer. If the future is dropped in between, the worker
    /// stays [`Self::is_busy`] and must be ended.
    pub async fn ask<T: DeserializeOwned>(
        &mut self,
        ask: Ask<'_>,
        mut progress: impl FnMut(&str),
    ) -> Result<T, AskError> {
        self.busy = true;
        let mut watchdog = Watchdog::new(self.process.id(), self.hang_timeout.clone());
        match self.exchange(ask, &mut progress, &mut watchdog).await {
            Err(Broken::Hung(silent)) => {
                self.process.kill().await;
                Err(AskError::Hung(silent))
            }
            Ok(Ok(value)) => {
                self.busy = false;
                serde_json::from_value(value).map_err(|error| {
                    let message = format!("the worker's answer is not as agreed: {error}");
                    AskError::Refused(Complaint { kind: FailureKind::Internal, message })
                })
            }
            Ok(Err(complaint)) => {
                self.busy = false;
                Err(AskError::Refused(complaint))
            }
            Err(Broken::Line(broken)) => {
                tracing::debug!(%broken, "the line to blender broke");
                let (status, _) = self.process.post_mortem().await;
                Err(AskError::Died { status })
            }
        }
    }

    async fn exchange(
        &mut self,
        ask: Ask<'_>,
        progress: &mut impl FnMut(&str),
        watchdog: &mut Watchdog,
    ) -> Result<Result<serde_json::Value, Complaint>, Broken> {
        self.last_id += 1;
        let id = self.last_id;
        let mut line = serde_json::to_vec(&Request { id, ask }).map_err(std::io::Error::from)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).await?;
        let mut printed = self.process.log.progress.subscribe();
        printed.mark_unchanged();
        let mut output = self.process.log.output();
        let mut line = Vec::new();
        loop {
            let mut bounded = (&mut self.stream).take(MAX_LINE_BYTES);
            tokio::select! {
                read = bounded.read_until(b'\n', &mut line) => { read?; }
                // The half-read line stays in `line`; read_until goes on where it was.
                Ok(()) = printed.changed() => {
                    progress(&printed.borrow_and_update());
                    continue;
                }
                Ok(()) = output.changed() => {
                    watchdog.reset();
                    continue;
                }
                silent = watchdog.hung() => return Err(Broken::Hung(silent)),
            }
            watchdog.reset();
            let answer = parse(&line)?;
            line.clear();
            if let Some(said) = answer.progress {
                progress(&said.text);
            } else if answer.id == Some(id) {
                return match (answer.ok, answer.error) {
                    (_, Some(complaint)) => Ok(Err(complaint)),
                    (Some(value), None) => Ok(Ok(value)),
                    (None, None) => Err(std::io::Error::other("an answer without ok and error").into()),
                };
            }
        }
    }

    /// Number of the last request, which names its part of the log.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Output of the process.
    pub fn log(&self) -> Arc<LogBook> {
        Arc::clone(&self.process.log)
    }

    /// True while a request is not answered.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// True while the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Ends the process: by a request if it is idle, by force otherwise.
    pub async fn end(mut self) {
        if !self.busy && self.is_alive() {
            let mut ignore = |_: &str| ();
            let mut watchdog = Watchdog::new(None, watch::channel(Duration::ZERO).1);
            let quit = self.exchange(Ask::Quit, &mut ignore, &mut watchdog);
            if let Ok(Ok(_)) = tokio::time::timeout(QUIT_WAIT, quit).await
                && tokio::time::timeout(QUIT_WAIT, self.process.ended()).await.is_ok()
            {
                return;
            }
        }
        self.process.kill().await;
    }

    /// Kills the process at once.
    pub async fn kill(mut self) {
        self.process.kill().await;
    }
}

/// Accepts connections until one proves to be the started process: any program on this machine can
/// connect.
async fn meet(listener: &TcpListener, token: &str) -> (Hello, BufReader<TcpStream>) {
    let mut strangers = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let token = token.to_owned();
                strangers.spawn(async move {
                    stream.set_nodelay(true).ok()?;
                    let mut stream = BufReader::new(stream);
                    let mut line = Vec::new();
                    let mut bounded = (&mut stream).take(MAX_LINE_BYTES);
                    bounded.read_until(b'\n', &mut line).await.ok()?;
                    let hello = parse(&line).ok()?.hello?;
                    (hello.token == token).then_some((hello, stream))
                });
            }
            Some(met) = strangers.join_next() => {
                if let Ok(Some(friend)) = met {
                    return friend;
                }
                tracing::warn!("somebody else connected to the worker's port");
            }
        }
    }
}

fn parse(line: &[u8]) -> std::io::Result<Line> {
    if line.last() != Some(&b'\n') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(line).or_else(|_| Ok(serde_json::from_str(&without_surrogates(line))?))
}

/// Replaces lone surrogates by `\\ufffd`. File names that are no Unicode come as `\\udcXX` escapes,
/// which serde refuses.
fn without_surrogates(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.split("\\u");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let lone =
            part.get(..2).is_some_and(|head| matches!(head.to_ascii_lowercase().as_bytes(), [b'd', b'8'..=b'f']));
        match part.get(4..) {
            Some(rest) if lone => clean.extend(["\\ufffd", rest]),
            _ => clean.extend(["\\u", part]),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_that_is_no_unicode_does_not_break_the_line() {
        let line = parse(b"{\"id\": 1, \"error\": {\"kind\": \"k\", \"message\": \"a\\udc80b \\u00e9\"}}\n").unwrap();
        assert_eq!(line.error.unwrap().message, "a\u{fffd}b \u{e9}");
    }
}
