//! The handle by which everything else commands and reads the farm. It can be cloned and used from
//! any task.

use super::{
    farm_thread::FarmThread,
    request::{ReplyTo, Request, Session, SignOfLife},
    rows::{self, LastReports},
    store::{Store, StoreError},
};
use crate::error::MasterError;
use netrender_core::{
    decide::{Command, Refusal, Reply},
    model::{
        farm::Farm,
        ids::{Frame, JobId, SlaveId},
        job::{Job, JobState},
        slave::Slave,
        slave_settings::SlaveReport,
        task::Task,
    },
    wire::{FarmView, JobDetail, JobProgress, PollReply, PollRequest},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that may wait for the thread before senders have to.
const QUEUE: usize = 4096;

/// The sending end of the farm's thread.
#[derive(Clone)]
pub struct FarmHandle {
    requests: mpsc::Sender<Request>,
    rows: watch::Receiver<Arc<FarmView>>,
}

impl FarmHandle {
    /// Replays the log and starts the thread; must be called in a runtime. The thread ends on
    /// [`FarmHandle::stop`].
    pub fn start(
        store: Box<dyn Store>,
        slave_timeout: Duration,
    ) -> Result<(Self, std::thread::JoinHandle<()>), StoreError> {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let (publisher, rows) = watch::channel(Arc::new(FarmView::default()));
        let thread = FarmThread::load(store, slave_timeout, publisher)?.spawn(inbox)?;
        Ok((Self { requests, rows }, thread))
    }

    /// Decides a command. Returns once its events are durable.
    pub async fn command(&self, command: Command) -> Result<Reply, MasterError> {
        self.ask(|reply_to| Request::Command(Box::new(command), reply_to)).await
    }

    /// Decides an edit. Returns the number of edits there are now.
    pub async fn edit(&self, command: Command) -> Result<u32, MasterError> {
        match self.command(command).await? {
            Reply::Edited(edits) => Ok(edits),
            other => Err(MasterError::unexpected(&other)),
        }
    }

    /// Registers a slave. Refused while another one with its key is at work.
    pub async fn register(&self, command: Command, session: Session) -> Result<Reply, MasterError> {
        self.ask(|reply_to| Request::Register { command: Box::new(command), session, reply_to }).await
    }

    /// Returns when the slave has something to do or to drop, however long that takes.
    pub async fn poll(&self, slave: SlaveId, poll: PollRequest) -> Result<PollReply, MasterError> {
        self.ask(|reply_to| Request::Poll { slave, poll, reply_to }).await
    }

    /// Notes that a slave lives, and what it reported.
    pub async fn sign_of_life(&self, slave: SlaveId, sign: SignOfLife) -> Result<(), MasterError> {
        self.ask(|reply_to| Request::SignOfLife { slave, sign: Box::new(sign), reply_to }).await
    }

    /// Reads the farm as it is after all commands before. The thread serves nobody else meanwhile,
    /// so `read` must be short.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Farm) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        self.read_with_reports(move |farm, _| read(farm)).await
    }

    async fn read_with_reports<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Farm, &LastReports) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let (reply_to, reply) = oneshot::channel();
        let read = move |farm: &Farm, reports: &LastReports| {
            let _ = reply_to.send(read(farm, reports));
        };
        self.send(Request::Read(Box::new(read))).await?;
        reply.await.map_err(|_| MasterError::Stopping)
    }

    /// Reads a job that is not deleted.
    pub async fn job<T: Send + 'static>(
        &self,
        id: JobId,
        read: impl FnOnce(&Farm, &Job) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let read = move |farm: &Farm| {
            let job = farm.jobs.get(&id).filter(|job| job.state != JobState::Deleted);
            job.map(|job| read(farm, job)).ok_or(Refusal::UnknownJob(id))
        };
        Ok(self.read(read).await??)
    }

    /// A job with its frames.
    pub async fn detail(&self, id: JobId) -> Result<JobDetail, MasterError> {
        self.job_with_reports(id, rows::detail).await
    }

    /// How far a job is; with the frames that are done if `with_frames`.
    pub async fn progress(&self, id: JobId, with_frames: bool) -> Result<JobProgress, MasterError> {
        let read = move |farm: &Farm, job: &Job, reports: &LastReports| rows::progress(farm, job, reports, with_frames);
        self.job_with_reports(id, read).await
    }

    async fn job_with_reports<T: Send + 'static>(
        &self,
        id: JobId,
        read: impl FnOnce(&Farm, &Job, &LastReports) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let read = move |farm: &Farm, reports: &LastReports| {
            let job = farm.jobs.get(&id).filter(|job| job.state != JobState::Deleted);
            job.map(|job| read(farm, job, reports)).ok_or(Refusal::UnknownJob(id))
        };
        Ok(self.read_with_reports(read).await??)
    }

    /// Reads a frame of a job.
    pub async fn task<T: Send + 'static>(
        &self,
        job: JobId,
        frame: Frame,
        read: impl FnOnce(&Farm, &Job, &Task) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let read = move |farm: &Farm, job: &Job| job.tasks.get(&frame).map(|task| read(farm, job, task));
        Ok(self.job(job, read).await?.ok_or(Refusal::UnknownFrame(job, frame))?)
    }

    /// Reads a slave and its last report.
    pub async fn slave<T: Send + 'static>(
        &self,
        id: SlaveId,
        read: impl FnOnce(&Slave, Option<&SlaveReport>) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let read = move |farm: &Farm, reports: &LastReports| {
            let slave = farm.slaves.get(&id).ok_or(Refusal::UnknownSlave(id))?;
            Ok::<_, Refusal>(read(slave, reports.settings.get(&id)))
        };
        Ok(self.read_with_reports(read).await??)
    }

    /// The lists with all commands before in them.
    pub async fn latest_rows(&self) -> Result<Arc<FarmView>, MasterError> {
        let (reply_to, reply) = oneshot::channel();
        self.send(Request::LatestRows(reply_to)).await?;
        reply.await.map_err(|_| MasterError::Stopping)
    }

    /// The lists as they were at most some 100 ms ago, to be watched for changes.
    pub fn rows(&self) -> watch::Receiver<Arc<FarmView>> {
        self.rows.clone()
    }

    /// Declares slaves lost that were silent for longer than `slave_timeout`; ends with the
    /// runtime.
    pub async fn watch_for_silence(self, slave_timeout: Duration) {
        let period = (slave_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
        let mut clock = tokio::time::interval(period);
        loop {
            clock.tick().await;
            let _ = self.send(Request::Tick).await;
        }
    }

    /// Ends the thread after the requests before are served.
    pub async fn stop(&self) {
        let _ = self.send(Request::Stop).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(ReplyTo<T>) -> Request) -> Result<T, MasterError> {
        let (reply_to, reply) = oneshot::channel();
        self.send(request(reply_to)).await?;
        reply.await.map_err(|_| MasterError::Stopping)?
    }

    async fn send(&self, request: Request) -> Result<(), MasterError> {
        self.requests.send(request).await.map_err(|_| MasterError::Stopping)
    }
}
