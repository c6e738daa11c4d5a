//! The one owner of the farm: a thread that takes commands, decides, applies, makes a whole group of events durable
//! in one commit, and only then answers. What arrives during a commit is the next group, so the disk sets the pace and
//! nobody waits for more than two commits.

use super::{
    error::MasterError,
    store::{Store, StoreError},
    view::{self, Said},
};
use netrender_core::{
    balance::Want,
    chronicle::{Chronicle, Notes},
    error::Refusal,
    event::Record,
    farm::Farm,
    ids::{JobId, SlaveId, Timestamp},
    job::{Job, JobState},
    liveness::Liveness,
    retry::RetryPolicy,
    scheduler::{Command, Decision, Reply, decide},
    settings::SlaveReport,
    slave::Slave,
    snapshot::Touched,
    wire::{FarmView, HeldLease, PollReply, PollRequest, Progress},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

/// Commands decided in one group at most; bounds how long the first of them waits.
const GROUP: usize = 256;
/// Events after which the log becomes a snapshot: some 20 ms of writing, during which nobody is answered.
const LOGGED: usize = 2048;
/// The lists are made anew at most this often, and not so often that it takes more than a tenth of the time: with hundreds
/// of slaves there is always something that changed.
const PUBLISH: Duration = Duration::from_millis(100);

type Answer<T> = oneshot::Sender<Result<T, MasterError>>;
type Look = Box<dyn FnOnce(&Farm, &Said) + Send>;

enum Request {
    Do(Box<Command>, Answer<Reply>),
    Poll { slave: SlaveId, poll: PollRequest, answer: Answer<PollReply> },
    Heard { slave: SlaveId, said: Box<Sign>, answer: Answer<()> },
    Look(Look),
    Fresh(oneshot::Sender<Arc<FarmView>>),
    Tick,
    Stop,
}

/// A sign of life and what was said with it.
#[derive(Default)]
pub struct Sign {
    pub progress: Option<Progress>,
    pub report: Option<SlaveReport>,
}

/// A slave whose poll is held open.
struct Waiter {
    held: Vec<HeldLease>,
    want: Want,
    edits: Option<u32>,
    answer: Answer<PollReply>,
}

/// How everybody else speaks to the owner.
#[derive(Clone)]
pub struct Owner {
    requests: mpsc::Sender<Request>,
    view: watch::Receiver<Arc<FarmView>>,
}

impl Owner {
    /// Replays the log and starts the thread; in a runtime. The returned handle's thread ends on [`Owner::stop`].
    pub fn start(
        mut store: Box<dyn Store>,
        slave_timeout: Duration,
    ) -> Result<(Self, std::thread::JoinHandle<()>), StoreError> {
        let (farm, touched) = store.load()?;
        if let Err(broken) = farm.check_invariants() {
            tracing::error!("the log replayed to a farm that is not sound: {broken}");
        }
        let (requests, inbox) = mpsc::channel(4096);
        let (view_sender, view) = watch::channel(Arc::new(FarmView::default()));
        let mut keeper = Keeper {
            store,
            farm,
            touched,
            logged: 0,
            chronicle: Chronicle::default(),
            stale: false,
            slave_timeout,
            started: Instant::now(),
            liveness: Liveness::default(),
            said: Said::default(),
            waiters: BTreeMap::new(),
            polls: BTreeMap::new(),
            view: view_sender,
            revision: 0,
            unpublished: false,
            due: Instant::now(),
        };
        keeper.snapshot();
        keeper.expect_everybody();
        keeper.publish();
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("netrender-farm".into())
            .spawn(move || keeper.run(inbox, &runtime))
            .map_err(|error| StoreError::Sqlite {
                path: "farm thread".into(),
                source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            })?;
        Ok((Self { requests, view }, thread))
    }

    /// Decides a command; answered once it is durable.
    pub async fn command(&self, command: Command) -> Result<Reply, MasterError> {
        self.ask(|answer| Request::Do(Box::new(command), answer)).await
    }

    /// Answered when there is something to do or to drop; may take for ever.
    pub async fn poll(&self, slave: SlaveId, poll: PollRequest) -> Result<PollReply, MasterError> {
        self.ask(|answer| Request::Poll { slave, poll, answer }).await
    }

    /// A sign of life.
    pub async fn heard(&self, slave: SlaveId, said: Sign) -> Result<(), MasterError> {
        self.ask(|answer| Request::Heard { slave, said: Box::new(said), answer }).await
    }

    /// Looks at the farm as it is after everything answered so far. Nobody else is served meanwhile: be short.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Farm) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        self.look_and_hear(move |farm, _| look(farm)).await
    }

    async fn look_and_hear<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Farm, &Said) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let (answer, answered) = oneshot::channel();
        let look = move |farm: &Farm, said: &Said| {
            let _ = answer.send(look(farm, said));
        };
        self.requests.send(Request::Look(Box::new(look))).await.map_err(|_| MasterError::Stopping)?;
        answered.await.map_err(|_| MasterError::Stopping)
    }

    /// Looks at a job as it is after everything answered so far.
    pub async fn job<T: Send + 'static>(
        &self,
        id: JobId,
        look: impl FnOnce(&Farm, &Job) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let look = move |farm: &Farm| {
            let job = farm.jobs.get(&id).filter(|job| job.state != JobState::Deleted);
            job.map(|job| look(farm, job)).ok_or(Refusal::UnknownJob(id))
        };
        Ok(self.look(look).await??)
    }

    /// Looks at a slave, and at what it said of itself last.
    pub async fn slave<T: Send + 'static>(
        &self,
        id: SlaveId,
        look: impl FnOnce(&Slave, Option<&SlaveReport>) -> T + Send + 'static,
    ) -> Result<T, MasterError> {
        let look = move |farm: &Farm, said: &Said| {
            let slave = farm.slaves.get(&id).ok_or(Refusal::UnknownSlave(id))?;
            Ok::<_, Refusal>(look(slave, said.reports.get(&id)))
        };
        Ok(self.look_and_hear(look).await??)
    }

    /// The lists with everything in them that was answered so far.
    pub async fn fresh(&self) -> Result<Arc<FarmView>, MasterError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Fresh(answer)).await.map_err(|_| MasterError::Stopping)?;
        answered.await.map_err(|_| MasterError::Stopping)
    }

    /// The lists as they were a moment ago, always at hand; watch it for changes.
    pub fn view(&self) -> watch::Receiver<Arc<FarmView>> {
        self.view.clone()
    }

    /// Looks for slaves that fell silent. Called every second or so.
    pub async fn tick(&self) {
        let _ = self.requests.send(Request::Tick).await;
    }

    /// Ends the thread after what was asked so far.
    pub async fn stop(&self) {
        let _ = self.requests.send(Request::Stop).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, MasterError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| MasterError::Stopping)?;
        answered.await.map_err(|_| MasterError::Stopping)?
    }
}

