//! Choice of how a job's frames are cut for several slaves: by samples, by tiles, or not at all.

use super::trace::{self, Description, Grade};
use netrender_core::model::{
    cut::{CutPlan, Unit},
    spec::Split,
};
use std::collections::BTreeMap;

/// The cut that was chosen for a job's frames.
#[derive(Clone, Debug)]
pub struct SplitChoice {
    /// Cut of a frame; `None` if frames are rendered whole.
    pub cut: Option<CutPlan>,
    /// Explanation for the artist; `None` if nothing was asked for.
    pub note: Option<String>,
}

/// Chooses the cut for a scene. `Auto` takes samples if they give the very same picture, and tiles
/// if only those do; an explicit wish is granted or refused, but never replaced by the other cut.
pub fn choose(wanted: Split, scene: &Description) -> SplitChoice {
    let split = &scene.split;
    let (samples, tiles) = (Candidate::samples(split), Candidate::tiles(split));
    let chosen = match wanted {
        Split::Off | Split::Samples => samples,
        Split::Tiles => tiles,
        Split::Auto => match (samples.grade, tiles.grade) {
            (Grade::Identical, _) | (Grade::Equivalent, Grade::Equivalent | Grade::None) => samples,
            // This includes frames that can't be shared at all: the reason against tiles is the
            // shorter one.
            _ => tiles,
        },
    };
    SplitChoice { cut: chosen.cut(scene), note: chosen.note(wanted, split) }
}

struct Candidate<'a> {
    unit: Unit,
    grade: Grade,
    why: &'a str,
}

impl<'a> Candidate<'a> {
    fn samples(split: &'a trace::Split) -> Self {
        Self { unit: Unit::Samples, grade: split.grade, why: &split.why }
    }

    fn tiles(split: &'a trace::Split) -> Self {
        Self { unit: Unit::Lines, grade: split.tiles.grade, why: &split.tiles.why }
    }

    fn cut(&self, scene: &Description) -> Option<CutPlan> {
        let split = &scene.split;
        let whole = CutPlan {
            unit: self.unit,
            total: split.samples,
            overlap: 0,
            layers: split.layers.clone(),
            is_subset: split.is_subset,
            finishes: split.finishes,
            denoises: split.denoises,
            can_grow_to: split.can_grow_to,
        };
        match (self.grade, self.unit) {
            (Grade::None, _) => None,
            (_, Unit::Samples) => Some(whole),
            (_, Unit::Lines) => {
                let overlap = split.tiles.overlap;
                Some(CutPlan { total: scene.height, overlap, layers: BTreeMap::new(), can_grow_to: 0, ..whole })
            }
        }
    }

    fn note(&self, wanted: Split, split: &trace::Split) -> Option<String> {
        let Self { unit, grade, why } = self;
        let together = match (grade, unit) {
            (Grade::None, _) => return (wanted != Split::Off).then(|| format!("frames are rendered whole: {why}")),
            (Grade::Identical, Unit::Samples) => {
                "the result is identical to what one machine renders, to float rounding".to_owned()
            }
            (Grade::Identical, Unit::Lines) if split.tiles.overlap > 0 => {
                "the result is identical to what one machine renders, but for a rare pixel at the edges of tiles"
                    .to_owned()
            }
            (Grade::Identical, Unit::Lines) => "the result is identical to what one machine renders".to_owned(),
            (Grade::Equivalent, _) => {
                format!("the result is equivalent to what one machine renders, not identical: {why}")
            }
        };
        let parts = match unit {
            Unit::Samples => "each some of its samples",
            Unit::Lines => "each some of its lines (tiles)",
        };
        match wanted {
            Split::Off => None,
            Split::Auto => {
                Some(format!("slaves share a frame, {parts}, while there are fewer frames than slaves; {together}"))
            }
            Split::Samples | Split::Tiles => Some(format!("slaves share every frame, {parts}; {together}")),
        }
    }
}
