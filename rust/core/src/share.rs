//! Parts of one frame: which samples or lines a slave renders, and how far a frame is that several slaves render together.

use crate::{
    ids::{LeaseId, SlaveId, Timestamp},
    slave::Build,
    task::TaskResult,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

/// What a frame is cut into. All that is said of samples here goes for lines, too: a frame of lines has as many "samples" as
/// lines, and a slave renders some of them with all that Cycles samples in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Every share has all pixels, and some of what is sampled in them.
    #[default]
    Samples,
    /// Every share is a tile as wide as the picture: some lines, counted from the top.
    Lines,
}

impl Unit {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Lines => "lines",
        }
    }
}

/// Some of a frame's samples, one after the other: `offset`, `offset + 1`, ... Never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Share {
    /// The first, counted from 0.
    pub offset: u32,
    /// How many.
    pub samples: u32,
}

impl Share {
    /// The sample after the last.
    pub fn end(self) -> u32 {
        self.offset.saturating_add(self.samples)
    }

    fn holds(self, other: Self) -> bool {
        self.offset <= other.offset && other.end() <= self.end()
    }
}

/// How a frame can be rendered in parts, as the client's Blender says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SampleSplit {
    /// What it is cut into.
    #[serde(default)]
    pub unit: Unit,
    /// Of the whole frame.
    pub samples: u32,
    /// Lines that a tile has beyond its own on either side, where the picture goes on: its own depend on them.
    #[serde(default)]
    pub overlap: u32,
    /// Of view layers with a number of their own.
    #[serde(default)]
    pub layers: BTreeMap<String, u32>,
    /// Whether this Blender knows that it renders a part (`use_sample_subset`).
    pub is_subset: bool,
    /// Whether anything comes after all samples are there: denoising, compositing.
    #[serde(default)]
    pub finishes: bool,
    /// Whether that is denoising, which not every Blender can do.
    #[serde(default)]
    pub denoises: bool,
    /// Up to so many samples a frame can be given more later and is as if it had had all from the start. 0: not at all, its
    /// samples depend on how many there are.
    #[serde(default)]
    pub can_grow_to: u32,
}

impl SampleSplit {
    /// The lines that are rendered for a share, of `height`: all, or those of a tile and what it needs around them.
    pub fn lines(&self, share: Share, height: u32) -> Range<u32> {
        match self.unit {
            Unit::Samples => 0..height,
            Unit::Lines => {
                let end = share.end().saturating_add(self.overlap).min(height);
                share.offset.saturating_sub(self.overlap).min(end)..end
            }
        }
    }
}

/// A part that was handed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its samples.
    pub share: Share,
    /// The film of them.
    pub result: TaskResult,
    /// The scene's view transform as a table, for previews.
    pub view: Option<crate::digest::Digest>,
    /// What drew it, as far as the master knows.
    #[serde(default)]
    pub build: Option<Build>,
    /// How long its slave fetched and loaded the scene before it could begin; 0 when it had the scene.
    #[serde(default)]
    pub warm_up_s: f64,
    /// When it was handed in.
    #[serde(default)]
    pub at: Timestamp,
}

/// What part of their time the slaves of a frame rendered, of 1: from each one's first sample of it to the last hand-in. None
/// before there is a part.
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

/// What slaves rendered of a frame, in one film, before anything that needs all of it. The film is itself a part, so that samples
/// can be added to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// Its samples, in order, none touching the next.
    pub shares: Vec<Share>,
    /// The film of them, and its picture.
    pub result: TaskResult,
    /// The scene's view transform as a table, for previews.
    #[serde(default)]
    pub view: Option<crate::digest::Digest>,
    /// What drew it, as far as the master knows.
    #[serde(default)]
    pub build: Option<Build>,
}

impl Merged {
    /// How many samples it has.
    pub fn samples(&self) -> u32 {
        self.shares.iter().map(|share| share.samples).sum()
    }
}

/// A frame that slaves render together. Every sample is free, leased, in a part or in an earlier merge to which samples
/// are added, and in one of them only. Written down are only the parts: leases are kept with all others, the earlier merge with
/// the task, and the rest is free.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sharing {
    /// In nobody's hands; in order, none touching the next.
    #[serde(skip)]
    pub free: Vec<Share>,
    /// On slaves.
    #[serde(skip)]
    pub leased: BTreeMap<LeaseId, Share>,
    /// In the film of an earlier merge.
    #[serde(skip)]
    pub merged: Vec<Share>,
    /// Somebody wants it as it is: it is merged of the samples that are there.
    #[serde(default)]
    pub is_stopped: bool,
    /// Handed in, in the order they came.
    pub parts: Vec<Part>,
}