/// Gives an answer once it is known whether its events are durable.
type HeldBack = Box<dyn FnOnce(Result<(), &MasterError>) + Send>;

/// A group of decisions on its way to the disk. Answers are held back until it is there.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    notes: Notes,
    answers: Vec<HeldBack>,
}

impl Group {
    fn answer<T: Send + 'static>(&mut self, to: Answer<T>, result: Result<T, MasterError>) {
        self.answers.push(Box::new(move |durable| {
            // Whoever asked may be gone. A grant that reached nobody is taken back at the slave's next poll.
            let _ = to.send(durable.map_err(MasterError::clone).and(result));
        }));
    }
}

struct Keeper {
    store: Box<dyn Store>,
    farm: Farm,
    /// Since the last snapshot, and how many events the log has since then.
    touched: Touched,
    logged: usize,
    chronicle: Chronicle,
    /// The farm here is not the one on disk: writing failed, and reading too. Nothing is decided until it can be read.
    stale: bool,
    slave_timeout: Duration,
    started: Instant,
    liveness: Liveness,
    said: Said,
    waiters: BTreeMap<SlaveId, Waiter>,
    /// The number of each slave's latest poll.
    polls: BTreeMap<SlaveId, u64>,
    view: watch::Sender<Arc<FarmView>>,
    revision: u64,
    /// Something changed since the lists were made, and when they are to be made again.
    unpublished: bool,
    due: Instant,
}

