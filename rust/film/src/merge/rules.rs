//! The rule by which each channel of a film is merged; it follows from the channel's name. Both of
//! Blender's sets of names are here: up to 4.x (`DiffDir`, `IndexOB`) and from 5.0 on (`Diffuse
//! Direct`, `Object Index`). No pixels here.

use super::error::PartError;
use crate::layout::{Layout, PixelType};
use crate::names::{COMBINED, ChannelPath, paths};

/// Passes that are not averages: Cycles writes them with the frame's first sample; in later parts
/// they are empty.
const FIRST: [&str; 6] = ["Depth", "Position", "IndexOB", "IndexMA", "Object Index", "Material Index"];
/// Passes that measure effort, and are added up.
const TOTAL: [&str; 2] = ["Render Time", "Debug Render Time"];
/// Light passes, each with the colour pass of the surface that Cycles divides it by.
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
/// Pass with the fraction of a layer's samples that a pixel got: 1 unless sampling is adaptive.
pub(crate) const SAMPLE_COUNT: &str = "Debug Sample Count";
/// The picture before denoising; present if and only if Combined was denoised.
const NOISY: &str = "Noisy Image";
const CRYPTOMATTES: [&str; 3] = ["CryptoObject", "CryptoMaterial", "CryptoAsset"];

/// The rule of a channel. Numbers are indices into [`Plan::channels`] or [`Plan::cryptomattes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Copied from the part with the first sample.
    First,
    /// Added up.
    Total,
    /// The mean, weighted by samples, of this channel or of another that takes its place.
    Mean { of: usize },
    /// The mean, weighted by samples and by the colour that the light was divided by.
    Light { colour: usize },
    /// The fraction of the intended samples that was rendered.
    SampleCount,
    /// An object's id, as the bits of a float.
    Id { cryptomatte: usize, rank: usize },
    /// The fraction of the pixel that the object of this rank covers.
    Coverage { cryptomatte: usize, rank: usize },
}

/// A channel with its place and its rule.
pub(crate) struct PlannedChannel {
    /// Layer, pass, view and channel, for people.
    pub(crate) name: String,
    /// Index of the file's part that holds it.
    pub(crate) file_part: usize,
    /// Bytes per pixel of the channels before it in a line of that part.
    pub(crate) before: usize,
    pub(crate) kind: PixelType,
    pub(crate) rule: Rule,
    /// Index into [`Plan::layers`].
    pub(crate) layer: usize,
    /// Index of the channel with the layer's sample count in the same view, if there is one.
    pub(crate) count: Option<usize>,
}

/// A Cryptomatte (of objects, materials or assets) of one layer and view.
pub(crate) struct Cryptomatte {
    /// Indices of the channels of id and coverage, by rank.
    pub(crate) ranks: Vec<(usize, usize)>,
}

/// The rules for all channels of a film.
pub(crate) struct Plan {
    pub(crate) channels: Vec<PlannedChannel>,
    pub(crate) layers: Vec<String>,
    pub(crate) cryptomattes: Vec<Cryptomatte>,
}

impl Plan {
    /// Makes the plan for films of this layout. Fails with the pass that has no rule, or that lacks
    /// another pass which its rule needs.
    pub(crate) fn new(layout: &Layout, is_adaptive: bool) -> Result<Self, PartError> {
        let paths: Vec<ChannelPath> = paths(layout).collect();
        let mut plan = Self { channels: Vec::with_capacity(paths.len()), layers: Vec::new(), cryptomattes: Vec::new() };
        let mut matte_names: Vec<(&str, &str, Option<&str>)> = Vec::new();
        for ((file_part, before, kind), path) in places(layout).zip(&paths) {
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
                // Blender writes none, and their mean would have no meaning.
                _ if kind == PixelType::Uint => return no_rule("its samples are whole numbers"),
                pass if FIRST.contains(&pass) => Rule::First,
                pass if TOTAL.contains(&pass) => Rule::Total,
                SAMPLE_COUNT => Rule::SampleCount,
                // A denoised picture is not an average of others. The noisy one is, and denoising
                // follows the merge.
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
                        if kind != PixelType::Float {
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
            plan.channels.push(PlannedChannel { name, file_part, before, kind, rule, layer, count });
        }
        plan.find_ranks()?;
        Ok(plan)
    }

    /// Makes the plan for films that are copied unchanged. Only the picture itself must be finite:
    /// a pass of the artist's own may hold anything, in a frame that is rendered whole, too.
    pub(crate) fn as_it_is(layout: &Layout) -> Result<Self, PartError> {
        let mut plan = Self { channels: Vec::new(), layers: Vec::new(), cryptomattes: Vec::new() };
        for ((file_part, before, kind), path) in places(layout).zip(paths(layout)) {
            let no_rule = |why| Err(PartError::NoRule { pass: format!("{}.{}", path.layer, path.pass), why });
            if path.layer == "Composite" {
                return no_rule("it was composited");
            }
            if kind == PixelType::Uint {
                return no_rule("its samples are whole numbers");
            }
            let rule = if path.pass == COMBINED { Rule::Mean { of: plan.channels.len() } } else { Rule::First };
            let layer = index_of(&mut plan.layers, &path.layer);
            plan.channels.push(PlannedChannel {
                name: full_name(&path),
                file_part,
                before,
                kind,
                rule,
                layer,
                count: None,
            });
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
            // Exactly one id and one coverage for each rank.
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

    /// True if the file's part is needed from parts of the frame other than the first.
    pub(crate) fn needs_later(&self, file_part: usize) -> bool {
        self.channels.iter().any(|channel| channel.file_part == file_part && channel.rule != Rule::First)
    }
}

/// For each channel: the file's part, the bytes per pixel of the channels before it in a line, and
/// its type.
fn places(layout: &Layout) -> impl Iterator<Item = (usize, usize, PixelType)> {
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
