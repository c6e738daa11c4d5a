//! The process behind a worker: its group, its loopback socket, its output.

use super::log::{LogCutter, Section, last_lines};
use crate::{blender::Blender, random_hex};
use netrender_core::slave::{Device, Version};
use process_wrap::tokio::{ChildWrapper, CommandWrap};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, io::Write, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
};

const PROTOCOL: u64 = 1;
/// Blender with many add-ons on a slow disk; beyond it something hangs.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// The marker is written before the answer, so its text is there or nearly there.
const LOG_PATIENCE: Duration = Duration::from_secs(2);
/// A line of the protocol; the longest names every file of a scene.
const MAX_LINE: u64 = 64 << 20;

/// What a worker says of its Blender.
#[derive(Clone, Debug, Deserialize)]
pub struct Hello {
    token: String,
    protocol: u64,
    /// Its version.
    pub blender: Version,
    /// Its build hash.
    #[serde(default)]
    pub build_hash: String,
    /// What it was built with.
    #[serde(default)]
    pub build_options: BTreeSet<String>,
    /// Render engines by Blender id.
    pub engines: BTreeSet<String>,
    /// What can compute.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// Why a request was not met although the worker lives.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusal {
    /// A stable word.
    pub kind: String,
    /// For people.
    pub message: String,
}

/// The answer to a request and what Blender printed meanwhile.
#[derive(Debug)]
pub struct Answer {
    /// As the worker answered.
    pub result: Result<Value, Refusal>,
    /// What Blender printed.
    pub log: String,
}

/// The process is gone.
#[derive(Debug)]
pub struct Died {
    /// Why, as far as can be told.
    pub how: String,
    /// What Blender printed last.
    pub log: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Answer { id: Option<u64>, ok: Option<Value>, error: Option<Refusal> },
    Other(serde::de::IgnoredAny),
}

/// A live Blender. Dropped, its whole process group is killed.
pub struct Worker {
    /// What it said of itself.
    pub hello: Hello,
    child: Box<dyn ChildWrapper>,
    reader: tokio::io::Lines<BufReader<tokio::io::Take<OwnedReadHalf>>>,
    writer: OwnedWriteHalf,
    sections: mpsc::UnboundedReceiver<Section>,
    progress: watch::Receiver<String>,
    last_request: u64,
}

impl Worker {
    /// Starts Blender and waits for its hello. `console`: its output also to ours.
    pub async fn start(blender: &Blender, script: &Path, console: bool) -> Result<Self, Died> {
        let mut log = String::new();
        match Self::begin(blender, script, console, &mut log).await {
            Ok(worker) => Ok(worker),
            Err(how) => Err(Died { how, log }),
        }
    }

