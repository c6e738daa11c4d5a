//! A frame as Cycles would render it if every sample of every pixel were known: makes films of any
//! of its samples, in both of Blender's forms, and reads their contents by name.

use crate::make::{EXPECT, HEIGHT, OnDisk, WIDTH, file, on_disk, text};
use exr::prelude::*;
use netrender_film::merge::{Coverage, FrameSpec, Span};
use netrender_film::{Film, read};
use std::collections::BTreeMap;
use std::ops::Range;

/// The two forms in which Blender writes the same passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// One part, short names, no build, the number of the part's samples.
    Three,
    /// One part for each pass and view, long names, the build, the number of the whole frame's
    /// samples.
    Five,
}

#[derive(Clone, Debug)]
pub struct Frame {
    pub form: Form,
    pub samples: u32,
    /// Number of samples of the view layer Back.
    pub back: u32,
    pub views: Vec<&'static str>,
    pub is_adaptive: bool,
    pub compression: Compression,
    /// Changes the planes before they are encoded.
    pub spoil: Option<fn(&mut Vec<Plane>)>,
    pub says: BTreeMap<&'static str, &'static str>,
}

pub struct Plane {
    pub layer: &'static str,
    pub pass: String,
    pub view: Option<&'static str>,
    pub channel: &'static str,
    pub samples: FlatSamples,
}

/// Name, view and channels.
type FilePart<'a> = (String, Option<&'a str>, Vec<AnyChannel<FlatSamples>>);

pub const LAYERS: [&str; 2] = ["View.Слой ✨", "Back"];
/// Kinds of surfaces that a pixel's samples hit.
const IDS: [u32; 4] = [0xa8fc_e865, 0x4048_f5c3, 0x0000_0001, 0x7f7f_0001];

impl Frame {
    pub fn new(form: Form, samples: u32) -> Self {
        Self {
            form,
            samples,
            back: samples,
            views: Vec::new(),
            is_adaptive: false,
            compression: Compression::ZIP16,
            spoil: None,
            says: BTreeMap::new(),
        }
    }

    pub fn expect(&self) -> FrameSpec {
        let mut expect = FrameSpec::new(EXPECT, self.samples);
        if self.back != self.samples {
            expect.layers.insert("Back".into(), self.back);
        }
        expect.is_adaptive = self.is_adaptive;
        expect.is_subset = self.form == Form::Five;
        expect
    }

    pub fn whole(&self) -> OnDisk {
        self.part(Span { start: 0, count: self.samples })
    }

    /// A render of these samples.
    pub fn part(&self, span: Span) -> OnDisk {
        self.film_of(&[span])
    }

    /// One render of exactly these samples, adaptive sampling included.
    pub fn film_of(&self, spans: &[Span]) -> OnDisk {
        on_disk(&self.encode(self.planes(spans), spans, 0..HEIGHT))
    }

    /// A render of all samples of these lines.
    pub fn tile(&self, lines: Range<usize>) -> OnDisk {
        let all = [Span { start: 0, count: self.samples }];
        on_disk(&self.encode(self.planes(&all), &all, lines))
    }

    fn planes(&self, spans: &[Span]) -> Vec<Plane> {
        let mut planes = Vec::new();
        let views = if self.views.is_empty() { vec![None] } else { self.views.iter().copied().map(Some).collect() };
        for (index, layer) in LAYERS.into_iter().enumerate() {
            let limit = if index == 0 { self.samples } else { self.back };
            for view in &views {
                self.render(layer, *view, limit, spans, &mut planes);
            }
        }
        if let Some(spoil) = self.spoil {
            spoil(&mut planes);
        }
        planes
    }

