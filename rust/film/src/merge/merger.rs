//! The merge as a whole: collects parts that belong together and writes the film of all of them,
//! stripe by stripe and on several threads.

use super::beauty::Beauty;
use super::error::{MergeError, PartError};
use super::frame::{Cut, FrameSpec};
use super::part::{MAX_STRIPE_BYTES, Part, PartInfo, Shape, samples_attribute, stripe_bytes};
use super::span::Coverage;
use super::stripe::{MergeSetup, Scratch};
use super::write::{BlockPacker, Codec, Sink};
use crate::attributes::Attributes;
use crate::film::Film;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Cycles' own limit.
const MAX_SAMPLES: u32 = 1 << 24;
/// Limit of parts, because each is an open file; more parts are merged as sums of sums.
const MAX_PARTS: usize = 256;

/// Options for writing the merged film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Codec; `None` chooses the one of the part with the first sample.
    pub codec: Option<Codec>,
    /// Largest number of threads.
    pub threads: NonZero<usize>,
    /// True to return the beauty in memory, so that a preview needs no second reading.
    pub wants_beauty: bool,
}

impl Default for Output {
    /// The codec of the parts, every core, no beauty.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Self { codec: None, threads, wants_beauty: false }
    }
}

/// The result of a merge.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedFilm {
    /// Samples or lines that are in the film.
    pub coverage: Coverage,
    /// A film that holds only the [`Film::beauty`], if it was asked for.
    pub beauty: Option<Film>,
}

/// Collects the parts of one frame and merges them.
pub struct Merger {
    frame: FrameSpec,
    shape: Option<Shape>,
    parts: Vec<Part>,
    coverage: Coverage,
}

impl std::fmt::Debug for Merger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merger").field("frame", &self.frame).field("coverage", &self.coverage).finish_non_exhaustive()
    }
}

impl Merger {
    /// Starts without parts.
    ///
    /// # Errors
    /// [`MergeError::Impossible`] if the total is 0 or more than Cycles renders, or if a layer has
    /// more samples than the frame: in parts, Cycles then renders fewer of them than at once.
    pub fn new(frame: FrameSpec) -> Result<Self, MergeError> {
        let impossible = |why: String| Err(MergeError::Impossible(why));
        if !(1..=MAX_SAMPLES).contains(&frame.total) {
            return impossible(format!("a frame has 1 to {MAX_SAMPLES} samples, not {}", frame.total));
        }
        if let Some((layer, samples)) = frame.layers.iter().find(|(_, own)| !(1..=frame.total).contains(own)) {
            return impossible(format!(
                "the view layer \"{layer}\" has {samples} samples and the frame {}: it cannot be rendered in parts",
                frame.total
            ));
        }
        if frame.cut != Cut::Samples && frame.total != frame.picture.height {
            return impossible(format!("a frame of {} lines cannot be cut into {}", frame.picture.height, frame.total));
        }
        Ok(Self { frame, shape: None, parts: Vec::new(), coverage: Coverage::default() })
    }

    /// Adds a film that holds `coverage`: one that Blender rendered, or a sum. Reads its header and
    /// keeps the file open; its pixels are read when a film is written. A refused part changes
    /// nothing.
    ///
    /// # Errors
    /// [`MergeError::Part`] if the film is damaged, not of this frame, or covers what was added
    /// before; [`MergeError::Impossible`] beyond 256 parts.
    pub fn add(&mut self, path: &Path, coverage: impl Into<Coverage>) -> Result<PartInfo, MergeError> {
        let coverage = coverage.into();
        if self.parts.len() == MAX_PARTS {
            return Err(MergeError::Impossible(format!("more than {MAX_PARTS} parts are merged as sums of sums")));
        }
        let unit = self.frame.cut.unit();
        let blame = |reason| MergeError::Part { unit, part: coverage.clone(), reason };
        let total = self.frame.total;
        if coverage.is_empty() || coverage.end() > total.into() {
            return Err(blame(PartError::Beyond { unit, total }));
        }
        let joined = self.coverage.join(&coverage).map_err(|common| blame(PartError::Overlap { unit, common }))?;
        let (part, info) = Part::open(path, &self.frame, &coverage, &mut self.shape).map_err(blame)?;
        self.parts.push(part);
        self.coverage = joined;
        Ok(info)
    }

    /// Removes a part, such as one whose pixels are not finite. Returns false if there is no such
    /// part.
    pub fn forget(&mut self, part: &Coverage) -> bool {
        let before = self.parts.len();
        self.parts.retain(|found| found.coverage != *part);
        let rest = self.parts.iter().try_fold(Coverage::default(), |all, part| all.join(&part.coverage));
        self.coverage = rest.expect("the parts of a merger are disjoint");
        if self.parts.is_empty() {
            self.shape = None;
        }
        before != self.parts.len()
    }

