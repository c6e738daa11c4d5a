//! The film of a frame from parts of its samples, each rendered by itself with another offset: what Cycles would have
//! given in one go, to float rounding. Parts are multilayer films as Blender writes them; the merged film has the header
//! of the part with the lowest offset.
//!
//! ```text
//! parts: 0+16  16+8  24+40 ──> Merger ──finish──> the frame's film      (all samples, no less)
//!              16+8  24+40 ──> Merger ───sum────> a film of 16+48       (any samples; a part like any other)
//! ```
//!
//! A frame may also be cut into tiles as wide as the picture ([`Cut::Lines`]): then its lines are counted where samples are
//! counted else, a part has all that Cycles samples in some lines, and the film's lines are taken over as they are.
//!
//! [`Merger::add`] reads headers only; pixels are read once, when the film is written, a few lines of one part at a time
//! and thread, so memory depends on width and channels and on nothing else. Nothing is kept but files: who merges parts as
//! they come in writes a sum and adds the next part to that. A failed merge leaves no file and spoils no other.
//!
//! What lives here: rules by pass (`rules.rs`), checks of parts (`part.rs`), the arithmetic (`stripe.rs`,
//! `cryptomatte.rs`), tiles (`tiles.rs`), the file (`write.rs`), the picture for a preview (`beauty.rs`). What does not: how a frame is cut, and denoising, which comes after the merge.

pub(crate) mod attributes;
mod beauty;
mod cryptomatte;
mod error;
mod part;
mod rules;
mod share;
mod stripe;
mod tiles;
mod write;

pub use error::{MergeError, PartError};
pub use part::PartInfo;
pub use share::{Coverage, NotShares, Share};
pub use write::Codec;

use crate::film::Film;
use attributes::Attributes;
use beauty::Beauty;
use part::{Part, Shape, samples_attribute};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use stripe::{Desk, Work};
use write::{Press, Sink};

/// Cycles' own limit.
const MAX_SAMPLES: u32 = 1 << 24;
/// Each is an open file; more parts are merged as sums of sums.
const MAX_PARTS: usize = 256;
/// Lines that a thread merges at a time, unless a codec packs more of them together.
const STRIPE_LINES: usize = 16;

/// Unpacked pixels of a part that a thread holds at a time; its sums take twice as much. An 8K frame with fifty channels
/// has 26 MB of them, 420 MB if packed as DWAB.
const MAX_STRIPE_BYTES: u64 = 1 << 30;

/// What a frame was cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Each part has all pixels, and some of the samples of each.
    Samples,
    /// Each part has all samples of some lines, and of at most so many lines more on either side, where the picture goes on.
    /// Its file has these lines and no others, or, if it is a sum, all of the picture's.
    Lines {
        /// Lines that are not its own.
        overlap: u32,
    },
}

impl Cut {
    /// The attribute in which a sum says what it has.
    fn attribute(self) -> &'static str {
        match self {
            Self::Samples => attributes::SAMPLES,
            Self::Lines { .. } => attributes::LINES,
        }
    }
}

/// What the parts of a frame should make together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The frame's size.
    pub picture: crate::Expect,
    /// What is counted.
    pub cut: Cut,
    /// Samples of the whole frame.
    pub samples: u32,
    /// Samples of the view layers that override the scene's, at most as many. Of each part, they have those below this
    /// number. (Blender up to 4.x does so only if the override is set anew for each part.)
    pub layers: BTreeMap<String, u32>,
    /// Whether Cycles knew that it rendered a part (`use_sample_subset`, from 5.0 on). Its films then say how many samples the
    /// whole frame has, and else how many the part has.
    pub is_subset: bool,
    /// Whether a sample is the same however many the frame has. Parts may then say that it has fewer: they were rendered
    /// before it was given more.
    pub can_grow: bool,
    /// Whether the pass Debug Sample Count, which must be there then, says how many samples each pixel got.
    pub is_adaptive: bool,
    /// The frame's number, if it is to be checked.
    pub frame: Option<i32>,
    /// Such as `Blender 5.0.1`, if it is to be checked. Files of Blender before 5.0 do not say it.
    pub build: Option<String>,
}

impl Expect {
    /// A frame without adaptive sampling or layers of their own samples, its parts rendered as before 5.0.
    pub fn new(picture: crate::Expect, samples: u32) -> Self {
        Self {
            picture,
            cut: Cut::Samples,
            samples,
            layers: BTreeMap::new(),
            is_subset: false,
            can_grow: false,
            is_adaptive: false,
            frame: None,
            build: None,
        }
    }

    /// A frame that is cut into tiles, each with so many lines around its own.
    pub fn tiles(picture: crate::Expect, overlap: u32) -> Self {
        let lines = picture.height;
        Self { cut: Cut::Lines { overlap }, ..Self::new(picture, lines) }
    }

