//! Progress of a submission or download. The worker updates it; anybody may read or cancel it at
//! any time without waiting.

use super::{error::ClientError, report::Report};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::watch;

/// Step of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looks for the master.
    Connecting,
    /// A background Blender traces the scene.
    Tracing,
    /// Checks each file.
    Checking,
    /// Reads files and sends the pieces that the master lacks.
    Sending,
    /// Receives files.
    Receiving,
    /// Queues the job.
    Queueing,
}

/// State of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Has not ended.
    Running,
    /// Ended successfully.
    Done,
    /// Ended with an error.
    Failed,
    /// Canceled by the user.
    Canceled,
}

/// A transfer at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct TransferSnapshot {
    /// State, for programs.
    pub state: TransferState,
    /// Current step.
    pub phase: Phase,
    /// Bytes of files dealt with so far: transferred, or found to be there already.
    pub bytes_done: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// Average speed since the first byte.
    pub bytes_per_s: f64,
    /// Time since the first byte.
    pub seconds: f64,
    /// Bytes that crossed the network, compressed where that pays.
    pub bytes_sent: u64,
    /// File that is being read.
    pub reading: String,
    /// Reason for waiting; empty if it does not wait.
    pub waiting: String,
    /// Report on the job's files, once known.
    pub report: Option<Arc<Report>>,
    /// Estimated time left; `None` while unknown.
    pub seconds_left: Option<f64>,
    /// Number of the job, once known.
    pub job: Option<u32>,
    /// Files written so far.
    pub files: Vec<String>,
    /// Error that ended it.
    pub error: Option<String>,
    /// True if the error is that no master of this protocol answers.
    pub no_master: bool,
}

struct Inner {
    phase: Phase,
    started: Option<Instant>,
    ended: Option<Instant>,
    reading: String,
    waiting: String,
    report: Option<Arc<Report>>,
    job: Option<u32>,
    files: Vec<String>,
    end: Option<(TransferState, Option<String>, bool)>,
}

/// Handle to a transfer, shared by its worker and everybody who watches.
#[derive(Clone)]
pub struct Transfer {
    inner: Arc<Mutex<Inner>>,
    bytes_done: Arc<AtomicU64>,
    bytes_total: Arc<AtomicU64>,
    bytes_sent: Arc<AtomicU64>,
    cancel: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

impl Default for Transfer {
    fn default() -> Self {
        let inner = Inner {
            phase: Phase::Connecting,
            started: None,
            ended: None,
            reading: String::new(),
            waiting: String::new(),
            report: None,
            job: None,
            files: Vec::new(),
            end: None,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            bytes_done: Arc::default(),
            bytes_total: Arc::default(),
            bytes_sent: Arc::default(),
            cancel: watch::channel(false).0,
            ended: watch::channel(false).0,
        }
    }
}

impl Transfer {
    /// Runs the work until it ends or is canceled, and records how it ended.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let mut canceled = self.cancel.subscribe();
        let result = tokio::select! {
            result = work => result,
            _ = canceled.wait_for(|cancel| *cancel) => Err(ClientError::Canceled),
        };
        let end = match &result {
            Ok(_) => (TransferState::Done, None, false),
            Err(ClientError::Canceled) => (TransferState::Canceled, None, false),
            Err(error) => (TransferState::Failed, Some(error.to_string()), error.is_no_master()),
        };
        {
            let mut inner = self.inner.lock();
            inner.end = Some(end);
            inner.ended = Some(Instant::now());
        }
        self.ended.send_replace(true);
        result
    }

    /// Waits until the transfer ends.
    pub async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender belongs to this handle, so the wait can't fail.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Cancels the transfer soon. Pieces that were sent stay at the master and are not sent again.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// True once the transfer is canceled. Work on other threads must check it.
    pub fn is_canceled(&self) -> bool {
        *self.cancel.borrow()
    }

    /// Returns the current state. Never waits for I/O.
    pub fn snapshot(&self) -> TransferSnapshot {
        let inner = self.inner.lock();
        let bytes_done = self.bytes_done.load(Ordering::Relaxed);
        let bytes_total = self.bytes_total.load(Ordering::Relaxed);
        let elapsed = match (inner.started, inner.ended) {
            (Some(started), Some(ended)) => (ended - started).as_secs_f64(),
            (Some(started), None) => started.elapsed().as_secs_f64(),
            (None, _) => 0.0,
        };
        let bytes_per_s = if elapsed > 0.0 { bytes_done as f64 / elapsed } else { 0.0 };
        let left = bytes_total.saturating_sub(bytes_done) as f64;
        let (state, error, no_master) = inner.end.clone().unwrap_or((TransferState::Running, None, false));
        TransferSnapshot {
            state,
            phase: inner.phase,
            bytes_done,
            bytes_total,
            bytes_per_s,
            seconds: elapsed,
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            reading: inner.reading.clone(),
            waiting: inner.waiting.clone(),
            report: inner.report.clone(),
            seconds_left: (bytes_per_s > 0.0).then(|| left / bytes_per_s),
            job: inner.job,
            files: inner.files.clone(),
            error,
            no_master,
        }
    }

    /// Enters a step.
    pub(super) fn enter(&self, phase: Phase) {
        self.inner.lock().phase = phase;
    }

    /// Starts counting: this many bytes of files are to be dealt with.
    pub(super) fn expect(&self, bytes: u64) {
        self.bytes_done.store(0, Ordering::Relaxed);
        self.bytes_total.store(bytes, Ordering::Relaxed);
        self.inner.lock().started = Some(Instant::now());
    }

    /// Counts bytes of files that are dealt with.
    pub(super) fn moved(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that crossed the network.
    pub(super) fn sent(&self, bytes: u64) {
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Shows the file that is being read.
    pub(super) fn reads(&self, file: &str) {
        file.clone_into(&mut self.inner.lock().reading);
    }

    /// Shows why the transfer waits; empty when it goes on.
    pub(super) fn waits_for(&self, what: &str) {
        let mut inner = self.inner.lock();
        if inner.waiting != what {
            what.clone_into(&mut inner.waiting);
        }
    }

    /// Shows the report on the job's files.
    pub(super) fn report(&self, report: &Report) {
        self.inner.lock().report = Some(Arc::new(report.short()));
    }

    /// Shows the number of the job.
    pub(super) fn accepted(&self, job: u32) {
        self.inner.lock().job = Some(job);
    }

    /// Shows a file that was written.
    pub(super) fn wrote(&self, file: String) {
        self.inner.lock().files.push(file);
    }
}
