//! A frame that several slaves render together: its parts, and which of its units are where.

use crate::model::{
    build::Build,
    cut::{Span, Unit},
    digest::Digest,
    ids::{LeaseId, SlaveId, Timestamp},
    result::TaskResult,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part of a frame that was handed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The units that the part has.
    pub share: Span,
    /// The film of these units.
    pub result: TaskResult,
    /// The scene's view transform as a table, for previews.
    pub view: Option<Digest>,
    /// The build that drew the part, as far as the master knows.
    #[serde(default)]
    pub build: Option<Build>,
    /// Seconds in which the slave fetched and loaded the scene before it could begin; 0 when it had
    /// the scene.
    #[serde(default)]
    pub warm_up_s: f64,
    /// Time of the hand-in.
    #[serde(default)]
    pub at: Timestamp,
}

/// The fraction of their time, 0 to 1, in which the slaves of a frame rendered: for each slave from
/// its first part to the last hand-in of all. `None` before there is a part.
pub fn efficiency(parts: &[Part]) -> Option<f64> {
    let end_s = parts.iter().map(|part| part.at.0 as f64 / 1000.0).reduce(f64::max)?;
    let mut began_s: BTreeMap<SlaveId, f64> = BTreeMap::new();
    for part in parts {
        let began = part.at.0 as f64 / 1000.0 - part.result.seconds - part.warm_up_s;
        let first = began_s.entry(part.result.slave).or_insert(began);
        *first = first.min(began);
    }
    let rendered: f64 = parts.iter().map(|part| part.result.seconds).sum();
    let there: f64 = began_s.values().map(|began| end_s - began).sum();
    (there > 0.0).then(|| (rendered / there).clamp(0.0, 1.0))
}

/// The parts of a frame merged into one film, not yet denoised and composited. The film is itself a
/// part, so that samples can be added to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// The units that the film has: in order, none touching the next.
    #[serde(rename = "shares")]
    pub spans: Vec<Span>,
    /// The film and its preview.
    pub result: TaskResult,
    /// The scene's view transform as a table, for previews.
    #[serde(default)]
    pub view: Option<Digest>,
    /// The build that drew the parts, as far as the master knows.
    #[serde(default)]
    pub build: Option<Build>,
}

impl Merged {
    /// Number of units that the film has.
    pub fn count(&self) -> u32 {
        count(&self.spans)
    }
}

/// A new total for a frame that somebody asked more samples for.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Number of units that the frame must have in all.
    pub goal: u32,
    /// The film to which samples are added. `None` if it was found damaged: all are rendered again.
    pub merged: Option<Box<Merged>>,
}

/// A frame that slaves render together. Each of its units is in one place only: free, leased, in a
/// part, or in an earlier film to which samples are added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sharing {
    /// The free units: in order, none touching the next.
    pub free: Vec<Span>,
    /// The units that are leased to slaves.
    pub leased: BTreeMap<LeaseId, Span>,
    /// The frame's own total, if it was given more samples than the job's.
    pub growth: Option<Growth>,
    /// True if the frame gets no more units: it is merged as it is.
    pub is_stopped: bool,
    /// The parts in order of their hand-ins.
    pub parts: Vec<Part>,
}

impl Sharing {
    /// A frame of `total` units, all of them free.
    pub fn new(total: u32) -> Self {
        Self { free: vec![Span { start: 0, count: total }], ..Self::default() }
    }

    /// A frame that was given more samples; those of its merged film are not free.
    pub(crate) fn growing(growth: Growth) -> Self {
        let mut sharing = Self::new(growth.goal);
        for span in growth.merged.iter().flat_map(|merged| &merged.spans) {
            sharing.take(*span);
        }
        Self { growth: Some(growth), ..sharing }
    }

    /// The same frame with stored parts. A part whose units are not free is dropped.
    pub(crate) fn with_parts(mut self, parts: Vec<Part>, is_stopped: bool) -> Self {
        self.parts = parts.into_iter().filter(|part| self.take(part.share)).collect();
        self.is_stopped = is_stopped;
        self
    }

    /// The units in the earlier film to which samples are added.
    pub fn merged(&self) -> &[Span] {
        let merged = self.growth.as_ref().and_then(|growth| growth.merged.as_ref());
        merged.map_or(&[], |merged| &merged.spans)
    }

    /// Frees the units of the earlier film, which is damaged.
    pub(crate) fn forget_merged(&mut self) {
        let merged = self.growth.as_mut().and_then(|growth| growth.merged.take());
        merged.into_iter().flat_map(|merged| merged.spans).for_each(|span| self.release(span));
    }

    /// The first free units, at most `most`.
    pub fn next(&self, most: u32) -> Option<Span> {
        self.free.first().map(|first| Span { start: first.start, count: first.count.min(most.max(1)) })
    }

    /// Number of free units.
    pub fn free_count(&self) -> u32 {
        count(&self.free)
    }

    /// Number of units that are handed in.
    pub fn done_count(&self) -> u32 {
        count(&self.done())
    }