    async fn begin(blender: &Blender, script: &Path, console: bool, log: &mut String) -> Result<Self, String> {
        let path = blender.path().display().to_string();
        let listener =
            TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("no loopback socket: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let token = random_hex();
        let mut command = CommandWrap::from(tokio::process::Command::from(blender.script(script, [""; 0])));
        let inner = command.command_mut();
        inner.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NETRENDER_") {
                inner.env_remove(name);
            }
        }
        inner.env("NETRENDER_WORKER_ADDR", address.to_string()).env("NETRENDER_WORKER_TOKEN", &token);
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        let mut child = command.spawn().map_err(|error| {
            format!("{path} can't be started ({error}): give the path of a Blender, or of a Python with the bpy module")
        })?;
        tracing::info!(blender = %path, pid = child.id(), "started a Blender");
        let (sender, mut sections) = mpsc::unbounded_channel();
        let (progress_sender, progress) = watch::channel(String::new());
        if let Some(output) = child.stdout().take() {
            tokio::spawn(read_output(output, sender, progress_sender, console));
        }
        // worker.py joins the two streams; what comes here is from before that.
        if let Some(mut early) = child.stderr().take() {
            tokio::spawn(async move { tokio::io::copy(&mut early, &mut tokio::io::sink()).await });
        }
        let said = tokio::select! {
            said = tokio::time::timeout(START_PATIENCE, accept(&listener, &token)) => match said {
                Ok(said) => said.map_err(|error| format!("{path} did not say hello as it should: {error}")),
                Err(_) => Err(format!("{path} said nothing for {} s", START_PATIENCE.as_secs())),
            },
            status = child.wait() => Err(match status {
                Ok(status) => format!("{path} ended at once ({status})"),
                Err(error) => format!("{path}: {error}"),
            }),
        };
        match said {
            Ok((hello, reader, writer)) => {
                Ok(Self { hello, child, reader, writer, sections, progress, last_request: 0 })
            }
            Err(how) => {
                let _ = child.start_kill();
                let _ = tokio::time::timeout(LOG_PATIENCE, async {
                    while let Some(section) = sections.recv().await {
                        log.push_str(&section.text);
                    }
                })
                .await;
                Err(how)
            }
        }
    }

    /// Asks and waits, however long it takes. Give up by dropping the future, then the worker.
    pub async fn ask(&mut self, mut request: Value) -> Result<Answer, Died> {
        self.last_request += 1;
        let id = self.last_request;
        request["id"] = json!(id);
        let mut line = request.to_string();
        line.push('\n');
        if self.writer.write_all(line.as_bytes()).await.is_err() {
            return Err(self.died().await);
        }
        loop {
            self.reader.get_mut().get_mut().set_limit(MAX_LINE);
            let Ok(Some(line)) = self.reader.next_line().await else { return Err(self.died().await) };
            match serde_json::from_str(&line) {
                Ok(Line::Answer { id: Some(answered), ok, error }) if answered == id => {
                    let result = match (ok, error) {
                        (Some(value), _) => Ok(value),
                        (None, Some(refusal)) => Err(refusal),
                        (None, None) => Err(Refusal { kind: "internal".into(), message: "an empty answer".into() }),
                    };
                    return Ok(Answer { result, log: self.log_of(id).await });
                }
                Ok(_) => {}
                Err(error) => tracing::warn!("the worker said something odd: {error}"),
            }
        }
    }

    /// What Blender says of how far it is, as it says it.
    pub fn progress(&self) -> watch::Receiver<String> {
        self.progress.clone()
    }

    /// Kills the process group and waits for its end.
    pub async fn kill(mut self) {
        let _ = self.child.start_kill();
        let _ = tokio::time::timeout(LOG_PATIENCE, self.child.wait()).await;
    }

    async fn log_of(&mut self, id: u64) -> String {
        let mut text = String::new();
        let _ = tokio::time::timeout(LOG_PATIENCE, async {
            while let Some(section) = self.sections.recv().await {
                text.push_str(&section.text);
                if section.request == Some(id) {
                    return;
                }
            }
        })
        .await;
        text
    }

    async fn died(&mut self) -> Died {
        // A socket that closes while the process lives is as good as dead.
        let status = match tokio::time::timeout(LOG_PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            _ => {
                let _ = self.child.start_kill();
                "it closed its connection".into()
            }
        };
        let log = self.log_of(u64::MAX).await;
        Died { how: format!("Blender ended while it worked ({status})"), log }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
    }
}

impl Died {
    /// For people: how, and the log's end.
    pub fn message(&self) -> String {
        format!("{}\n{}", self.how, last_lines(&self.log)).trim_end().to_owned()
    }
}

type Accepted = (Hello, tokio::io::Lines<BufReader<tokio::io::Take<OwnedReadHalf>>>, OwnedWriteHalf);

/// The first connection that knows the token. Others on this machine are turned away.
async fn accept(listener: &TcpListener, token: &str) -> Result<Accepted, String> {
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let hello = tokio::time::timeout(LOG_PATIENCE, greet(stream)).await;
        let Ok(Some((hello, reader, writer))) = hello else { continue };
        if hello.token != token {
            continue;
        }
        if hello.protocol != PROTOCOL {
            return Err(format!("its worker speaks protocol {}, not {PROTOCOL}", hello.protocol));
        }
        return Ok((hello, reader, writer));
    }
}

async fn greet(stream: TcpStream) -> Option<Accepted> {
    stream.set_nodelay(true).ok()?;
    let (reader, writer) = stream.into_split();
    let mut lines = BufReader::new(reader.take(MAX_LINE)).lines();
    let line = lines.next_line().await.ok()??;
    let mut message: Value = serde_json::from_str(&line).ok()?;
    let hello = serde_json::from_value(message.get_mut("hello")?.take()).ok()?;
    Some((hello, lines, writer))
}

async fn read_output(
    mut output: tokio::process::ChildStdout,
    sections: mpsc::UnboundedSender<Section>,
    progress: watch::Sender<String>,
    console: bool,
) {
    let mut cutter = LogCutter::default();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        let each_line = |line: &[u8]| {
            if let Some(text) = progress_of(line) {
                progress.send_replace(text);
            }
            if console {
                let _ = std::io::stdout().write_all(line);
            }
        };
        for section in cutter.push(&buffer[..length], each_line) {
            let _ = sections.send(section);
        }
    }
    let _ = sections.send(cutter.rest());
}

/// `Sample 12/64` out of Blender's `Fra:1 Mem:... | Scene, ViewLayer | Sample 12/64`.
fn progress_of(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let last = line.rsplit('|').next()?.trim();
    (line.starts_with("Fra:") && !last.is_empty()).then(|| last.chars().take(100).collect())
}