    /// The lines in the file of a tile that Blender rendered.
    fn tile(&self, coverage: &Coverage) -> Option<Range<usize>> {
        let Cut::Lines { overlap } = self.cut else { return None };
        let [share] = coverage.shares() else { return None };
        let end = coverage.end().saturating_add(overlap.into()).min(self.picture.height.into());
        Some(share.offset.saturating_sub(overlap) as usize..end as usize)
    }

    fn samples_of(&self, layer: &str) -> u32 {
        self.layers.get(layer).copied().unwrap_or(self.samples)
    }
}

/// How the merged film is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// None for that of the part with the lowest offset.
    pub codec: Option<Codec>,
    /// At most so many at a time.
    pub threads: NonZero<usize>,
    /// Whether the picture is wanted in memory, too: a preview then needs no second reading.
    pub wants_beauty: bool,
}

impl Default for Output {
    /// As the parts are packed, on every core.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Self { codec: None, threads, wants_beauty: false }
    }
}

/// What was merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The samples that are in the film.
    pub coverage: Coverage,
    /// A film of nothing but its [`Film::beauty`], if it was wanted.
    pub beauty: Option<Film>,
}

/// Parts of one frame, to be merged.
pub struct Merger {
    expect: Expect,
    shape: Option<Shape>,
    parts: Vec<Part>,
    coverage: Coverage,
}

impl std::fmt::Debug for Merger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merger").field("expect", &self.expect).field("coverage", &self.coverage).finish_non_exhaustive()
    }
}

impl Merger {
    /// For a frame of which no part is there yet.
    ///
    /// # Errors
    /// [`MergeError::Impossible`] if the samples are none or more than Cycles renders, or a layer's more than the frame's:
    /// Cycles then renders fewer in parts than in one go.
    pub fn new(expect: Expect) -> Result<Self, MergeError> {
        let impossible = |why: String| Err(MergeError::Impossible(why));
        if !(1..=MAX_SAMPLES).contains(&expect.samples) {
            return impossible(format!("a frame has 1 to {MAX_SAMPLES} samples, not {}", expect.samples));
        }
        if let Some((layer, samples)) = expect.layers.iter().find(|(_, own)| !(1..=expect.samples).contains(own)) {
            return impossible(format!(
                "the view layer \"{layer}\" has {samples} samples and the frame {}: it cannot be rendered in parts",
                expect.samples
            ));
        }
        if expect.cut != Cut::Samples && expect.samples != expect.picture.height {
            return impossible(format!(
                "a frame of {} lines cannot be cut into {}",
                expect.picture.height, expect.samples
            ));
        }
        Ok(Self { expect, shape: None, parts: Vec::new(), coverage: Coverage::default() })
    }

    /// Adds a film of these samples: one that Blender rendered, or a sum. Reads its header and keeps the file open; its
    /// pixels are looked at when a film is written. A part that is refused leaves everything as it was.
    ///
    /// # Errors
    /// [`MergeError::Part`] if the film is damaged, not of this frame, or has samples that were added before;
    /// [`MergeError::Impossible`] beyond 256 parts.
    pub fn add(&mut self, path: &Path, samples: impl Into<Coverage>) -> Result<PartInfo, MergeError> {
        let coverage = samples.into();
        if self.parts.len() == MAX_PARTS {
            return Err(MergeError::Impossible(format!("more than {MAX_PARTS} parts are merged as sums of sums")));
        }
        let blame = |reason| MergeError::Part { part: coverage.clone(), reason };
        let total = self.expect.samples;
        if coverage.is_empty() || coverage.end() > total.into() {
            return Err(blame(PartError::Beyond { total }));
        }
        let joined = self.coverage.join(&coverage).map_err(|samples| blame(PartError::Overlap { samples }))?;
        let (part, info) = Part::open(path, &self.expect, &coverage, &mut self.shape).map_err(blame)?;
        self.parts.push(part);
        self.coverage = joined;
        Ok(info)
    }

    /// Takes a part back, such as one whose pixels are not numbers; whether it was there.
    pub fn forget(&mut self, part: &Coverage) -> bool {
        let before = self.parts.len();
        self.parts.retain(|found| found.coverage != *part);
        let rest = self.parts.iter().try_fold(Coverage::default(), |all, part| all.join(&part.coverage));
        self.coverage = rest.expect("parts of a merger are apart");
        if self.parts.is_empty() {
            self.shape = None;
        }
        before != self.parts.len()
    }

