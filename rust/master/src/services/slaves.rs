//! Slaves' side of the farm: they register, poll for work, give signs of life and leave; and the
//! details of one.

use super::slave_logs::SlaveLogs;
use crate::{
    error::MasterError,
    ledger::{
        farm_handle::FarmHandle,
        request::{Session, SignOfLife},
        rows,
    },
};
use netrender_core::{
    decide::{Command, Refusal, Reply},
    model::{ids::SlaveId, liveness::heartbeat},
    wire::{Heartbeat, MasterInfo, PROTOCOL, PollReply, PollRequest, RegisterReply, RegisterRequest, SlaveDetail},
};
use std::{sync::Arc, time::Duration};

/// Time after which a poll is answered even if there is nothing to do; half of what slaves wait.
const POLL: Duration = Duration::from_secs(25);
/// Longest key and name of a slave, and longest text of its progress.
const MAX_CHARS: usize = 200;
/// Largest description of a slave, in bytes of JSON. Every list of slaves has it.
const MAX_INFO: usize = 64 << 10;

/// Speaks for the farm with slaves.
#[derive(Clone)]
pub struct Slaves {
    farm: FarmHandle,
    logs: Arc<SlaveLogs>,
    info: Arc<MasterInfo>,
    /// Seconds between two heartbeats of a slave.
    heartbeat_s: f64,
}

impl Slaves {
    /// `slave_timeout`: silence after which a slave counts as lost.
    pub fn new(farm: FarmHandle, logs: Arc<SlaveLogs>, info: Arc<MasterInfo>, slave_timeout: Duration) -> Self {
        Self { farm, logs, info, heartbeat_s: heartbeat(slave_timeout).as_secs_f64() }
    }

    /// Admits a slave. The same key again is the same slave.
    pub async fn register(&self, request: RegisterRequest) -> Result<RegisterReply, MasterError> {
        let RegisterRequest { key, name, info, started, protocol, session, place } = request;
        if protocol != PROTOCOL {
            return Err(MasterError::OtherProtocol(protocol));
        }
        let usable = |text: &str| (1..=MAX_CHARS).contains(&text.chars().count());
        if !usable(&key) || !usable(&name) {
            return Err(MasterError::Invalid(format!("a slave's key and name have 1 to {MAX_CHARS} characters")));
        }
        if session.len() > MAX_CHARS || place.len() > MAX_CHARS {
            return Err(MasterError::Invalid(format!("a slave's session and place have at most {MAX_CHARS} bytes")));
        }
        if serde_json::to_vec(&info).map_or(usize::MAX, |text| text.len()) > MAX_INFO {
            return Err(MasterError::Invalid(format!("a slave's description has at most {MAX_INFO} bytes")));
        }
        let session = Session { id: session, place };
        let command = Command::Register { key, name, info: Box::new(info), started };
        match self.farm.register(command, session).await? {
            Reply::Registered(slave) => {
                Ok(RegisterReply { slave, farm: self.info.farm.clone(), heartbeat_s: self.heartbeat_s })
            }
            other => Err(MasterError::unexpected(&other)),
        }
    }

    /// Returns when the slave has something to do or to drop, or with nothing after 25 s.
    pub async fn poll(&self, slave: SlaveId, request: PollRequest) -> Result<PollReply, MasterError> {
        let Ok(reply) = tokio::time::timeout(POLL, self.farm.poll(slave, request)).await else {
            return Ok(PollReply::default());
        };
        let mut reply = reply?;
        if let Some(grant) = &mut reply.grant {
            grant.scripts = self.info.scripts && grant.spec.scripts;
        }
        Ok(reply)
    }

    /// Notes that a slave lives, and what it reports.
    pub async fn heartbeat(&self, slave: SlaveId, beat: Heartbeat) -> Result<(), MasterError> {
        let Heartbeat { now, log, report } = beat;
        let progress = now.map(|mut progress| {
            progress.text = progress.text.chars().take(MAX_CHARS).collect();
            progress
        });
        self.farm.sign_of_life(slave, SignOfLife { progress: progress.clone(), report }).await?;
        self.logs.append(slave, progress.as_ref(), log);
        Ok(())
    }

    /// Takes a slave off the farm. Its frames go back to the queue.
    pub async fn leave(&self, slave: SlaveId) -> Result<(), MasterError> {
        self.farm.command(Command::Leave(slave)).await?;
        self.logs.forget(slave);
        Ok(())
    }

    /// A slave's row with its settings, cache and the end of its log.
    pub async fn detail(&self, slave: SlaveId) -> Result<SlaveDetail, MasterError> {
        let known = self
            .farm
            .slave(slave, |slave, report| (rows::settings(slave, report), report.map(|report| report.cache_bytes)));
        let (settings, cache_bytes) = known.await?;
        let rows = self.farm.latest_rows().await?;
        let row = rows.slaves.iter().find(|row| row.id == slave).ok_or(Refusal::UnknownSlave(slave))?;
        Ok(SlaveDetail { slave: row.clone(), settings, cache_bytes, log: self.logs.last_lines(slave) })
    }
}