    fn render(
        &self,
        layer: &'static str,
        view: Option<&'static str>,
        limit: u32,
        spans: &[Span],
        out: &mut Vec<Plane>,
    ) {
        let salt = u64::from(layer == "Back") * 1000 + view.map_or(0, |view| view.len() as u64 * 100);
        let of = |name: u64, pixel: usize, sample: u32| {
            0.5 + 3.5 * noise(name + salt, pixel as u64, u64::from(sample)) // never 0
        };
        let asked: u32 = spans.iter().map(|span| below(*span, limit)).sum();
        // Samples taken, by pixel.
        let taken = |pixel: usize| -> Vec<u32> {
            let mut taken = Vec::new();
            for span in spans {
                let samples = below(*span, limit);
                // In a part, the pass holds the fraction of the part's samples that a pixel got.
                let rendered = match self.is_adaptive {
                    true => samples.min(1 + (pixel as u32 * 7 + span.start) % samples.max(1)),
                    false => samples,
                };
                taken.extend(span.start..span.start + rendered);
            }
            taken
        };
        let pixels: Vec<Vec<u32>> = (0..WIDTH * HEIGHT).map(taken).collect();
        let mean = |value: &dyn Fn(usize, u32) -> f64| -> Vec<f32> {
            let of_pixel = |(pixel, taken): (usize, &Vec<u32>)| {
                let sum: f64 = taken.iter().map(|sample| value(pixel, *sample)).sum();
                // The contents of a layer without samples are undefined.
                if taken.is_empty() { f32::NAN } else { (sum / taken.len() as f64) as f32 }
            };
            pixels.iter().enumerate().map(of_pixel).collect()
        };
        let starts = spans.iter().any(|span| span.start == 0);
        let first = |name: u64| -> Vec<f32> {
            (0..WIDTH * HEIGHT).map(|pixel| if starts { of(name, pixel, 0) as f32 } else { 1e10 }).collect()
        };
        let five = self.form == Form::Five;
        let mut push = |pass: &str, channel: &'static str, samples: Vec<f32>| {
            let samples = FlatSamples::F32(samples);
            out.push(Plane { layer, pass: pass.into(), view, channel, samples });
        };
        for (name, channel) in ["R", "G", "B", "A"].into_iter().enumerate() {
            push("Combined", channel, mean(&|pixel, sample| of(name as u64, pixel, sample)));
            push("Combined_key", channel, mean(&|pixel, sample| of(name as u64 + 60, pixel, sample)));
        }
        push("Depth", "Z", first(10));
        push(if five { "Object Index" } else { "IndexOB" }, "X", first(11));
        push("Mist", "Z", mean(&|pixel, sample| of(12, pixel, sample)));
        for (name, channel) in ["R", "G", "B"].into_iter().enumerate() {
            let name = name as u64;
            // A surface is black in a third of the samples of some pixels, and in all of those of
            // some others.
            let colour = |pixel: usize, sample: u32| match pixel % 5 {
                0 => 0.0,
                1 if sample.is_multiple_of(3) => 0.0,
                _ => of(20 + name, pixel, sample),
            };
            let light = |pixel: usize, sample: u32| colour(pixel, sample) * of(30 + name, pixel, sample);
            let light: Vec<f32> = mean(&light)
                .iter()
                .zip(mean(&colour))
                .map(|(light, colour)| if colour == 0.0 { 0.0 } else { light / colour })
                .collect();
            push(if five { "Glossy Direct" } else { "GlossDir" }, channel, light);
            push(if five { "Glossy Color" } else { "GlossCol" }, channel, mean(&colour));
            push("Denoising Albedo", channel, mean(&|pixel, sample| of(40 + name, pixel, sample)));
        }
        let count =
            pixels.iter().map(|taken| if asked == 0 { 0.0 } else { taken.len() as f32 / asked as f32 }).collect();
        push("Debug Sample Count", "X", count);
        push("Render Time", "X", pixels.iter().map(|taken| taken.len() as f32 * 0.25).collect());
        let mut ranks = vec![vec![0.0_f32; WIDTH * HEIGHT]; 8];
        for (pixel, taken) in pixels.iter().enumerate() {
            for (rank, (id, coverage)) in ranked(pixel, taken).into_iter().enumerate() {
                ranks[rank * 2][pixel] = f32::from_bits(id);
                ranks[rank * 2 + 1][pixel] = coverage;
            }
        }
        for (index, samples) in ranks.into_iter().enumerate() {
            push(&format!("CryptoObject{:02}", index / 4), ["r", "g", "b", "a"][index % 4], samples);
        }
    }

    fn encode(&self, planes: Vec<Plane>, spans: &[Span], lines: Range<usize>) -> Vec<u8> {
        let encoding =
            Encoding { compression: self.compression, blocks: Blocks::ScanLines, line_order: LineOrder::Increasing };
        let mut parts: Vec<FilePart> = Vec::new();
        for plane in planes {
            let pass = format!("{}.{}", plane.layer, plane.pass);
            let (part, view) = match self.form {
                Form::Three => (String::new(), None),
                Form::Five => (plane.view.map_or(pass.clone(), |view| format!("{pass}-{view}")), plane.view),
            };
            let name = match (self.form, plane.view) {
                (Form::Three, Some(view)) => format!("{pass}.{view}.{}", plane.channel),
                _ => format!("{pass}.{}", plane.channel),
            };
            if parts.last().is_none_or(|(last, ..)| *last != part) && !parts.iter().any(|(name, ..)| *name == part) {
                parts.push((part.clone(), view, Vec::new()));
            }
            let (_, _, channels) = parts.iter_mut().find(|(name, ..)| *name == part).unwrap();
            let pixels = lines.start * WIDTH..lines.end * WIDTH;
            let samples = match plane.samples {
                FlatSamples::F16(samples) => FlatSamples::F16(samples[pixels].to_vec()),
                FlatSamples::F32(samples) => FlatSamples::F32(samples[pixels].to_vec()),
                FlatSamples::U32(samples) => FlatSamples::U32(samples[pixels].to_vec()),
            };
            channels.push(AnyChannel::new(text(&name), samples));
        }
        let mut is_first = true;
        let layers = parts.into_iter().map(|(name, view, channels)| {
            let mut attributes = LayerAttributes::named(text(&name));
            attributes.view_name = view.map(Text::from);
            if is_first {
                self.say(&mut attributes, spans);
                is_first = false;
            }
            Layer::new((WIDTH, lines.len()), attributes, encoding, AnyChannels::sort(channels.into()))
        });
        file(layers.collect())
    }

    fn say(&self, attributes: &mut LayerAttributes, spans: &[Span]) {
        let mut words: BTreeMap<String, String> = BTreeMap::new();
        for (layer, limit) in LAYERS.into_iter().zip([self.samples, self.back]) {
            let rendered: u32 = spans.iter().map(|span| below(*span, limit)).sum();
            let said = if self.form == Form::Five { limit } else { rendered };
            words.insert(format!("cycles.{layer}.samples"), said.to_string());
        }
        if self.form == Form::Five {
            words.insert("Software".into(), "Blender 5.0.1".into());
        }
        words.insert("Scene".into(), "Scene".into());
        words.insert("Frame".into(), "007".into());
        words.insert("cryptomatte/542cafa/manifest".into(), r#"{"Cube":"a8fce865"}"#.into());
        words.extend(self.says.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        for (name, value) in words {
            attributes.other.insert(text(&name), AttributeValue::Text(Text::from(value.as_str())));
        }
        if self.form == Form::Three && !self.views.is_empty() {
            attributes.multi_view_names = Some(self.views.iter().map(|view| Text::from(*view)).collect());
        }
    }
}

fn below(span: Span, limit: u32) -> u32 {
    (span.start + span.count).min(limit).saturating_sub(span.start)
}

/// A number from 0 to 1.
fn noise(a: u64, b: u64, c: u64) -> f64 {
    let mut mixed = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (c << 17);
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    }
    (mixed >> 40) as f64 / (1_u64 << 24) as f64
}

