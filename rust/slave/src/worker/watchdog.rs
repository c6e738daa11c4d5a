//! Detection of a hung Blender. One that works prints or uses the processor; one that does neither
//! for the hang timeout hangs. The time that a frame takes does not matter, nor does time in which
//! this program did not run itself: a machine that slept, a paused virtual one.

use std::time::{Duration, Instant};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::sync::watch;

/// Processor time below this part of the elapsed time counts as none, because idle threads wake up
/// now and then.
const IDLE_PART: f64 = 0.01;
/// Number of checks within the hang timeout.
const CHECKS: u32 = 10;
/// Shortest time between checks.
const SHORTEST_CHECK: Duration = Duration::from_millis(100);

/// Watches one process during one request.
pub struct Watchdog {
    /// `None` where the system gives no information.
    system: Option<System>,
    pid: Option<Pid>,
    limit: watch::Receiver<Duration>,
    /// Time that the process did nothing.
    silent: Duration,
    checked: Instant,
    used: Duration,
}

impl Watchdog {
    /// `limit` is the hang timeout, zero for none. It may change at any time.
    pub fn new(pid: Option<u32>, limit: watch::Receiver<Duration>) -> Self {
        let now = Instant::now();
        let mut watchdog = Self {
            system: System::new().ok(),
            pid: pid.map(Pid::from_u32),
            limit,
            silent: Duration::ZERO,
            checked: now,
            used: Duration::ZERO,
        };
        watchdog.used = watchdog.processor_time().unwrap_or_default();
        watchdog
    }

    /// The process printed something.
    pub fn reset(&mut self) {
        (self.silent, self.checked) = (Duration::ZERO, Instant::now());
    }

    /// Waits until the process hangs. Returns for how long it did nothing.
    pub async fn hung(&mut self) -> Duration {
        loop {
            let limit = *self.limit.borrow_and_update();
            let interval = (limit / CHECKS).max(SHORTEST_CHECK);
            let next_check = async {
                match limit.is_zero() {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(interval).await,
                }
            };
            tokio::select! {
                () = next_check => {}
                Ok(()) = self.limit.changed() => {
                    // There may have been no check so far.
                    self.reset();
                    self.used = self.processor_time().unwrap_or_default();
                    continue;
                }
            }
            let (now, used) = (Instant::now(), self.processor_time());
            let Some(used) = used else {
                // Without information nothing is killed.
                (self.silent, self.checked) = (Duration::ZERO, now);
                continue;
            };
            let (elapsed, busy) = (now.duration_since(self.checked), used.saturating_sub(self.used));
            self.silent = silent_after(self.silent, elapsed, interval, busy);
            (self.checked, self.used) = (now, used);
            if self.silent >= limit {
                return self.silent;
            }
        }
    }

    fn processor_time(&mut self) -> Option<Duration> {
        let (pid, system) = (self.pid?, self.system.as_mut()?);
        let what = ProcessRefreshKind::nothing().with_cpu();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        system.process(pid).map(|process| Duration::from_millis(process.accumulated_cpu_time()))
    }
}

/// Silence at a check, `elapsed` after the last one, where checks are due at an `interval` and the
/// process was `busy` meanwhile. A check that comes later than twice the interval proves that
/// nobody watched, so the rest of that time counts neither as silence nor as idle.
fn silent_after(silent: Duration, elapsed: Duration, interval: Duration, busy: Duration) -> Duration {
    let watched = elapsed.min(2 * interval);
    let is_idle = busy.as_secs_f64() <= IDLE_PART * watched.as_secs_f64();
    if is_idle { silent + watched } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    #[test]
    fn silence_grows_by_the_time_of_a_check_until_the_process_works() {
        let idle = |silent| silent_after(silent, INTERVAL, INTERVAL, Duration::from_millis(9));
        let silent = (0..10).fold(Duration::ZERO, |silent, _| idle(silent));
        assert_eq!(silent, 10 * INTERVAL);
        assert_eq!(silent_after(silent, INTERVAL, INTERVAL, Duration::from_millis(11)), Duration::ZERO);
    }

    #[test]
    fn a_night_in_which_the_slave_slept_is_no_silence() {
        let night = Duration::from_secs(8 * 3600);
        assert_eq!(silent_after(INTERVAL, night, INTERVAL, Duration::ZERO), 3 * INTERVAL);
        let woke = Duration::from_millis(30);
        assert_eq!(silent_after(INTERVAL, night, INTERVAL, woke), Duration::ZERO, "it works again");
    }
}
