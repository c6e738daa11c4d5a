//! The submission: what an artist asks for when sending a job.

use crate::model::{
    build::Version,
    cut::{CutPlan, Span, Unit},
    digest::Digest,
    frames::FrameList,
    verdict::{Finding, MAX_WARNINGS},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most characters of [`JobSpec::split_note`].
const MAX_NOTE: usize = 2000;
/// Most lines of a tile's overlap; more would be rendered in vain.
const MAX_OVERLAP: u32 = 64;
/// Most samples of a frame: Cycles' own limit.
pub(crate) const MAX_SAMPLES: u32 = 1 << 24;

/// Choice of how the frames of a job are shared out among slaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Whole frames only.
    #[default]
    Off,
    /// By samples, or else by tiles, while there are fewer frames than slaves to render them.
    Auto,
    /// By samples, every frame.
    Samples,
    /// By tiles, every frame.
    Tiles,
}

/// Treatment of simulations that are not baked: each frame follows from the one before, so that a
/// slave that renders any other frame first draws another picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Simulations {
    /// None: frames are rendered in any order.
    #[default]
    AsIs,
    /// One slave bakes them first; all frames are rendered from the .blend with the caches in it.
    Bake,
    /// One slave at a time renders the frames in order, and its Blender plays the animation up to
    /// each of them.
    InOrder,
}

impl Simulations {
    /// True for the default, which is not written into logs.
    pub(crate) fn is_as_is(&self) -> bool {
        *self == Self::AsIs
    }
}

/// A submission: what to render and how. Once accepted, only a
/// [`JobEdit`](crate::model::job_settings::JobEdit) changes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobSpec {
    /// Name shown in lists.
    pub name: String,
    /// Category for grouping and fair use.
    #[serde(default)]
    pub category: String,
    /// Priority, 0 to 100; jobs of a higher one are rendered earlier.
    #[serde(default = "JobSpec::default_priority")]
    pub priority: u8,
    /// Number of frames that are leased together, at least 1.
    #[serde(default = "JobSpec::default_chunk")]
    pub chunk: u32,
    /// Tags that a slave must have, all of them.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The frames to render.
    pub frames: FrameList,
    /// The scene to render; the file's own active one when absent.
    #[serde(default)]
    pub scene: Option<String>,
    /// Blender's id of the render engine, for example `CYCLES`.
    pub engine: String,
    /// Major and minor version of Blender. Others draw different pixels.
    pub blender: [u16; 2],
    /// Width of every frame in pixels.
    pub width: u32,
    /// Height of every frame in pixels.
    pub height: u32,
    /// How frames are shared out among slaves.
    #[serde(default)]
    pub split: Split,
    /// How a frame can be cut for that; absent if only whole frames give the right picture.
    #[serde(default, rename = "samples")]
    pub cut: Option<CutPlan>,
    /// True if slaves with different Blenders or devices may share one frame.
    #[serde(default)]
    pub mixed: bool,
    /// How frames are shared out and why, in words for people.
    #[serde(default)]
    pub split_note: String,
    /// True if the scene needs its own Python (drivers, registered texts). Slaves run it only if
    /// the farm's setting allows it.
    #[serde(default)]
    pub scripts: bool,
    /// True if a part of each frame is drawn, by OpenGL or its like, not rendered: EEVEE, Workbench,
    /// Grease Pencil. Not every slave's Blender can draw where there is no display.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draws: bool,
    /// Findings by which frames may differ from those that the artist's own Blender renders, and
    /// those in spite of which the artist sent the job. Shown with every frame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Finding>,
    /// Treatment of simulations that are not baked.
    #[serde(default, skip_serializing_if = "Simulations::is_as_is")]
    pub simulations: Simulations,
    /// The blob that holds the [`Manifest`](crate::files::manifest::Manifest) as JSON.
    pub manifest: Digest,
    /// Idempotency key, random, made by the client: a submission that is repeated because its
    /// answer was lost is one job. Empty if there is none.
    #[serde(default)]
    pub key: String,
}

impl JobSpec {
    /// The priority of a job for which none is chosen.
    pub const fn default_priority() -> u8 {
        50
    }

