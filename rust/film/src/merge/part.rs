//! One part of a frame: an open film whose header was checked, by itself and against the first
//! part. Its pixels are read later, a few lines at a time.

use super::error::PartError;
use super::frame::{Cut, FrameSpec};
use super::rules::Plan;
use super::span::Coverage;
use crate::attributes::Attributes;
use crate::error::FilmError;
use crate::layout::{Chunk, Layout, PartHeader, limit, lines_per_chunk};
use crate::read::{metadata, unpack};
use crate::source::{Source, read_at};
use exr::meta::MetaData;
use std::fs::File;
use std::path::Path;

/// Lines that a thread merges at a time, unless a codec packs more of them together.
pub(super) const STRIPE_LINES: usize = 16;
/// Unpacked pixels of a part that a thread holds at a time; its sums take twice as much. An 8K
/// frame with fifty channels has 26 MB of them, 420 MB if packed as DWAB.
pub(super) const MAX_STRIPE_BYTES: u64 = 1 << 30;

/// The texts in a part's header. Only films of Blender 5.0 and later name the build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartInfo {
    /// The build, such as `Blender 5.0.1`.
    pub build: Option<String>,
    /// The scene's name.
    pub scene: Option<String>,
    /// The frame's number as Blender writes it, with leading zeros.
    pub frame: Option<String>,
    /// Each view layer with its number of samples according to Cycles: see
    /// [`FrameSpec::is_subset`].
    pub layers: Vec<(String, Option<u32>)>,
    /// The coverage, if the part is a sum.
    pub coverage: Option<Coverage>,
}

/// The properties that all parts of a frame must share.
pub(super) struct Shape {
    parts: Vec<PartHeader>,
    views: Vec<String>,
    windows: [Option<Vec<u8>>; 2],
    info: PartInfo,
    pub(super) plan: Plan,
}

/// An open part.
pub(super) struct Part {
    pub(super) file: File,
    pub(super) layout: Layout,
    pub(super) metadata: MetaData,
    /// Chunks of each part of the file, from the top.
    blocks: Vec<Vec<Chunk>>,
    pub(super) coverage: Coverage,
    /// The frame's line that is the film's first one.
    pub(super) top: usize,
    /// Number of samples in each of the plan's layers.
    pub(super) weights: Vec<u32>,
}

pub(super) fn samples_attribute(layer: &str) -> String {
    format!("cycles.{layer}.samples")
}

fn lines_per_block(layout: &Layout) -> usize {
    layout.parts.iter().map(|part| lines_per_chunk(part.compression) as usize).max().unwrap_or(1)
}

/// Unpacked size of all channels in so many lines.
pub(super) fn stripe_bytes(layout: &Layout, lines: usize) -> u64 {
    let pixel_bytes: u64 = layout.parts.iter().map(|part| part.bytes_per_pixel).sum();
    // At most 65,536 x 65,536 x 65,536.
    pixel_bytes * layout.width as u64 * lines.min(layout.height) as u64
}