    /// The units that are handed in: in order, none touching the next.
    pub fn done(&self) -> Vec<Span> {
        joined(self.merged().iter().copied().chain(self.parts.iter().map(|part| part.share)).collect())
    }

    /// True if nothing more is to come: all units are handed in, or no more are wanted.
    pub fn is_complete(&self) -> bool {
        self.leased.is_empty() && (self.is_stopped || self.free.is_empty())
    }

    /// True if units of the frame may be leased.
    pub fn is_open(&self) -> bool {
        !self.is_stopped && !self.free.is_empty()
    }

    /// True while there are no leases and no new parts, and the frame was not stopped.
    pub(crate) fn is_untouched(&self) -> bool {
        self.leased.is_empty() && self.parts.is_empty() && !self.is_stopped
    }

    /// True if all units of the span are free.
    pub fn is_free(&self, span: Span) -> bool {
        span.count > 0 && self.free.iter().any(|free| free.contains(span))
    }

    /// Takes units out of the free ones. Returns false, and changes nothing, if not all are free.
    pub(crate) fn take(&mut self, span: Span) -> bool {
        let Some(at) = self.free.iter().position(|free| span.count > 0 && free.contains(span)) else { return false };
        let free = self.free[at];
        let before = Span { start: free.start, count: span.start - free.start };
        let after = Span { start: span.end(), count: free.end() - span.end() };
        self.free.splice(at..=at, [before, after].into_iter().filter(|rest| rest.count > 0));
        true
    }

    /// Puts units back to the free ones.
    pub(crate) fn release(&mut self, span: Span) {
        self.free.push(span);
        self.free = joined(std::mem::take(&mut self.free));
    }

    /// Gives units to a lease, if all of them are free.
    pub(crate) fn lease(&mut self, lease: LeaseId, span: Span) {
        if self.take(span) {
            self.leased.insert(lease, span);
        }
    }

    /// Frees the units of a lease.
    pub(crate) fn end_lease(&mut self, lease: LeaseId) {
        if let Some(span) = self.leased.remove(&lease) {
            self.release(span);
        }
    }

    /// Adds a part, unless others have its units. Returns true if the lease was granted for these
    /// very units, which ends it; a part of other units leaves the lease as it is.
    pub(crate) fn add_part(&mut self, lease: LeaseId, part: Part) -> bool {
        let was_leased = self.leased.get(&lease) == Some(&part.share);
        if was_leased {
            self.leased.remove(&lease);
        }
        if was_leased || self.take(part.share) {
            self.parts.push(part);
        }
        was_leased
    }

    /// Removes a part that can't be merged and frees its units.
    pub(crate) fn reject_part(&mut self, span: Span) {
        let before = self.parts.len();
        self.parts.retain(|part| part.share != span);
        if self.parts.len() < before {
            self.release(span);
        }
    }

    /// True if a part of these units, rendered under this lease, is accepted: no other lease or
    /// part has any of them.
    pub fn accepts(&self, lease: LeaseId, span: Span) -> bool {
        self.leased.get(&lease) == Some(&span) || self.is_free(span)
    }

    /// Checks that each of the frame's `total` units is in one place only.
    pub(crate) fn check(&self, total: u32) -> Result<(), String> {
        let mut all = self.free.clone();
        all.extend(self.leased.values());
        all.extend(self.merged());
        all.extend(self.parts.iter().map(|part| part.share));
        all.sort_unstable();
        let mut at = 0;
        for span in &all {
            if span.start != at || span.count == 0 {
                return Err(format!("units from {at} on: {all:?}"));
            }
            at = span.end();
        }
        if at == total { Ok(()) } else { Err(format!("{at} units instead of {total}")) }
    }
}

fn count(spans: &[Span]) -> u32 {
    spans.iter().map(|span| span.count).sum()
}

/// The spans in order, those that touch joined into one.
fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.end() == span.start => last.count += span.count,
            _ => joined.push(span),
        }
    }
    joined
}

/// Speeds of slaves in a job, in thousandths of a unit per second: whole numbers, so that a replay
/// gives the same.
pub type Speeds = BTreeMap<SlaveId, u32>;

/// Adjusts a slave's speed by a share of `count` units that took `seconds`.
pub(crate) fn learn(speeds: &mut Speeds, slave: SlaveId, unit: Unit, count: u32, seconds: f64) {
    let seen = f64::from(count) / seconds.max(0.001) * 1000.0;
    let seen = seen.clamp(1.0, f64::from(u32::MAX / 2)) as u32;
    let speed = speeds.entry(slave).or_insert(seen);
    // The first share of a frame includes its warm-up, so a faster one is believed at once. A
    // slower one is believed halfway, since other work may have been in its way. Lines differ among
    // themselves, so their speeds are always averaged.
    *speed = if seen > *speed && unit == Unit::Samples { seen } else { (*speed / 2).saturating_add(seen / 2).max(1) };
}
