//! Whether a Blender that keeps silent is at work: it prints, or it uses the processor. One that does neither for long
//! enough hangs, however long a frame may take.

use std::time::{Duration, Instant};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::sync::watch;

/// Less processor time than this part of the time that passed is none: idle threads wake up now and then.
const IDLE_PART: f64 = 0.01;
/// Looks within the time after which it counts as hung.
const LOOKS: u32 = 10;
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// Follows one request to one process.
pub struct Pulse {
    /// None where the system tells nothing.
    system: Option<System>,
    pid: Option<Pid>,
    limit: watch::Receiver<Duration>,
    alive: Instant,
    looked: Instant,
    used: Duration,
}

impl Pulse {
    /// `limit`: how long a process may do nothing; zero for ever. May change at any time.
    pub fn new(pid: Option<u32>, limit: watch::Receiver<Duration>) -> Self {
        let now = Instant::now();
        let mut pulse = Self {
            system: System::new().ok(),
            pid: pid.map(Pid::from_u32),
            limit,
            alive: now,
            looked: now,
            used: Duration::ZERO,
        };
        pulse.used = pulse.processor_time().unwrap_or_default();
        pulse
    }

    /// It printed something.
    pub fn beat(&mut self) {
        self.alive = Instant::now();
    }

    /// Returns once it hangs; tells for how long it did nothing.
    pub async fn stopped(&mut self) -> Duration {
        loop {
            let limit = *self.limit.borrow_and_update();
            let look = async {
                match limit.is_zero() {
                    true => std::future::pending().await,
                    false => tokio::time::sleep((limit / LOOKS).max(SHORTEST_LOOK)).await,
                }
            };
            tokio::select! {
                () = look => {}
                Ok(()) = self.limit.changed() => {
                    // Nobody may have looked so far.
                    self.looked = Instant::now();
                    (self.alive, self.used) = (self.looked, self.processor_time().unwrap_or_default());
                    continue;
                }
            }
            let (now, used) = (Instant::now(), self.processor_time());
            let Some(used) = used else {
                // A system that does not tell is no reason to kill anything.
                self.alive = now;
                continue;
            };
            let busy = used.saturating_sub(self.used).as_secs_f64();
            if busy > IDLE_PART * now.duration_since(self.looked).as_secs_f64() {
                self.alive = now;
            }
            (self.looked, self.used) = (now, used);
            let silent = now.duration_since(self.alive);
            if silent >= limit {
                return silent;
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