impl Keeper {
    /// The next request; makes the lists anew when they are due before it comes.
    fn next(&mut self, inbox: &mut mpsc::Receiver<Request>, runtime: &Handle) -> Option<Request> {
        if self.unpublished {
            match runtime.block_on(async { tokio::time::timeout_at(self.due.into(), inbox.recv()).await }) {
                Ok(next) => return next,
                Err(_) => self.publish(),
            }
        }
        inbox.blocking_recv()
    }

    fn run(mut self, mut inbox: mpsc::Receiver<Request>, runtime: &Handle) {
        while let Some(first) = self.next(&mut inbox, runtime) {
            let mut group = Group::default();
            let mut looks = Vec::new();
            let mut fresh = Vec::new();
            let mut stop = false;
            let mut next = Some(first);
            let mut taken = 0;
            while let Some(request) = next {
                match request {
                    Request::Look(look) => looks.push(look),
                    Request::Fresh(answer) => fresh.push(answer),
                    Request::Stop => stop = true,
                    request => self.unpublished |= self.take(request, &mut group),
                }
                taken += 1;
                next = if stop || taken >= GROUP { None } else { inbox.try_recv().ok() };
            }
            // Until nothing more follows: a poll's own events (a lease given back) may be what it waits for.
            let mut served = 0;
            while group.records.len() > served {
                served = group.records.len();
                self.serve_waiters(&mut group);
            }
            self.unpublished |= !group.records.is_empty();
            self.commit(group);
            for look in looks {
                look(&self.farm, &self.said);
            }
            if self.unpublished && (!fresh.is_empty() || Instant::now() >= self.due) {
                self.publish();
            }
            for answer in fresh {
                let _ = answer.send(self.view.borrow().clone());
            }
            if stop || self.logged >= LOGGED {
                self.snapshot();
            }
            if stop {
                return;
            }
        }
    }

    /// True when lists look different without an event: progress.
    fn take(&mut self, request: Request, group: &mut Group) -> bool {
        match request {
            Request::Do(command, answer) => {
                let left = match &*command {
                    Command::Leave(slave) | Command::Lose(slave) => Some(*slave),
                    _ => None,
                };
                let reply = self.decide(*command, group);
                if let Ok(Reply::Registered(slave)) = reply {
                    self.hear(slave);
                    self.polls.remove(&slave);
                }
                if let Some(slave) = left {
                    self.forget(slave);
                }
                group.answer(answer, reply);
            }
            Request::Poll { slave, poll: PollRequest { held, want, number, edits }, answer } => {
                let latest = self.polls.entry(slave).or_default();
                if number != 0 && number < *latest {
                    group.answer(answer, Ok(PollReply::default()));
                    return false;
                }
                *latest = number;
                // A slave has one poll open. An older one is a connection it gave up.
                self.waiters.remove(&slave);
                self.hear(slave);
                self.serve(slave, Waiter { held, want, edits, answer }, group);
            }
            Request::Heard { slave, said, answer } => {
                let known = self.farm.slaves.contains_key(&slave);
                let reply = if known { Ok(()) } else { Err(Refusal::UnknownSlave(slave).into()) };
                group.answer(answer, reply);
                if known {
                    self.hear(slave);
                    let Sign { progress, report } = *said;
                    let is_new = note(&mut self.said.progress, slave, progress);
                    return note(&mut self.said.reports, slave, report) || is_new;
                }
            }
            Request::Tick => {
                let now = self.started.elapsed();
                for slave in self.liveness.silent(now, self.slave_timeout) {
                    tracing::warn!(%slave, "silent for too long: its frames go back to the queue");
                    self.forget(slave);
                    let _ = self.decide(Command::Lose(slave), group);
                }
            }
            Request::Look(_) | Request::Fresh(_) | Request::Stop => {}
        }
        false
    }

    fn hear(&mut self, slave: SlaveId) {
        if self.farm.slaves.contains_key(&slave) {
            self.liveness.heard(slave, self.started.elapsed());
        }
    }