    /// The chunk size of a job for which none is chosen.
    pub const fn default_chunk() -> u32 {
        1
    }

    /// Number of lines of the film that a slave renders of a frame, or of a share of it.
    pub fn film_lines(&self, share: Option<Span>) -> u32 {
        match (&self.cut, share) {
            (Some(plan), Some(share)) => plan.lines(share, self.height).len() as u32,
            _ => self.height,
        }
    }

    /// The unit that shared frames are cut by.
    pub fn unit(&self) -> Unit {
        self.cut.as_ref().map(|plan| plan.unit).unwrap_or_default()
    }

    /// Number of samples of the whole picture that a share has; 0 of a tile, whose lines have all.
    pub fn samples_in(&self, share: Span) -> u32 {
        match self.unit() {
            Unit::Samples => share.count,
            Unit::Lines => 0,
        }
    }

    /// Number of units of a frame; 0 if frames can't be shared out.
    pub fn frame_units(&self) -> u32 {
        self.cut.as_ref().map_or(0, |plan| plan.total)
    }

    /// True if a Blender of this version draws the pixels that the artist's own would.
    pub fn fits_blender(&self, version: Version) -> bool {
        self.blender == [version.0[0], version.0[1]]
    }

    /// Refuses what no artist may ask for. The error is a sentence that says what is allowed.
    pub fn check(&self) -> Result<(), String> {
        self.refusals().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that [`check`](Self::check) refuses, each in a sentence.
    pub fn refusals(&self) -> Vec<String> {
        let too_long = |text: &str| text.chars().count() > 200;
        let is_unnamed = self.name.trim().is_empty() || too_long(&self.name);
        let is_long = too_long(&self.category) || too_long(&self.engine) || self.scene.as_deref().is_some_and(too_long);
        let has_bad_tags = self.tags.len() > 100 || self.tags.iter().any(|tag| too_long(tag));
        let is_side = |pixels: &u32| (1..=65_536).contains(pixels);
        let is_nobodys = self.engine.is_empty() || self.engine == "NET_RENDER";
        let is_shared_in_order =
            self.simulations == Simulations::InOrder && (self.cut.is_some() || self.split != Split::Off);
        let refused = [
            (self.priority > 100, "the priority is 0 to 100"),
            (is_unnamed, "a job's name has 1 to 200 characters"),
            (is_long, "a category, an engine and a scene have at most 200 characters each"),
            (has_bad_tags, "a job has at most 100 tags of at most 200 characters each"),
            (!(1..=10_000).contains(&self.chunk), "the chunk size is 1 to 10000 frames"),
            (!is_side(&self.width) || !is_side(&self.height), "the picture's size is 1 to 65536 pixels each way"),
            (is_nobodys, "name the engine that slaves are to render with; NET_RENDER only hands work out"),
            (self.split_note.chars().count() > MAX_NOTE, "what is said of sharing has at most 2000 characters"),
            (is_shared_in_order, "frames that one slave renders in order can't be shared out"),
            (self.warnings.len() > MAX_WARNINGS, "a job has at most 50 warnings"),
            (too_long(&self.key), "a submission's key has at most 200 characters"),
        ];
        let refused = refused.into_iter().filter_map(|(is_refused, why)| is_refused.then_some(why));
        let bad_cut = self.cut.as_ref().and_then(|plan| self.check_cut(plan).err());
        let bad_warning = self.warnings.iter().find_map(|warning| warning.check().err());
        refused.chain(bad_cut).chain(bad_warning).map(str::to_owned).collect()
    }

    fn check_cut(&self, plan: &CutPlan) -> Result<(), &'static str> {
        let right = |total: &u32| (1..=MAX_SAMPLES).contains(total);
        if !right(&plan.total) || plan.layers.len() > 1000 || !plan.layers.values().all(right) {
            return Err("a frame and each view layer have 1 to 16777216 samples");
        }
        let fits = plan.total == self.height && plan.can_grow_to == 0 && plan.layers.is_empty();
        if plan.unit == Unit::Lines && !(fits && plan.overlap <= MAX_OVERLAP) {
            return Err(
                "a frame that is cut into lines has as many as it is high, in all layers, and few around a tile",
            );
        }
        Ok(())
    }
}
