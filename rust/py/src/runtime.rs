//! The threads behind all handles: made at the first need, and gone when the add-on is disabled, which Blender may do at will
//! and enable it again.

use crate::errors::NetrenderError;
use pyo3::PyResult;
use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use thread_priority::ThreadPriority;
#[cfg(target_os = "linux")]
use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
use tokio::runtime::Runtime;

/// Whose work the threads do. Each kind has threads of its own, for they step back differently far.
#[derive(Clone, Copy)]
pub enum Work {
    /// Sending, fetching, watching: it may wait for whatever the artist does.
    Client,
    /// A master or a slave: others wait for it, so it always gets some of the machine.
    Service,
}

static RUNTIMES: [Mutex<Option<Arc<Runtime>>>; 2] = [Mutex::new(None), Mutex::new(None)];

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

fn shared(work: Work) -> MutexGuard<'static, Option<Arc<Runtime>>> {
    RUNTIMES[work as usize].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes it when there is none.
pub fn runtime(work: Work) -> PyResult<Borrowed> {
    let mut shared = shared(work);
    if let Some(runtime) = shared.as_ref() {
        return Ok(Borrowed(Some(Arc::clone(runtime))));
    }
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name("netrender")
        .on_thread_start(move || step_back(work))
        .enable_all()
        .build()
        .map_err(|error| NetrenderError::new_err(format!("this machine gives no threads: {error}")))?;
    Ok(Borrowed(Some(Arc::clone(shared.insert(Arc::new(made))))))
}

/// Blender's own threads go first: an artist notices when her mouse waits, not when a file is sent a little later. On Linux
/// processes that are started here, such as a slave's Blender, step back too. Without the right to, all stays as it is.
fn step_back(work: Work) {
    let _ = match work {
        // A processor that has nothing but idle work counts as free: Blender's threads are put there at once. At a nice value,
        // however high, two of them often share one processor while we have the other.
        #[cfg(target_os = "linux")]
        Work::Client => thread_priority::set_thread_priority_and_policy(
            thread_priority::thread_native_id(),
            ThreadPriority::Min,
            ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
        ),
        _ => thread_priority::set_current_thread_priority(ThreadPriority::Min),
    };
}

/// Whatever still runs on it is dropped. Waits for its threads, but not long.
pub fn end() {
    let until = Instant::now() + PATIENCE;
    for work in [Work::Client, Work::Service] {
        let runtime = shared(work).take();
        if let Some(runtime) = runtime.and_then(Arc::into_inner) {
            runtime.shutdown_timeout(until.saturating_duration_since(Instant::now()));
        }
    }
}
