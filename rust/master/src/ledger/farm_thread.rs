//! The only owner of the farm: a thread that takes commands, decides, applies, makes a whole group
//! of events durable in one commit, and only then replies. Requests that arrive during a commit
//! form the next group, so the disk sets the pace and nobody waits for more than two commits.

use super::{
    clock::wall_clock,
    request::{ReplyTo, Request, Session, SignOfLife},
    rows::{self, LastReports},
    store::{Store, StoreError},
};
use crate::error::MasterError;
use netrender_core::{
    decide::{Command, Decision, Refusal, Reply, decide},
    durable::{
        chronicle::{Chronicle, Notes},
        snapshot::Touched,
    },
    model::{
        event::Record,
        farm::Farm,
        ids::SlaveId,
        liveness::{Liveness, Monotonic, heartbeat},
        retry::RetryPolicy,
        slave::SlaveState,
    },
    wire::{FarmView, HeldLease, PollReply, PollRequest, Want},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

/// Most commands decided in one group; bounds how long the first of them waits.
const GROUP: usize = 256;
/// Events after which a snapshot replaces the log: some 20 ms of writing, during which nobody is
/// answered.
const LOGGED: usize = 2048;
/// Shortest time between two publications of the lists. It grows with the time that making them
/// takes, to at least ten times that: with hundreds of slaves there is always something that
/// changed.
const PUBLISH: Duration = Duration::from_millis(100);

/// A slave whose poll is held open.
struct Waiter {
    held: Vec<HeldLease>,
    want: Want,
    edits: Option<u32>,
    reply_to: ReplyTo<PollReply>,
}

/// A process that wants to register as a slave whose connection still stands. A copy of the slave's
/// data folder does so, and the slave itself after a power failure: which one it is shows when the
/// connection gives a sign of life, or none.
struct Contender {
    slave: SlaveId,
    /// The time from which the connection counts as dead.
    until: Monotonic,
    command: Box<Command>,
    session: Session,
    reply_to: ReplyTo<Reply>,
}

/// Sends a reply once it is known whether its events are durable.
type HeldReply = Box<dyn FnOnce(Result<(), &MasterError>) + Send>;

/// Decisions that become durable in one commit. Their replies are held back until they are.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    notes: Notes,
    replies: Vec<HeldReply>,
}

impl Group {
    fn reply<T: Send + 'static>(&mut self, reply_to: ReplyTo<T>, result: Result<T, MasterError>) {
        self.replies.push(Box::new(move |durable| {
            // The asker may be gone. A grant that reached nobody is taken back at the slave's next
            // poll.
            let _ = reply_to.send(durable.map_err(MasterError::clone).and(result));
        }));
    }
}

/// The farm, its log and what is known of slaves in memory, on a thread of their own.
pub struct FarmThread {
    store: Box<dyn Store>,
    farm: Farm,
    /// Rows that changed since the last snapshot.
    touched: Touched,
    /// Events in the log since the last snapshot.
    logged: usize,
    chronicle: Chronicle,
    /// True while the farm in memory is not the one on disk, because writing failed and reading it
    /// back did, too. Nothing is decided until it can be read.
    stale: bool,
    slave_timeout: Duration,
    started: Instant,
    liveness: Liveness,
    reports: LastReports,
    waiters: BTreeMap<SlaveId, Waiter>,
    contenders: Vec<Contender>,
    /// The process that speaks for each slave.
    sessions: BTreeMap<SlaveId, Session>,
    /// The number of each slave's latest poll.
    polls: BTreeMap<SlaveId, u64>,
    /// Publishes the lists.
    rows: watch::Sender<Arc<FarmView>>,
    revision: u64,
    /// True if something changed since the lists were made.
    unpublished: bool,
    /// The earliest time at which the lists are made again.
    due: Instant,
}

impl FarmThread {
    /// Replays the log and publishes the first lists.
    pub fn load(
        mut store: Box<dyn Store>,
        slave_timeout: Duration,
        rows: watch::Sender<Arc<FarmView>>,
    ) -> Result<Self, StoreError> {
        let (farm, touched) = store.load()?;
        if let Err(broken) = farm.check_invariants() {
            tracing::error!("the log replayed to a farm that is not sound: {broken}");
        }
        let mut thread = Self {
            store,
            farm,
            touched,
            logged: 0,
            chronicle: Chronicle::default(),
            stale: false,
            slave_timeout,
            started: Instant::now(),
            liveness: Liveness::default(),
            reports: LastReports::default(),
            waiters: BTreeMap::new(),
            contenders: Vec::new(),
            sessions: BTreeMap::new(),
            polls: BTreeMap::new(),
            rows,
            revision: 0,
            unpublished: false,
            due: Instant::now(),
        };
        thread.snapshot();
        thread.expect_everybody();
        thread.publish();
        Ok(thread)
    }