/// A pixel's ids and coverages, the largest first; a tenth of the samples hits nothing.
fn ranked(pixel: usize, taken: &[u32]) -> Vec<(u32, f32)> {
    let mut hits: BTreeMap<u32, u32> = BTreeMap::new();
    for sample in taken {
        let chance = noise(50, pixel as u64, u64::from(*sample));
        if chance > 0.1 {
            *hits.entry(IDS[(chance * 7919.0) as usize % IDS.len()]).or_default() += 1;
        }
    }
    let mut ranked: Vec<_> = hits.into_iter().map(|(id, hits)| (id, hits as f32 / taken.len() as f32)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

/// Values of each channel, by `layer/pass/view/channel`.
pub fn planes(path: &std::path::Path) -> BTreeMap<String, Vec<f32>> {
    by_name(read(path, &EXPECT).unwrap())
}

fn by_name(film: Film) -> BTreeMap<String, Vec<f32>> {
    let mut planes = BTreeMap::new();
    for layer in film.layers {
        for pass in layer.passes {
            for channel in pass.channels {
                let view = pass.view.as_deref().unwrap_or("");
                planes.insert(format!("{}/{}/{view}/{}", layer.name, pass.name, channel.name), channel.values);
            }
        }
    }
    planes
}

/// The largest relative difference of two films and its place; for Cryptomattes, of an id's
/// coverage.
pub fn difference(ours: &std::path::Path, wanted: &std::path::Path) -> (f64, String) {
    let (ours, wanted) = (planes(ours), planes(wanted));
    assert!(ours.keys().eq(wanted.keys()));
    let mut worst = (0.0, String::new());
    for (name, wanted) in &wanted {
        let ours = &ours[name];
        assert!(ours.iter().all(|value| name.contains("Crypto") || value.is_finite()), "{name}");
        for (pixel, (our, want)) in ours.iter().zip(wanted).enumerate() {
            let apart = if name.contains("Crypto") {
                0.0
            } else {
                (f64::from(*our) - f64::from(*want)).abs() / f64::from(want.abs()).max(1e-6)
            };
            if apart > worst.0 {
                worst = (apart, format!("{name} of pixel {pixel}: {our} for {want}"));
            }
        }
    }
    let (ours, wanted) = (mattes(&ours), mattes(&wanted));
    for (at, ids) in &wanted {
        assert!(ours[at].keys().eq(ids.keys()), "ids of {at:?}");
        for (id, coverage) in ids {
            let apart = (ours[at][id] - coverage).abs();
            if apart > worst.0 {
                worst = (apart, format!("coverage of {id:#x} at {at:?}"));
            }
        }
    }
    worst
}

/// Coverage of each id, by layer, view and pixel; checks that ranks descend.
fn mattes(planes: &BTreeMap<String, Vec<f32>>) -> BTreeMap<(String, usize), BTreeMap<u32, f64>> {
    let mut mattes: BTreeMap<(String, usize), BTreeMap<u32, f64>> = BTreeMap::new();
    let mut last: BTreeMap<(String, usize), f32> = BTreeMap::new();
    for (name, ids) in planes.iter().filter(|(name, _)| name.contains("Crypto")) {
        let words: Vec<&str> = name.split('/').collect();
        let (prefix, channel) = name.rsplit_once('/').unwrap();
        let coverage = match channel {
            "r" => "g",
            "b" => "a",
            _ => continue,
        };
        let coverages = &planes[&format!("{prefix}/{coverage}")];
        for (pixel, (id, coverage)) in ids.iter().zip(coverages).enumerate() {
            let key = (format!("{}/{}", words[0], words[2]), pixel);
            // By name, b comes before r; ranks descend within each of the two.
            let before = last.entry((format!("{}{channel}", key.0), pixel)).or_insert(f32::MAX);
            assert!(*coverage <= *before, "{name} of pixel {pixel} is not ranked");
            *before = *coverage;
            assert!((*coverage > 0.0) == (id.to_bits() != 0), "{name} of pixel {pixel}");
            if *coverage > 0.0 {
                let was = mattes.entry(key).or_default().insert(id.to_bits(), f64::from(*coverage));
                assert!(was.is_none(), "{name} of pixel {pixel}: an id twice");
            }
        }
    }
    mattes
}

/// Cuts a frame's samples at these places.
pub fn cut(samples: u32, cuts: &[u32]) -> Vec<Span> {
    let mut edges: Vec<u32> = cuts.iter().map(|cut| cut % samples).chain([0, samples]).collect();
    edges.sort_unstable();
    edges.dedup();
    edges.windows(2).map(|pair| Span { start: pair[0], count: pair[1] - pair[0] }).collect()
}

pub fn covers(text: &str) -> Coverage {
    text.parse().unwrap()
}
