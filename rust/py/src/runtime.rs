//! The threads behind all handles: one runtime, made at the first need, and gone when the add-on is disabled, which Blender
//! may do at will and enable it again.

use crate::errors::NetrenderError;
use pyo3::PyResult;
use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use thread_priority::{ThreadPriority, set_current_thread_priority};
use tokio::runtime::Runtime;

static RUNTIME: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

/// What is at work when the end comes: a file being written, a connection being closed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The runtime, for as long as a call needs it.
pub struct Borrowed(Option<Arc<Runtime>>);

impl Deref for Borrowed {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("it is taken by Drop alone")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // The last one out when the add-on was disabled meanwhile. Dropped as it is, a runtime waits without a limit.
        if let Some(runtime) = self.0.take().and_then(Arc::into_inner) {
            runtime.shutdown_background();
        }
    }
}

fn shared() -> MutexGuard<'static, Option<Arc<Runtime>>> {
    RUNTIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes it when there is none.
pub fn runtime() -> PyResult<Borrowed> {
    let mut shared = shared();
    if let Some(runtime) = shared.as_ref() {
        return Ok(Borrowed(Some(Arc::clone(runtime))));
    }
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name("netrender")
        .on_thread_start(step_back)
        .enable_all()
        .build()
        .map_err(|error| NetrenderError::new_err(format!("this machine gives no threads: {error}")))?;
    Ok(Borrowed(Some(Arc::clone(shared.insert(Arc::new(made))))))
}

/// Blender's own threads go first: an artist notices when her mouse waits, not when a file is sent a little later. On Linux this
/// is nice 19, and processes that are started here, such as a slave's Blender, step back too. Without the right to, all stays as
/// it is. (SCHED_IDLE delays Blender a little less, but where it renders with all processors, a transfer takes five times as long.)
fn step_back() {
    let _ = set_current_thread_priority(ThreadPriority::Min);
}

/// Whatever still runs on it is dropped. Waits for its threads, but not long.
pub fn end() {
    let runtime = shared().take();
    if let Some(runtime) = runtime.and_then(Arc::into_inner) {
        runtime.shutdown_timeout(PATIENCE);
    }
}
