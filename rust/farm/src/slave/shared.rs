//! What the slave's tasks share: its hands, what it shows, and who its master is now.

use super::{SlaveSnapshot, SlaveStatus, assets::Assets, hands::Hands};
use crate::{api::Api, blender::Blender};
use netrender_core::{
    ids::SlaveId,
    wire::{HeldLease, LeaseGrant, Progress},
};
use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// A master that knows us.
#[derive(Clone)]
pub struct Link {
    /// How to speak to it.
    pub api: Api,
    /// Our number there.
    pub slave: SlaveId,
    /// Which farm it is.
    pub farm: String,
    /// How often it wants a sign of life.
    pub heartbeat_s: f64,
}

/// Shared by the tasks of one slave.
pub struct Shared {
    /// Renders with this.
    pub blender: Blender,
    /// The worker's script on disk.
    pub script: PathBuf,
    /// Films on their way to the master.
    pub spool: PathBuf,
    /// Threads a frame may use; 0 for all.
    pub threads: u32,
    /// Blender's output also to ours.
    pub console: bool,
    /// The jobs' files.
    pub assets: Assets,
    /// The master, once there is one.
    pub link: watch::Sender<Option<Link>>,
    /// Changes whenever `hands` did.
    pub changed: watch::Sender<u64>,
    /// Raised to end the frame that renders now.
    pub interrupt: watch::Sender<u64>,
    /// What renders now.
    pub progress: watch::Sender<Option<Progress>>,
    hands: Mutex<Hands>,
    snapshot: Mutex<SlaveSnapshot>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A slave with empty hands.
    pub fn new(
        blender: Blender,
        script: PathBuf,
        spool: PathBuf,
        (threads, console): (u32, bool),
        assets: Assets,
        snapshot: SlaveSnapshot,
    ) -> Self {
        Self {
            blender,
            script,
            spool,
            threads,
            console,
            assets,
            link: watch::channel(None).0,
            changed: watch::channel(0).0,
            interrupt: watch::channel(0).0,
            progress: watch::channel(None).0,
            hands: Mutex::default(),
            snapshot: Mutex::new(snapshot),
        }
    }

    /// Looks into the hands without changing them.
    pub fn look<T>(&self, look: impl FnOnce(&Hands) -> T) -> T {
        look(&lock(&self.hands))
    }

    /// Changes the hands and tells whoever waits for it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Hands) -> T) -> T {
        let result = change(&mut lock(&self.hands));
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// New work.
    pub fn granted(&self, grant: LeaseGrant) {
        tracing::info!(job = %grant.job, frames = grant.frames.len(), lease = %grant.lease, "leased");
        self.change(|hands| hands.take(grant));
    }

    /// Work that is no longer ours; the frame that renders now ends at once if it is among it.
    pub fn dropped(&self, gone: &HeldLease) {
        if self.change(|hands| hands.drop_lease(gone)) {
            self.interrupt.send_modify(|count| *count += 1);
        }
    }

    /// Another farm: nothing in our hands counts there.
    pub fn new_farm(&self) {
        self.change(Hands::clear);
        self.assets.forget_all();
        self.interrupt.send_modify(|count| *count += 1);
    }

    /// What is shown.
    pub fn snapshot(&self) -> SlaveSnapshot {
        lock(&self.snapshot).clone()
    }

    /// Changes what is shown.
    pub fn show(&self, change: impl FnOnce(&mut SlaveSnapshot)) {
        change(&mut lock(&self.snapshot));
    }

    /// The connection's state is shown; what renders shows itself.
    pub fn show_status(&self, status: SlaveStatus, message: impl Into<String>) {
        let message = message.into();
        self.show(|seen| {
            seen.state = match status {
                SlaveStatus::Idle if seen.frame.is_some() => SlaveStatus::Rendering,
                status => status,
            };
            seen.message = message;
        });
    }

    /// The master as it is known now; waits for one.
    pub async fn master(&self) -> Link {
        let mut link = self.link.subscribe();
        loop {
            if let Some(link) = link.borrow_and_update().clone() {
                return link;
            }
            if link.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