    fn forget(&mut self, slave: SlaveId) {
        self.liveness.forget(slave);
        self.said.progress.remove(&slave);
        self.said.reports.remove(&slave);
        self.waiters.remove(&slave);
    }

    /// After a start every slave has a full timeout to show up again; their leases stay theirs until then.
    fn expect_everybody(&mut self) {
        let ready = self.farm.slaves.values().filter(|s| s.state == netrender_core::slave::SlaveState::Ready);
        for slave in ready.map(|slave| slave.id).collect::<Vec<_>>() {
            self.liveness.heard(slave, self.started.elapsed());
        }
    }

    fn decide(&mut self, command: Command, group: &mut Group) -> Result<Reply, MasterError> {
        if self.stale && !self.reload() {
            return Err(MasterError::Disk);
        }
        let now = wall_clock();
        let Decision { events, reply } = decide(&self.farm, now, RetryPolicy::default(), command)?;
        for event in events {
            let record = Farm::record(now, event);
            group.notes.extend(self.chronicle.note(&self.farm, &record));
            self.farm.apply(&record);
            self.touched.note(&self.farm, &record.event);
            group.records.push(record);
        }
        Ok(reply)
    }

    /// Answers a poll if there is something to say, else holds it.
    fn serve(&mut self, slave: SlaveId, waiter: Waiter, group: &mut Group) {
        if waiter.answer.is_closed() {
            return;
        }
        let command = Command::Poll { slave, held: waiter.held.clone(), want: waiter.want, edits: waiter.edits };
        match self.decide(command, group) {
            Ok(Reply::Poll(reply)) if reply.is_empty() => {
                self.waiters.insert(slave, waiter);
            }
            Ok(Reply::Poll(reply)) => group.answer(waiter.answer, Ok(reply)),
            Ok(_) => {}
            Err(error) => group.answer(waiter.answer, Err(error)),
        }
    }

    /// Something changed: idle slaves first, then those that look ahead.
    fn serve_waiters(&mut self, group: &mut Group) {
        let mut waiting: Vec<(SlaveId, Waiter)> = std::mem::take(&mut self.waiters).into_iter().collect();
        waiting.sort_by_key(|(_, waiter)| waiter.want != Want::Now);
        for (slave, waiter) in waiting {
            self.serve(slave, waiter, group);
        }
    }

    fn commit(&mut self, group: Group) {
        let durable = if group.records.is_empty() { Ok(()) } else { self.store.append(&group.records, &group.notes) };
        self.logged += group.records.len();
        let outcome = durable.map_err(|error| {
            tracing::error!("the event log can't be written: {error}");
            // What was decided did not happen: back to what the disk says.
            self.reload();
            MasterError::from(error)
        });
        for answer in group.answers {
            answer(outcome.as_ref().copied());
        }
    }

    fn reload(&mut self) -> bool {
        let loaded = self.store.load();
        self.stale = loaded.is_err();
        match loaded {
            Ok((farm, touched)) => (self.farm, self.touched) = (farm, touched),
            Err(error) => tracing::error!("the farm can't be read: {error}"),
        }
        !self.stale
    }

    /// Bounds the log. What can't be written now stays in it, and is tried again after as many events.
    fn snapshot(&mut self) {
        self.logged = 0;
        if self.stale {
            return;
        }
        match self.store.snapshot(&self.farm, &self.touched) {
            Ok(()) => self.touched = Touched::default(),
            Err(error) => tracing::error!("the snapshot can't be written, the log grows: {error}"),
        }
    }

    fn publish(&mut self) {
        let began = Instant::now();
        self.unpublished = false;
        self.revision += 1;
        let view = view::farm(&self.farm, &self.said, self.revision);
        self.view.send_replace(Arc::new(view));
        self.due = began + PUBLISH.max(10 * began.elapsed());
    }
}

/// True when that is news.
fn note<T: PartialEq>(known: &mut BTreeMap<SlaveId, T>, slave: SlaveId, said: Option<T>) -> bool {
    let is_new = known.get(&slave) != said.as_ref();
    match said {
        Some(said) => known.insert(slave, said),
        None => known.remove(&slave),
    };
    is_new
}

pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
