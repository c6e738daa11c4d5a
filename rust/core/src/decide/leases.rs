//! Events that end leases before their frames are done.

use crate::model::{
    event::Event,
    farm::Farm,
    ids::{JobId, SlaveId},
    lease::{Lease, LeaseEnd},
};

pub(super) fn end_all<'a>(leases: impl Iterator<Item = &'a Lease>, end: LeaseEnd) -> Vec<Event> {
    leases.map(|lease| Event::LeaseEnded { lease: lease.id, end }).collect()
}

/// Revokes all leases of a job.
pub(super) fn revoke_job(farm: &Farm, job: JobId) -> Vec<Event> {
    end_all(farm.leases.values().filter(|lease| lease.job == job), LeaseEnd::Revoked)
}

/// Revokes what a slave holds of a job and puts the slave on the job's blacklist.
pub(super) fn blacklist(farm: &Farm, job: JobId, slave: SlaveId) -> Vec<Event> {
    let mut events = end_all(farm.leases_of(slave).filter(|lease| lease.job == job), LeaseEnd::Revoked);
    events.push(Event::BlacklistChanged { job, slave, listed: true });
    events
}