    /// All samples or lines that were added.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Writes the frame's film, under a temporary name first. The caller syncs it.
    ///
    /// # Errors
    /// [`MergeError::Lacks`] if samples or lines are missing, [`MergeError::Part`] if the pixels of
    /// a part are damaged, not finite or do not fit its samples; [`MergeError::Write`],
    /// [`MergeError::Pack`].
    pub fn finish(&self, to: &Path, output: &Output) -> Result<MergedFilm, MergeError> {
        if self.missing().is_empty() { self.write(to, output, None) } else { Err(self.lacks()) }
    }

    /// Writes a film of the parts that were added; its header states their coverage. Such a sum is
    /// a part of the frame like any other, with [`Merger::coverage`], and may replace the file of
    /// one of them.
    ///
    /// # Errors
    /// As [`Merger::finish`]; [`MergeError::Lacks`] if there is no part at all.
    pub fn sum(&self, to: &Path, output: &Output) -> Result<MergedFilm, MergeError> {
        self.write(to, output, Some(self.coverage.to_text()))
    }

    fn missing(&self) -> Coverage {
        self.coverage.gaps(self.frame.total)
    }

    fn lacks(&self) -> MergeError {
        MergeError::Lacks { unit: self.frame.cut.unit(), missing: self.missing() }
    }

    /// `statement`: the text of a sum's header about its coverage.
    fn write(&self, to: &Path, output: &Output, statement: Option<String>) -> Result<MergedFilm, MergeError> {
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        parts.sort_by_key(|part| part.coverage.spans().first().map(|span| span.start));
        let (Some(shape), Some(first)) = (&self.shape, parts.first().copied()) else {
            return Err(self.lacks());
        };
        let codecs = first.layout.parts.iter().map(|part| output.codec.map_or(part.compression, Codec::compression));
        let setup = MergeSetup {
            plan: &shape.plan,
            cut: self.frame.cut,
            is_adaptive: self.frame.is_adaptive,
            codecs: codecs.collect(),
            width: first.layout.width,
            height: self.frame.picture.height as usize,
            parts,
        };
        let per_stripe = setup.stripe_lines();
        if stripe_bytes(&first.layout, per_stripe) > MAX_STRIPE_BYTES {
            return Err(MergeError::Impossible(
                "so many channels cannot be merged with codecs that pack so many lines".into(),
            ));
        }
        let sink = Sink::new(to, self.header(&setup, statement)?, output.codec, &setup)?;
        let beauty = output.wants_beauty.then(|| Beauty::new(&setup)).flatten();
        run(&setup, &sink, per_stripe, output.threads, beauty.as_ref());
        sink.finish(to)?;
        Ok(MergedFilm { coverage: self.coverage.clone(), beauty: beauty.map(Beauty::into_film) })
    }

    /// The first part's header, with the samples of all parts.
    fn header(&self, setup: &MergeSetup, statement: Option<String>) -> Result<Attributes, MergeError> {
        let first = setup.parts[0];
        let blame = |error| setup.blame(first, PartError::Film(error));
        let mut attributes = Attributes::read(&first.file, &first.layout).map_err(blame)?;
        attributes.set_text(self.frame.cut.attribute(), statement);
        if self.frame.cut != Cut::Samples {
            attributes.set_size(setup.width as u32, setup.height as u32);
            return Ok(attributes);
        }
        for (index, layer) in setup.plan.layers.iter().enumerate() {
            let name = samples_attribute(layer);
            if attributes.text(&name).is_none() {
                continue;
            }
            if !self.frame.is_subset {
                let all: u32 = setup.parts.iter().map(|part| part.weights[index]).sum();
                attributes.set(&name, all.to_string().as_bytes());
            } else if self.frame.can_grow {
                attributes.set(&name, self.frame.samples_of(layer).to_string().as_bytes());
            }
        }
        Ok(attributes)
    }
}

/// Merges all stripes; each thread takes the next one that is free.
fn run(setup: &MergeSetup, sink: &Sink, per_stripe: usize, threads: NonZero<usize>, beauty: Option<&Beauty>) {
    let stripes = setup.height.div_ceil(per_stripe);
    let next = AtomicUsize::new(0);
    let one = || {
        // Other threads wait for this thread's stripe; they must not do so after its panic.
        let _guard = Guard(sink);
        let mut scratch = Scratch::new(setup);
        let mut packer = BlockPacker::new(setup);
        while !sink.has_failed() {
            let stripe = next.fetch_add(1, Ordering::Relaxed);
            if stripe >= stripes {
                break;
            }
            let first = stripe * per_stripe;
            let lines = per_stripe.min(setup.height - first);
            let made = match setup.cut {
                Cut::Samples => setup.merge(&mut scratch, first, lines),
                Cut::Lines { .. } => setup.copy_tiles(first, lines),
            };
            let merged = made.and_then(|mut blocks| {
                beauty.into_iter().for_each(|beauty| beauty.keep(setup, &blocks));
                blocks.iter_mut().try_for_each(|block| packer.pack(setup, block)).map(|()| blocks)
            });
            match merged {
                Ok(blocks) => sink.put(stripe, &blocks, setup),
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

/// Ends the merge if a thread panics.
struct Guard<'a>(&'a Sink);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(MergeError::Pack("a thread ended".into()));
        }
    }
}
