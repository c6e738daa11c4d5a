//! Decisions: a command and the farm as it is give the events that follow, or a refusal.
//!
//! What lives here: one file for each family of commands, one function for each command, and the
//! queue, which chooses the next work for a slave. What does not: changes of the farm. Only
//! [`Farm::apply`] changes it.

mod bake;
mod command;
mod eligibility;
mod jobs;
mod leases;
mod lookup;
mod policy;
mod poll;
mod queue;
mod refusal;
mod results;
mod retry;
mod sharing;
mod slaves;

pub use command::{Command, Decision, Reply};
pub use eligibility::{why_kept_out, why_unfit, why_waiting};
pub use refusal::Refusal;

use crate::model::{farm::Farm, ids::Timestamp, result::Failure, retry::RetryPolicy};

/// Decides a command. `now` is for people to read; nothing is decided by it.
pub fn decide(farm: &Farm, now: Timestamp, retry: RetryPolicy, command: Command) -> Result<Decision, Refusal> {
    match command {
        Command::Submit(spec) => jobs::submit(farm, spec),
        Command::Pause(job) => jobs::pause(farm, job),
        Command::Resume(job) => jobs::resume(farm, job),
        Command::Cancel(job) => jobs::cancel(farm, job),
        Command::Requeue(job) => jobs::requeue(farm, job),
        Command::RequeueFrames { job, frames } => jobs::requeue_frames(farm, job, frames),
        Command::Edit { job, edit, seen } => jobs::edit(farm, job, edit, seen),
        Command::Delete(job) => jobs::delete(farm, job),
        Command::Forget(job) => jobs::forget(farm, job),
        Command::Blacklist { job, slave, listed } => jobs::blacklist(farm, job, slave, listed),

        Command::Register { key, name, info, started } => slaves::register(farm, key, name, info, started),
        Command::EditSlave { slave, edit, seen } => slaves::edit(farm, slave, *edit, seen),
        Command::Order { slave, duty } => slaves::order(farm, slave, duty),
        Command::Leave(slave) => slaves::leave(farm, slave),
        Command::Lose(slave) => slaves::lose(farm, slave),
        Command::Poll { slave, held, want, edits } => poll::poll(farm, slave, held, want, edits),
        Command::ChangePolicy { policy, seen } => policy::change(farm, policy, seen),

        Command::HandIn { job, frame, result } => results::hand_in(farm, job, frame, result),
        Command::Fail { slave, lease, job, frame, error, log } => {
            results::fail(farm, retry, job, frame, lease, Failure { slave, at: now, error, log })
        }
        Command::Spoil { job, frame, film } => results::spoil(farm, job, frame, film),

        Command::HandInBake { job, baked } => bake::hand_in(farm, job, baked),
        Command::SpoilBake { job, blend } => bake::spoil(farm, job, blend),

        Command::HandInPart { job, frame, lease, part } => sharing::hand_in_part(farm, job, frame, lease, part),
        Command::RejectPart { job, frame, share, error } => {
            sharing::reject_part(farm, now, retry, job, frame, share, error)
        }
        Command::Merge { job, frame, merged } => sharing::merge(farm, job, frame, merged),
        Command::Stop { job, frames } => sharing::stop(farm, job, frames),
        Command::More { job, samples, frames } => sharing::more(farm, job, samples, frames),
    }
}
