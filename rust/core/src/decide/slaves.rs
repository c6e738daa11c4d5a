//! Commands about slaves: registered, edited, ordered, gone.

use crate::{
    decide::{
        command::{Decided, Reply, answer, events},
        leases::end_all,
        lookup,
        refusal::Refusal,
    },
    model::{
        event::Event,
        farm::Farm,
        ids::SlaveId,
        lease::LeaseEnd,
        slave::{Duty, SlaveInfo, SlaveState},
        slave_settings::SlaveEdit,
    },
};

pub(super) fn register(farm: &Farm, key: String, name: String, info: Box<SlaveInfo>, started: bool) -> Decided {
    let slave = farm.slave_by_key(&key).map_or(SlaveId(farm.last_slave + 1), |known| known.id);
    answer([Event::SlaveJoined { slave, key, name, info, started }], Reply::Registered(slave))
}

pub(super) fn edit(farm: &Farm, id: SlaveId, edit: SlaveEdit, seen: Option<u32>) -> Decided {
    let slave = lookup::slave(farm, id)?;
    if let Some(newer) = slave.edits.newer_than(seen) {
        let words = newer.into_iter().map(|setting| setting.in_words(&slave.set)).collect();
        return Err(Refusal::edited_meanwhile(format!("slave {id} ({})", slave.name()), words));
    }
    let edit = edit.new_in(&slave.set);
    if edit == SlaveEdit::default() {
        return answer([], Reply::Edited(slave.edits.count));
    }
    let mut set = slave.set.clone();
    edit.apply_to(&mut set);
    set.check().map_err(|why| Refusal::BadSetting(why.to_owned()))?;
    answer([Event::SlaveEdited { slave: id, edit: Box::new(edit) }], Reply::Edited(slave.edits.count + 1))
}

/// An order to end makes sense for a slave that runs; one that is lost may still hear it when it
/// comes back.
pub(super) fn order(farm: &Farm, id: SlaveId, duty: Duty) -> Decided {
    let slave = lookup::slave(farm, id)?;
    if slave.state == SlaveState::Gone && matches!(duty, Duty::Drain | Duty::Stop) {
        return Err(Refusal::SlaveIsGone { slave: id, name: slave.name().to_owned() });
    }
    if slave.duty == duty {
        return events([]);
    }
    let given_back = if duty == Duty::Stop { end_all(farm.leases_of(id), LeaseEnd::Released) } else { vec![] };
    events(given_back.into_iter().chain([Event::SlaveOrdered { slave: id, duty }]))
}

pub(super) fn leave(farm: &Farm, id: SlaveId) -> Decided {
    sign_off(farm, id, LeaseEnd::Released, Event::SlaveLeft { slave: id })
}

pub(super) fn lose(farm: &Farm, id: SlaveId) -> Decided {
    sign_off(farm, id, LeaseEnd::Lost, Event::SlaveLost { slave: id })
}

fn sign_off(farm: &Farm, id: SlaveId, end: LeaseEnd, last: Event) -> Decided {
    if lookup::slave(farm, id)?.state != SlaveState::Ready {
        return events([]);
    }
    events(end_all(farm.leases_of(id), end).into_iter().chain([last]))
}