impl Sharing {
    /// Of a frame with so many samples, of which nothing is begun.
    pub fn new(samples: u32) -> Self {
        Self { free: vec![Share { offset: 0, samples }], ..Self::default() }
    }

    /// Of a frame that has some of them from before.
    pub fn going_on(samples: u32, merged: Vec<Share>) -> Self {
        let mut sharing = Self::new(samples);
        sharing.merged = merged.into_iter().filter(|share| sharing.take(*share)).collect();
        sharing
    }

    /// The first free samples, at most so many.
    pub fn next(&self, most: u32) -> Option<Share> {
        self.free.first().map(|first| Share { offset: first.offset, samples: first.samples.min(most.max(1)) })
    }

    /// How many samples nobody has.
    pub fn free_samples(&self) -> u32 {
        self.free.iter().map(|share| share.samples).sum()
    }

    /// How many samples are handed in.
    pub fn done_samples(&self) -> u32 {
        self.done().iter().map(|share| share.samples).sum()
    }

    /// The samples that are handed in, in order, none touching the next.
    pub fn done(&self) -> Vec<Share> {
        joined(self.merged.iter().copied().chain(self.parts.iter().map(|part| part.share)).collect())
    }

    /// Whether nothing more is to come: all samples are handed in, or no more are wanted.
    pub fn is_complete(&self) -> bool {
        self.leased.is_empty() && (self.is_stopped || self.free.is_empty())
    }

    /// Whether a slave may have samples of it.
    pub fn is_open(&self) -> bool {
        !self.is_stopped && !self.free.is_empty()
    }

    /// Whether nobody is at it and it is no further than it was.
    pub(crate) fn is_untouched(&self) -> bool {
        self.leased.is_empty() && self.parts.is_empty() && !self.is_stopped
    }

    /// Whether all these samples are free.
    pub fn is_free(&self, share: Share) -> bool {
        share.samples > 0 && self.free.iter().any(|free| free.holds(share))
    }

    /// Takes samples out of the free ones; false, and nothing changes, if they are not all free.
    pub(crate) fn take(&mut self, share: Share) -> bool {
        let Some(at) = self.free.iter().position(|free| share.samples > 0 && free.holds(share)) else { return false };
        let free = self.free[at];
        let before = Share { offset: free.offset, samples: share.offset - free.offset };
        let after = Share { offset: share.end(), samples: free.end() - share.end() };
        self.free.splice(at..=at, [before, after].into_iter().filter(|rest| rest.samples > 0));
        true
    }

    /// Gives samples back.
    pub(crate) fn release(&mut self, share: Share) {
        self.free.push(share);
        self.free = joined(std::mem::take(&mut self.free));
    }

    /// Whether a part of these samples, rendered by this lease, is welcome: nobody else has them or handed them in.
    pub fn welcomes(&self, lease: LeaseId, share: Share) -> bool {
        self.leased.get(&lease) == Some(&share) || self.is_free(share)
    }

    /// Every sample in one place only, and all of them together the frame's.
    pub(crate) fn check(&self, samples: u32) -> Result<(), String> {
        let mut all = self.free.clone();
        all.extend(self.leased.values());
        all.extend(&self.merged);
        all.extend(self.parts.iter().map(|part| part.share));
        all.sort_unstable();
        let mut at = 0;
        for share in &all {
            if share.offset != at || share.samples == 0 {
                return Err(format!("samples from {at} on: {all:?}"));
            }
            at = share.end();
        }
        if at == samples { Ok(()) } else { Err(format!("{at} samples instead of {samples}")) }
    }
}

/// In order, and those that touch as one.
fn joined(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_unstable();
    let mut joined: Vec<Share> = Vec::with_capacity(shares.len());
    for share in shares {
        match joined.last_mut() {
            Some(last) if last.end() == share.offset => last.samples += share.samples,
            _ => joined.push(share),
        }
    }
    joined
}

/// Samples per second that slaves reached in a job, in thousandths: whole numbers, so that a replay is the same.
pub type Speeds = BTreeMap<SlaveId, u32>;

/// What a share of so many samples in so many seconds says of a speed.
pub(crate) fn learn(speeds: &mut Speeds, slave: SlaveId, unit: Unit, samples: u32, seconds: f64) {
    let seen = f64::from(samples) / seconds.max(0.001) * 1000.0;
    let seen = seen.clamp(1.0, f64::from(u32::MAX / 2)) as u32;
    let speed = speeds.entry(slave).or_insert(seen);
    // The first share of a frame has its warm-up in it, so that what was fast is believed at once; a slow one halfway, for
    // something else may have been in its way. Of lines some take longer than others.
    *speed = if seen > *speed && unit == Unit::Samples { seen } else { (*speed / 2).saturating_add(seen / 2).max(1) };
}
