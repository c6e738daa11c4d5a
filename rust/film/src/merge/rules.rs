//! How each channel of a film is merged; all of it follows from names. Both of Blender's sets of names are here: up to
//! 4.x (`DiffDir`, `IndexOB`) and from 5.0 on (`Diffuse Direct`, `Object Index`). No pixels here.

use super::error::PartError;
use crate::header::{Layout, SampleKind};
use crate::names::{COMBINED, ChannelPath, paths};

/// Passes that are no averages: Cycles writes them with the frame's first sample, and later parts hold nothing in them.
const FIRST: [&str; 6] = ["Depth", "Position", "IndexOB", "IndexMA", "Object Index", "Material Index"];
/// Passes that tell of work.
const TOTAL: [&str; 2] = ["Render Time", "Debug Render Time"];
/// Light, which Cycles divides by the colour of the surface that it fell on.
const LIGHT: [(&str, &str); 12] = [
    ("DiffDir", "DiffCol"),
    ("DiffInd", "DiffCol"),
    ("GlossDir", "GlossCol"),
    ("GlossInd", "GlossCol"),
    ("TransDir", "TransCol"),
    ("TransInd", "TransCol"),
    ("Diffuse Direct", "Diffuse Color"),
    ("Diffuse Indirect", "Diffuse Color"),
    ("Glossy Direct", "Glossy Color"),
    ("Glossy Indirect", "Glossy Color"),
    ("Transmission Direct", "Transmission Color"),
    ("Transmission Indirect", "Transmission Color"),
];
/// What part of a layer's samples a pixel got: all of them, but for adaptive sampling.
pub(crate) const SAMPLE_COUNT: &str = "Debug Sample Count";
/// The picture before denoising; it is there if and only if Combined was denoised.
const NOISY: &str = "Noisy Image";
const CRYPTOMATTES: [&str; 3] = ["CryptoObject", "CryptoMaterial", "CryptoAsset"];

/// What is done with a channel. Numbers are places in [`Plan::channels`] or [`Plan::cryptomattes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// As it is in the part with the first sample.
    First,
    /// Added up.
    Total,
    /// The mean by samples, of this channel or of another that takes its place.
    Mean { of: usize },
    /// The mean by samples, and by a colour which it was divided by.
    Light { colour: usize },
    /// What part of the samples was rendered, of those that should have been.
    SampleCount,
    /// An object's number, in bits.
    Id { cryptomatte: usize, rank: usize },
    /// How much of the pixel the object of this rank covers.
    Coverage { cryptomatte: usize, rank: usize },
}

pub(crate) struct PlannedChannel {
    /// For people: layer, pass, view and channel.
    pub(crate) name: String,
    /// The file's part.
    pub(crate) part: usize,
    /// Bytes in a line of the part before it, for each pixel.
    pub(crate) before: usize,
    pub(crate) kind: SampleKind,
    pub(crate) rule: Rule,
    /// In [`Plan::layers`].
    pub(crate) layer: usize,
    /// The layer's sample count in the same view, if it is rendered.
    pub(crate) count: Option<usize>,
}

/// The objects, materials or assets in the pixels of one layer and view.
pub(crate) struct Cryptomatte {
    /// Ids and coverages by rank.
    pub(crate) ranks: Vec<(usize, usize)>,
}

/// What is done with all of a film.
pub(crate) struct Plan {
    pub(crate) channels: Vec<PlannedChannel>,
    pub(crate) layers: Vec<String>,
    pub(crate) cryptomattes: Vec<Cryptomatte>,
}

impl Plan {
    /// A plan for films of this layout; says which pass has no rule, or lacks another that its rule asks for.
    pub(crate) fn new(layout: &Layout, is_adaptive: bool) -> Result<Self, PartError> {
        let paths: Vec<ChannelPath> = paths(layout).collect();
        let mut plan = Self { channels: Vec::with_capacity(paths.len()), layers: Vec::new(), cryptomattes: Vec::new() };
        let mut matte_names: Vec<(&str, &str, Option<&str>)> = Vec::new();
        for ((part, before, kind), path) in places(layout).zip(&paths) {
            let layer = index_of(&mut plan.layers, &path.layer);
            let sibling = |pass: &str, channel: &str| {
                paths.iter().position(|other| {
                    (&other.layer, &other.view) == (&path.layer, &path.view)
                        && (other.pass.as_str(), other.channel.as_str()) == (pass, channel)
                })
            };
            let here = plan.channels.len();
            let count = sibling(SAMPLE_COUNT, "X");
            if is_adaptive && count.is_none() {
                return Err(PartError::Lacks { channel: format!("{}.{SAMPLE_COUNT}.X", path.layer) });
            }
            let no_rule = |why| Err(PartError::NoRule { pass: format!("{}.{}", path.layer, path.pass), why });
            let light = LIGHT.iter().find(|(light, _)| *light == path.pass);
            let rule = match path.pass.as_str() {
                _ if path.layer == "Composite" => return no_rule("it was composited"),
                "Shadow Catcher" | "Noisy Shadow Catcher" => return no_rule("it is not an average of samples"),
                // Blender does not write any. What would their mean mean?
                _ if kind == SampleKind::Uint => return no_rule("its samples are whole numbers"),
                pass if FIRST.contains(&pass) => Rule::First,
                pass if TOTAL.contains(&pass) => Rule::Total,
                SAMPLE_COUNT => Rule::SampleCount,
                // A denoised picture is no average of others. The noisy ones are, and denoising follows the merge.
                COMBINED => Rule::Mean { of: sibling(NOISY, &path.channel).unwrap_or(here) },
                pass => match (light, cryptomatte(pass)) {
                    (Some((_, colour)), _) => match sibling(colour, &path.channel) {
                        Some(colour) => Rule::Light { colour },
                        None => {
                            let channel = format!("{}.{colour}.{}", path.layer, path.channel);
                            return Err(PartError::Lacks { channel });
                        }
                    },
                    (None, Some((name, pair))) => {
                        if kind != SampleKind::Float {
                            return no_rule("its ids are not stored in 32 bits");
                        }
                        let key = (path.layer.as_str(), name, path.view.as_deref());
                        let cryptomatte = match matte_names.iter().position(|found| *found == key) {
                            Some(found) => found,
                            None => {
                                matte_names.push(key);
                                plan.cryptomattes.push(Cryptomatte { ranks: Vec::new() });
                                matte_names.len() - 1
                            }
                        };
                        match path.channel.to_ascii_lowercase().as_str() {
                            "r" => Rule::Id { cryptomatte, rank: pair * 2 },
                            "g" => Rule::Coverage { cryptomatte, rank: pair * 2 },
                            "b" => Rule::Id { cryptomatte, rank: pair * 2 + 1 },
                            "a" => Rule::Coverage { cryptomatte, rank: pair * 2 + 1 },
                            _ => return no_rule("it is a Cryptomatte with strange channels"),
                        }
                    }
                    (None, None) => Rule::Mean { of: here },
                },
            };
            let name = full_name(path);
            plan.channels.push(PlannedChannel { name, part, before, kind, rule, layer, count });
        }
        plan.find_ranks()?;
        Ok(plan)
    }

