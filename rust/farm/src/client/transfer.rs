//! A submission or download on its way: who does the work writes, anyone may look or cancel, nobody waits.

use super::{ClientError, report::Report};
use serde::Serialize;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::watch;

/// What it does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looking for the master.
    Connecting,
    /// A background Blender lists the scene's files.
    Tracing,
    /// Looking at each file.
    Checking,
    /// Files are read, and what is missing moves.
    Sending,
    /// Bytes move the other way.
    Receiving,
    /// The job enters the queue.
    Queueing,
}

/// How it ended, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Not yet.
    Running,
    /// As wished.
    Done,
    /// With an error.
    Failed,
    /// By the user.
    Canceled,
}

/// A look at a transfer.
#[derive(Clone, Debug, Serialize)]
pub struct TransferSnapshot {
    /// How it ended, if it did.
    pub state: TransferState,
    /// What it does now.
    pub phase: Phase,
    /// Of the files, dealt with so far: sent, or found to be there already.
    pub bytes_done: u64,
    /// Of the files.
    pub bytes_total: u64,
    /// Of these, since the first one.
    pub bytes_per_s: f64,
    /// Since the first one.
    pub seconds: f64,
    /// What crossed the network of it, compressed where that paid.
    pub bytes_sent: u64,
    /// The file being read now.
    pub reading: String,
    /// What it waits for; empty when it does not.
    pub waiting: String,
    /// What the job's files look like, once known.
    pub report: Option<Arc<Report>>,
    /// None while unknown.
    pub seconds_left: Option<f64>,
    /// The job's number, once known.
    pub job: Option<u32>,
    /// Files written so far.
    pub files: Vec<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Whether no master answered as one.
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

/// Shared between who works and who looks.
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
    /// Runs the work to its end or to a cancel, and writes down how it ended.
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
            let mut inner = self.lock();
            inner.end = Some(end);
            inner.ended = Some(Instant::now());
        }
        self.ended.send_replace(true);
        result
    }

    /// Waits until it is over.
    pub async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender is this handle's own: the wait can't fail.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Stops it soon; what was sent stays with the master and is not sent again.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// For work on threads of its own: stop when this is true.
    pub fn is_canceled(&self) -> bool {
        *self.cancel.borrow()
    }

    /// A look; never waits for I/O.
    pub fn snapshot(&self) -> TransferSnapshot {
        let inner = self.lock();
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

    pub(super) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// This many bytes are to be dealt with, from here on.
    pub(super) fn expect(&self, bytes: u64) {
        self.bytes_done.store(0, Ordering::Relaxed);
        self.bytes_total.store(bytes, Ordering::Relaxed);
        self.lock().started = Some(Instant::now());
    }

    pub(super) fn moved(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn reads(&self, file: &str) {
        file.clone_into(&mut self.lock().reading);
    }

    pub(super) fn waits_for(&self, what: &str) {
        let mut inner = self.lock();
        if inner.waiting != what {
            what.clone_into(&mut inner.waiting);
        }
    }

    pub(super) fn report(&self, report: &Report) {
        self.lock().report = Some(Arc::new(report.short()));
    }

    pub(super) fn accepted(&self, job: u32) {
        self.lock().job = Some(job);
    }

    pub(super) fn wrote(&self, file: String) {
        self.lock().files.push(file);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
