//! The frame that parts should make together, as the caller of a merge describes it.

use super::span::{Coverage, Unit};
use crate::attributes;
use std::collections::BTreeMap;
use std::ops::Range;

/// The way a frame was cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Each part has all pixels, and some of the samples of each.
    Samples,
    /// Each part has all samples of some lines. Its file holds these lines and at most `overlap`
    /// more on either side; the file of a sum holds the whole picture.
    Lines {
        /// Number of additional lines on either side.
        overlap: u32,
    },
}

impl Cut {
    /// The unit in which coverages count.
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Samples => Unit::Samples,
            Self::Lines { .. } => Unit::Lines,
        }
    }

    /// The header attribute in which a sum states its coverage.
    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Samples => attributes::SAMPLES,
            Self::Lines { .. } => attributes::LINES,
        }
    }
}

/// The frame that parts should make together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSpec {
    /// The frame's size.
    pub picture: crate::Expect,
    /// The way the frame was cut.
    pub cut: Cut,
    /// Number of samples, or of lines, of the whole frame.
    pub total: u32,
    /// Samples of those view layers that override the scene's number; at most [`FrameSpec::total`].
    /// A part has the samples below that number. (Blender up to 4.x does so only if the override is
    /// set again for each part.)
    pub layers: BTreeMap<String, u32>,
    /// True if Cycles knew that it rendered a part (`use_sample_subset`, from 5.0 on). Headers then
    /// state the samples of the whole frame, otherwise those of the part.
    pub is_subset: bool,
    /// True if a sample is the same however many the frame has. Headers may then state a smaller
    /// total: such parts were rendered before the frame was given more samples.
    pub can_grow: bool,
    /// True if sampling is adaptive. The pass Debug Sample Count, required then, tells how many
    /// samples each pixel got.
    pub is_adaptive: bool,
    /// The frame's number, if it is to be checked.
    pub frame: Option<i32>,
    /// The build, such as `Blender 5.0.1`, if it is to be checked. Films of Blender before 5.0 do
    /// not name it.
    pub build: Option<String>,
}

impl FrameSpec {
    /// A frame cut by samples, without adaptive sampling or layers of their own samples, its parts
    /// rendered as before 5.0.
    pub fn new(picture: crate::Expect, samples: u32) -> Self {
        Self {
            picture,
            cut: Cut::Samples,
            total: samples,
            layers: BTreeMap::new(),
            is_subset: false,
            can_grow: false,
            is_adaptive: false,
            frame: None,
            build: None,
        }
    }

    /// A frame cut into tiles, each with at most `overlap` additional lines on either side.
    pub fn tiles(picture: crate::Expect, overlap: u32) -> Self {
        let lines = picture.height;
        Self { cut: Cut::Lines { overlap }, ..Self::new(picture, lines) }
    }

    /// The lines in the file of a tile that Blender rendered; `None` if it cannot be one.
    pub(super) fn tile(&self, coverage: &Coverage) -> Option<Range<usize>> {
        let Cut::Lines { overlap } = self.cut else { return None };
        let [span] = coverage.spans() else { return None };
        let end = coverage.end().saturating_add(overlap.into()).min(self.picture.height.into());
        Some(span.start.saturating_sub(overlap) as usize..end as usize)
    }

    /// Number of samples of a view layer in the whole frame.
    pub(super) fn samples_of(&self, layer: &str) -> u32 {
        self.layers.get(layer).copied().unwrap_or(self.total)
    }
}