    /// A plan for films that are taken over as they are. Only of the picture itself it is known that its samples must be
    /// numbers: in a pass of the artist's own anything may stand, in a frame that is rendered whole, too.
    pub(crate) fn as_it_is(layout: &Layout) -> Result<Self, PartError> {
        let mut plan = Self { channels: Vec::new(), layers: Vec::new(), cryptomattes: Vec::new() };
        for ((part, before, kind), path) in places(layout).zip(paths(layout)) {
            let no_rule = |why| Err(PartError::NoRule { pass: format!("{}.{}", path.layer, path.pass), why });
            if path.layer == "Composite" {
                return no_rule("it was composited");
            }
            if kind == SampleKind::Uint {
                return no_rule("its samples are whole numbers");
            }
            let rule = if path.pass == COMBINED { Rule::Mean { of: plan.channels.len() } } else { Rule::First };
            let layer = index_of(&mut plan.layers, &path.layer);
            plan.channels.push(PlannedChannel { name: full_name(&path), part, before, kind, rule, layer, count: None });
        }
        Ok(plan)
    }

    fn find_ranks(&mut self) -> Result<(), PartError> {
        for (index, matte) in self.cryptomattes.iter_mut().enumerate() {
            let place = |wanted: Rule| self.channels.iter().position(|channel| channel.rule == wanted);
            for rank in 0.. {
                let id = place(Rule::Id { cryptomatte: index, rank });
                let coverage = place(Rule::Coverage { cryptomatte: index, rank });
                let (Some(id), Some(coverage)) = (id, coverage) else { break };
                matte.ranks.push((id, coverage));
            }
            // One id and one coverage for each rank, and none beside them.
            let all = self.channels.iter().filter(|channel| match channel.rule {
                Rule::Id { cryptomatte, .. } | Rule::Coverage { cryptomatte, .. } => cryptomatte == index,
                _ => false,
            });
            let mut all = all.peekable();
            let pass = all.peek().map_or_else(String::new, |channel| channel.name.clone());
            if all.count() != matte.ranks.len() * 2 {
                return Err(PartError::NoRule { pass, why: "its Cryptomatte lacks a rank" });
            }
        }
        Ok(())
    }

    /// Whether anything of a file's part is wanted from parts of the frame that are not the first.
    pub(crate) fn needs_later(&self, part: usize) -> bool {
        self.channels.iter().any(|channel| channel.part == part && channel.rule != Rule::First)
    }
}

/// Of each channel: the file's part, what is before it in a line of that, in bytes for each pixel, and its kind.
fn places(layout: &Layout) -> impl Iterator<Item = (usize, usize, SampleKind)> {
    layout.parts.iter().enumerate().flat_map(|(part, found)| {
        found.header.channels.iter().scan(0, move |before, channel| {
            Some((part, std::mem::replace(before, *before + channel.kind.bytes()), channel.kind))
        })
    })
}

fn index_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|found| found == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// `CryptoObject01` is the second pair of ranks of `CryptoObject`.
fn cryptomatte(pass: &str) -> Option<(&str, usize)> {
    let (name, pair) = pass.split_at_checked(pass.len().checked_sub(2)?)?;
    let is_number = pair.bytes().all(|byte| byte.is_ascii_digit());
    (CRYPTOMATTES.contains(&name) && is_number).then(|| pair.parse().ok().map(|pair| (name, pair)))?
}

fn full_name(path: &ChannelPath) -> String {
    let view = path.view.as_deref();
    let words = [Some(path.layer.as_str()), Some(&path.pass), view, Some(&path.channel)];
    words.into_iter().flatten().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(".")
}