impl Part {
    /// Opens and checks a part. The first one determines the shape.
    pub(super) fn open(
        path: &Path,
        frame: &FrameSpec,
        coverage: &Coverage,
        shape: &mut Option<Shape>,
    ) -> Result<(Self, PartInfo), PartError> {
        let mut source = Source::open(path).map_err(PartError::Film)?;
        let layout = Layout::read(&mut source)?;
        let tile = frame.tile(coverage).filter(|tile| tile.len() == layout.height);
        let height = tile.as_ref().map_or(frame.picture.height, |tile| tile.len() as u32);
        let layout = layout.expected(&crate::Expect { height, ..frame.picture })?;
        let lines = lines_per_block(&layout).max(STRIPE_LINES);
        // Before anything is unpacked: forged blocks can grow a thousandfold.
        limit("a block of lines in bytes", stripe_bytes(&layout, lines), MAX_STRIPE_BYTES)?;
        let file = source.into_file();
        let attributes = Attributes::read(&file, &layout)?;
        let found = Shape::new(&layout, &attributes, frame)?;
        if let Some(wanted) = shape {
            wanted.check(&found, frame.cut)?;
        }
        // Blender renders one range at a time.
        let is_render = match frame.cut {
            Cut::Samples => coverage.spans().len() == 1,
            Cut::Lines { .. } => tile.is_some(),
        };
        found.check_words(frame, coverage, is_render)?;
        let weights: Vec<u32> =
            found.plan.layers.iter().map(|layer| coverage.count_below(frame.samples_of(layer))).collect();
        if frame.cut == Cut::Samples {
            found.check_samples(frame, coverage, &weights)?;
        }
        let mut blocks = vec![Vec::new(); layout.parts.len()];
        for chunk in &layout.chunks {
            blocks[chunk.part].push(*chunk);
        }
        for blocks in &mut blocks {
            blocks.sort_unstable_by_key(|chunk| chunk.line);
        }
        let metadata = metadata(&layout);
        let info = found.info.clone();
        shape.get_or_insert(found);
        let top = tile.map_or(0, |tile| tile.start);
        Ok((Self { file, layout, metadata, blocks, coverage: coverage.clone(), top, weights }, info))
    }

    /// The most lines in any of its chunks; the numbers of its parts are powers of two.
    pub(super) fn lines_per_block(&self) -> usize {
        lines_per_block(&self.layout)
    }

    /// Unpacks the chunks that hold some lines of one of the file's parts: line by line, in each
    /// channel by channel. `first` must be a multiple of a chunk's lines.
    pub(super) fn unpack(&self, part: usize, first: usize, lines: usize) -> Result<Vec<Vec<u8>>, FilmError> {
        let per_block = lines_per_chunk(self.layout.parts[part].compression) as usize;
        let blocks = &self.blocks[part][first / per_block..(first + lines).div_ceil(per_block)];
        let read = |chunk: &Chunk| {
            let mut packed = vec![0; chunk.bytes];
            read_at(&self.file, &mut packed, chunk.start)?;
            unpack(&self.layout, &self.metadata, chunk, packed)
        };
        blocks.iter().map(read).collect()
    }
}

impl Shape {
    fn new(layout: &Layout, attributes: &Attributes, frame: &FrameSpec) -> Result<Self, PartError> {
        let plan = match frame.cut {
            Cut::Samples => Plan::new(layout, frame.is_adaptive)?,
            Cut::Lines { .. } => Plan::as_it_is(layout)?,
        };
        let samples = |layer: &String| {
            let text = attributes.text(&samples_attribute(layer));
            let samples = text.as_deref().map(str::parse).transpose().map_err(|_| PartError::Says {
                what: samples_attribute(layer),
                found: text.clone().unwrap_or_default(),
                wanted: "a number".into(),
            })?;
            Ok((layer.clone(), samples))
        };
        let coverage = attributes.text(frame.cut.attribute());
        let info = PartInfo {
            build: attributes.text("Software"),
            scene: attributes.text("Scene"),
            frame: attributes.text("Frame"),
            layers: plan.layers.iter().map(samples).collect::<Result<_, PartError>>()?,
            coverage: coverage.as_deref().map(str::parse).transpose().map_err(|_| PartError::Says {
                what: frame.cut.attribute().into(),
                found: coverage.clone().unwrap_or_default(),
                wanted: format!("a list of {}s", frame.cut.unit()),
            })?,
        };
        // The codec may differ: a sum need not use the one that Blender used.
        let parts = layout.parts.iter().map(|part| PartHeader { compression: String::new(), ..part.header.clone() });
        Ok(Self {
            parts: parts.collect(),
            views: layout.views.clone(),
            windows: ["dataWindow", "displayWindow"].map(|name| attributes.value(0, name).map(<[u8]>::to_vec)),
            info,
            plan,
        })
    }

