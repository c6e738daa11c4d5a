//! How one frame is cut into spans of samples or of lines.
//!
//! Both are counted alike: a frame has a number of *units*, and a span is some successive ones. Of
//! which kind the units are matters only where pixels are meant.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

/// Unit that a frame is cut by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Samples: every span has all pixels, and some of the samples of each.
    #[default]
    Samples,
    /// Lines, counted from the top: every span is a tile as wide as the picture, with all samples
    /// of its pixels.
    Lines,
}

impl Unit {
    /// The unit's name in sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Lines => "lines",
        }
    }
}

/// Successive units of a frame: `start`, `start + 1`, ... Never empty.
///
/// The farm's own type. `film::merge` has one too, as the header of a film has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Span {
    /// The first unit, counted from 0.
    #[serde(rename = "offset")]
    pub start: u32,
    /// Number of units.
    #[serde(rename = "samples")]
    pub count: u32,
}

impl Span {
    /// The unit after the last.
    pub fn end(self) -> u32 {
        self.start.saturating_add(self.count)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }
}

/// How the frames of a job can be rendered in parts, as the client's Blender says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CutPlan {
    /// Unit that frames are cut by.
    #[serde(default)]
    pub unit: Unit,
    /// Number of units of a whole frame: its samples, or its height.
    #[serde(rename = "samples")]
    pub total: u32,
    /// Lines that a tile renders beyond its own on either side, because its own depend on them.
    #[serde(default)]
    pub overlap: u32,
    /// Number of samples of the view layers that have a number of their own.
    #[serde(default)]
    pub layers: BTreeMap<String, u32>,
    /// True if Blender itself can render a range of samples (`use_sample_subset`).
    pub is_subset: bool,
    /// True if denoising or compositing follows once all units are there.
    #[serde(default)]
    pub finishes: bool,
    /// True if that includes denoising, which not every Blender can do.
    #[serde(default)]
    pub denoises: bool,
    /// Number of samples up to which a frame can be given more later, as if it had had all of them
    /// from the start. 0 if not at all: its samples depend on their total number.
    #[serde(default)]
    pub can_grow_to: u32,
}

impl CutPlan {
    /// The lines that are rendered for a span of a frame that is `height` lines high: all, or those
    /// of a tile with its overlap.
    pub fn lines(&self, span: Span, height: u32) -> Range<u32> {
        match self.unit {
            Unit::Samples => 0..height,
            Unit::Lines => {
                let end = span.end().saturating_add(self.overlap).min(height);
                span.start.saturating_sub(self.overlap).min(end)..end
            }
        }
    }
}