    /// All samples that were added.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Writes the frame's film, under another name first; syncing it is the caller's.
    ///
    /// # Errors
    /// [`MergeError::Lacks`] if samples are missing, [`MergeError::Part`] if the pixels of a part are damaged or no
    /// numbers, or do not fit its samples; [`MergeError::Write`], [`MergeError::Pack`].
    pub fn finish(&self, to: &Path, output: &Output) -> Result<Merged, MergeError> {
        let gaps = self.coverage.gaps(self.expect.samples);
        if gaps.is_empty() { self.write(to, output, None) } else { Err(MergeError::Lacks(gaps)) }
    }

    /// Writes a film of the samples that were added, in which it says so. It is a part of the frame as those were, its
    /// samples being [`Merger::coverage`], and may lie where one of them does.
    ///
    /// # Errors
    /// As [`Merger::finish`]; [`MergeError::Lacks`] if there is no part at all.
    pub fn sum(&self, to: &Path, output: &Output) -> Result<Merged, MergeError> {
        self.write(to, output, Some(self.coverage.to_text()))
    }

    fn write(&self, to: &Path, output: &Output, says: Option<String>) -> Result<Merged, MergeError> {
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        parts.sort_by_key(|part| part.coverage.shares().first().map(|share| share.offset));
        let (Some(shape), Some(first)) = (&self.shape, parts.first().copied()) else {
            return Err(MergeError::Lacks(self.coverage.gaps(self.expect.samples)));
        };
        let codecs = first.layout.parts.iter().map(|part| output.codec.map_or(part.compression, Codec::compression));
        let work = Work {
            plan: &shape.plan,
            cut: self.expect.cut,
            is_adaptive: self.expect.is_adaptive,
            codecs: codecs.collect(),
            width: first.layout.width,
            height: self.expect.picture.height as usize,
            parts,
        };
        let per_stripe = work.stripe_lines();
        if part::stripe_bytes(&first.layout, per_stripe) > MAX_STRIPE_BYTES {
            return Err(MergeError::Impossible(
                "so many channels cannot be merged with codecs that pack so many lines".into(),
            ));
        }
        let sink = Sink::new(to, self.header(&work, says)?, output.codec, &work)?;
        let beauty = output.wants_beauty.then(|| Beauty::new(&work)).flatten();
        run(&work, &sink, per_stripe, output.threads, beauty.as_ref());
        sink.finish(to)?;
        Ok(Merged { coverage: self.coverage.clone(), beauty: beauty.map(Beauty::into_film) })
    }

    /// The first part's, with the samples of all.
    fn header(&self, work: &Work, says: Option<String>) -> Result<Attributes, MergeError> {
        let first = work.parts[0];
        let blame = |error| MergeError::Part { part: first.coverage.clone(), reason: PartError::Film(error) };
        let mut attributes = Attributes::read(&first.file, &first.layout).map_err(blame)?;
        attributes.set_text(self.expect.cut.attribute(), says);
        if self.expect.cut != Cut::Samples {
            attributes.set_size(work.width as u32, work.height as u32);
            return Ok(attributes);
        }
        for (index, layer) in work.plan.layers.iter().enumerate() {
            let name = samples_attribute(layer);
            if attributes.text(&name).is_none() {
                continue;
            }
            if !self.expect.is_subset {
                let all: u32 = work.parts.iter().map(|part| part.weights[index]).sum();
                attributes.set(&name, all.to_string().as_bytes());
            } else if self.expect.can_grow {
                attributes.set(&name, self.expect.samples_of(layer).to_string().as_bytes());
            }
        }
        Ok(attributes)
    }
}

/// Merges all stripes, each thread the next one that is free.
fn run(work: &Work, sink: &Sink, per_stripe: usize, threads: NonZero<usize>, beauty: Option<&Beauty>) {
    let stripes = work.height.div_ceil(per_stripe);
    let next = AtomicUsize::new(0);
    let one = || {
        // Others wait for this thread's stripe, and must not do so for ever.
        let _guard = Guard(sink);
        let mut desk = Desk::new(work);
        let mut press = Press::new(work);
        while !sink.has_failed() {
            let stripe = next.fetch_add(1, Ordering::Relaxed);
            if stripe >= stripes {
                break;
            }
            let first = stripe * per_stripe;
            let lines = per_stripe.min(work.height - first);
            let made = match work.cut {
                Cut::Samples => work.merge(&mut desk, first, lines),
                Cut::Lines { .. } => work.lay(first, lines),
            };
            let merged = made.and_then(|mut blocks| {
                beauty.into_iter().for_each(|beauty| beauty.keep(work, &blocks));
                blocks.iter_mut().try_for_each(|block| press.pack(work, block)).map(|()| blocks)
            });
            match merged {
                Ok(blocks) => sink.put(stripe, &blocks, work),
                Err(error) => sink.fail(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.get().min(stripes) {
            scope.spawn(one);
        }
        one();
    });
}

struct Guard<'a>(&'a Sink);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(MergeError::Pack("a thread ended".into()));
        }
    }
}