    /// Checks that another part is of the same frame, as far as headers tell.
    fn check(&self, other: &Self, cut: Cut) -> Result<(), PartError> {
        let differs = |what: &str, found: &Option<String>, wanted: &Option<String>| {
            let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "nothing".into());
            Err(PartError::Says { what: what.into(), found: word(found), wanted: word(wanted) })
        };
        let (ours, theirs) = (&self.info, &other.info);
        if ours.build != theirs.build {
            return differs("Software", &theirs.build, &ours.build);
        }
        if ours.scene != theirs.scene {
            return differs("Scene", &theirs.scene, &ours.scene);
        }
        if ours.frame != theirs.frame {
            return differs("Frame", &theirs.frame, &ours.frame);
        }
        self.check_channels(other)?;
        let says = |what: &str, found: String, wanted: String| {
            if found == wanted { Ok(()) } else { Err(PartError::Says { what: what.into(), found, wanted }) }
        };
        says("multiView", other.views.join(", "), self.views.join(", "))?;
        if cut != Cut::Samples {
            // Each tile has its own size, which was checked, and all have the same samples.
            return says("cycles.*.samples", format!("{:?}", theirs.layers), format!("{:?}", ours.layers));
        }
        says("dataWindow", format!("{:?}", other.windows[0]), format!("{:?}", self.windows[0]))?;
        says("displayWindow", format!("{:?}", other.windows[1]), format!("{:?}", self.windows[1]))
    }

    fn check_channels(&self, other: &Self) -> Result<(), PartError> {
        if self.parts == other.parts {
            return Ok(());
        }
        let lacking = self.plan.channels.iter().find(|ours| !other.plan.channels.iter().any(|o| o.name == ours.name));
        if let Some(channel) = lacking {
            return Err(PartError::Lacks { channel: channel.name.clone() });
        }
        let place = |plan: &Plan, at: usize| {
            plan.channels.get(at).map(|channel| (channel.name.clone(), channel.file_part, channel.kind))
        };
        let differing = (0..other.plan.channels.len()).find(|at| place(&other.plan, *at) != place(&self.plan, *at));
        let channel = match differing {
            Some(at) => other.plan.channels[at].name.clone(),
            // The same channels, but the file's parts have other names.
            None => other.plan.channels[0].name.clone(),
        };
        Err(PartError::Differs { channel })
    }

    /// Checks the header's texts against the caller's expectation.
    fn check_words(&self, frame: &FrameSpec, coverage: &Coverage, is_render: bool) -> Result<(), PartError> {
        let says =
            |what: &str, found: String, wanted: String| Err(PartError::Says { what: what.into(), found, wanted });
        if let (Some(wanted), Some(found)) = (&frame.build, &self.info.build)
            && wanted != found
        {
            return says("Software", found.clone(), wanted.clone());
        }
        if let (Some(wanted), Some(found)) = (frame.frame, &self.info.frame)
            && found.parse() != Ok(wanted)
        {
            return says("Frame", found.clone(), wanted.to_string());
        }
        let words = |coverage: &Coverage| coverage.in_words(frame.cut.unit());
        match &self.info.coverage {
            Some(found) if found != coverage => says(frame.cut.attribute(), words(found), words(coverage)),
            None if !is_render => says(frame.cut.attribute(), "nothing".into(), words(coverage)),
            _ => Ok(()),
        }
    }

    /// Checks that Cycles rendered the part's number of samples.
    fn check_samples(&self, frame: &FrameSpec, coverage: &Coverage, weights: &[u32]) -> Result<(), PartError> {
        for ((layer, said), weight) in self.info.layers.iter().zip(weights) {
            let Some(said) = *said else { continue };
            let wanted = if frame.is_subset { frame.samples_of(layer) } else { *weight };
            let before_it_grew =
                frame.is_subset && frame.can_grow && said < wanted && coverage.count_below(said) == *weight;
            if before_it_grew {
                continue;
            }
            // Blender up to 4.x cannot render 0 samples, so it renders some and they are not used.
            if wanted != 0 && said != wanted {
                let (found, wanted) = (said.to_string(), wanted.to_string());
                return Err(PartError::Says { what: samples_attribute(layer), found, wanted });
            }
        }
        Ok(())
    }
}