    /// Serves requests until [`Request::Stop`].
    pub fn spawn(self, inbox: mpsc::Receiver<Request>) -> Result<std::thread::JoinHandle<()>, StoreError> {
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("netrender-master".into());
        thread.spawn(move || self.run(inbox, &runtime)).map_err(StoreError::Thread)
    }

    /// The next request. Publishes the lists if they are due before it comes.
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
            let mut reads = Vec::new();
            let mut rows_wanted = Vec::new();
            let mut stop = false;
            let mut next = Some(first);
            let mut taken = 0;
            while let Some(request) = next {
                match request {
                    Request::Read(read) => reads.push(read),
                    Request::LatestRows(reply_to) => rows_wanted.push(reply_to),
                    Request::Stop => stop = true,
                    request => self.unpublished |= self.take(request, &mut group),
                }
                taken += 1;
                next = if stop || taken >= GROUP { None } else { inbox.try_recv().ok() };
            }
            // Until nothing more follows: a poll's own events (a lease given back) may be what it
            // waits for.
            let mut served = 0;
            while group.records.len() > served {
                served = group.records.len();
                self.serve_waiters(&mut group);
            }
            self.unpublished |= !group.records.is_empty();
            self.commit(group);
            for read in reads {
                read(&self.farm, &self.reports);
            }
            if self.unpublished && (!rows_wanted.is_empty() || Instant::now() >= self.due) {
                self.publish();
            }
            for reply_to in rows_wanted {
                let _ = reply_to.send(self.rows.borrow().clone());
            }
            if stop || self.logged >= LOGGED {
                self.snapshot();
            }
            if stop {
                return;
            }
        }
    }

    /// Serves a request. Returns true if it changed the lists without an event: progress.
    fn take(&mut self, request: Request, group: &mut Group) -> bool {
        match request {
            Request::Command(command, reply_to) => {
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
                group.reply(reply_to, reply);
            }
            Request::Register { command, session, reply_to } => {
                if let Some(slave) = self.at_work_elsewhere(&command, &session) {
                    let until = self.started.elapsed() + 2 * heartbeat(self.slave_timeout);
                    self.contenders.push(Contender { slave, until, command, session, reply_to });
                } else {
                    self.register(*command, session, reply_to, group);
                }
            }
            Request::Poll { slave, poll: PollRequest { held, want, number, edits, session }, reply_to } => {
                let other = |current: &Session| !session.is_empty() && current.id != session;
                if self.sessions.get(&slave).is_some_and(other) {
                    group.reply(reply_to, Err(MasterError::KeyInUse));
                    return false;
                }
                let latest = self.polls.entry(slave).or_default();
                if number != 0 && number < *latest {
                    group.reply(reply_to, Ok(PollReply::default()));
                    return false;
                }
                *latest = number;
                // A slave has one poll open. An older one is of a connection it gave up.
                self.waiters.remove(&slave);
                self.hear(slave);
                self.serve(slave, Waiter { held, want, edits, reply_to }, group);
            }
            Request::SignOfLife { slave, sign, reply_to } => {
                let known = self.farm.slaves.contains_key(&slave);
                let reply = if known { Ok(()) } else { Err(Refusal::UnknownSlave(slave).into()) };
                group.reply(reply_to, reply);
                if known {
                    self.hear(slave);
                    let SignOfLife { progress, report } = *sign;
                    let is_new = replace(&mut self.reports.progress, slave, progress);
                    return replace(&mut self.reports.settings, slave, report) || is_new;
                }
            }
            Request::Tick => {
                let now = self.started.elapsed();
                for slave in self.liveness.silent(now, self.slave_timeout) {
                    tracing::warn!(%slave, "silent for too long: its frames go back to the queue");
                    self.forget(slave);
                    let _ = self.decide(Command::Lose(slave), group);
                }
                self.admit_contenders(now, group);
            }
            Request::Read(_) | Request::LatestRows(_) | Request::Stop => {}
        }
        false
    }

    fn hear(&mut self, slave: SlaveId) {
        if self.farm.slaves.contains_key(&slave) {
            self.liveness.heard(slave, self.started.elapsed());
        }
        for contender in self.contenders.extract_if(.., |contender| contender.slave == slave) {
            let _ = contender.reply_to.send(Err(MasterError::KeyInUse));
        }
    }

    fn register(&mut self, command: Command, session: Session, reply_to: ReplyTo<Reply>, group: &mut Group) {
        let reply = self.decide(command, group);
        if let Ok(Reply::Registered(slave)) = reply {
            self.hear(slave);
            self.polls.remove(&slave);
            self.sessions.insert(slave, session);
        }
        group.reply(reply_to, reply);
    }

    /// Registers the processes whose slave's connection turned out to be dead.
    fn admit_contenders(&mut self, now: Monotonic, group: &mut Group) {
        for contender in std::mem::take(&mut self.contenders) {
            let Contender { until, command, session, reply_to, .. } = contender;
            match self.at_work_elsewhere(&command, &session) {
                _ if reply_to.is_closed() => {}
                Some(slave) if now < until => {
                    self.contenders.push(Contender { slave, until, command, session, reply_to });
                }
                _ => self.register(*command, session, reply_to, group),
            }
        }
    }

    /// The slave as which another process with the same key, from another folder, holds a poll open.
    /// A process that was killed holds none, and its successor is welcome.
    fn at_work_elsewhere(&self, command: &Command, session: &Session) -> Option<SlaveId> {
        let Command::Register { key, .. } = command else { return None };
        let slave = self.farm.slave_by_key(key)?.id;
        let is_other =
            |current: &Session| !session.id.is_empty() && current.id != session.id && current.place != session.place;
        let is_alive = |waiter: &Waiter| !waiter.reply_to.is_closed();
        let is_at_work =
            self.sessions.get(&slave).is_some_and(is_other) && self.waiters.get(&slave).is_some_and(is_alive);
        is_at_work.then_some(slave)
    }

    fn forget(&mut self, slave: SlaveId) {
        self.liveness.forget(slave);
        self.reports.progress.remove(&slave);
        self.reports.settings.remove(&slave);
        self.waiters.remove(&slave);
        self.sessions.remove(&slave);
    }

    /// Gives every slave a full timeout to appear again after a start; its leases stay its own
    /// until then.
    fn expect_everybody(&mut self) {
        let ready = self.farm.slaves.values().filter(|s| s.state == SlaveState::Ready);
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

    /// Replies to a poll if there is something to say, else holds it open.
    fn serve(&mut self, slave: SlaveId, waiter: Waiter, group: &mut Group) {
        if waiter.reply_to.is_closed() {
            return;
        }
        let command = Command::Poll { slave, held: waiter.held.clone(), want: waiter.want, edits: waiter.edits };
        match self.decide(command, group) {
            Ok(Reply::Poll(reply)) if reply.is_empty() => {
                self.waiters.insert(slave, waiter);
            }
            Ok(Reply::Poll(reply)) => group.reply(waiter.reply_to, Ok(reply)),
            Ok(_) => {}
            Err(error) => group.reply(waiter.reply_to, Err(error)),
        }
    }

    /// Decides the open polls again after a change: first those of idle slaves, then those that
    /// look ahead.
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
            // The decisions did not happen: the farm is read back from the disk.
            self.reload();
            MasterError::from(error)
        });
        for reply in group.replies {
            reply(outcome.as_ref().copied());
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

    /// Writes a snapshot, which bounds the log. If that fails the log grows, and it is tried again
    /// after as many events.
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
        let rows = rows::farm(&self.farm, &self.reports, self.revision);
        self.rows.send_replace(Arc::new(rows));
        self.due = began + PUBLISH.max(10 * began.elapsed());
    }
}

/// Replaces what a slave reported last. Returns true if it differs.
fn replace<T: PartialEq>(known: &mut BTreeMap<SlaveId, T>, slave: SlaveId, report: Option<T>) -> bool {
    let is_new = known.get(&slave) != report.as_ref();
    match report {
        Some(report) => known.insert(slave, report),
        None => known.remove(&slave),
    };
    is_new
}
