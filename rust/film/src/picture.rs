//! One pass of a film as a picture to look at, scaled down while it is read: whatever the film's
//! size, memory is that of the picture and of one chunk. The caller chooses the pass; the meaning
//! of its numbers follows from the names of its channels.

use crate::error::FilmError;
use crate::film::{Film, Pass};
use crate::layout::{Expect, Layout};
use crate::names::{self, ChannelPath};
use crate::read::{convert, first_planes, lines, metadata, unpack};
use crate::source::Source;
use crate::view_transform::encode_srgb;
use jpeg_encoder::{ColorType, Encoder};
use std::path::Path;

/// Limit of a picture's pixels, as many as a 4K screen has.
const MAX_PIXELS: u64 = 3840 * 2160;
/// Values beyond this mean "no surface": Blender writes 1e10 into depth passes there.
const FAR: f32 = 1e9;
/// Steps from black to white in which light is encoded; finer than 8 bits can show.
const LEVELS: usize = 1 << 14;

/// A pass's names, without its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassHeader {
    /// Name of the layer, such as `ViewLayer`; empty for plain images.
    pub layer: String,
    /// Name of the stereo view (eye or camera), in films of several views.
    pub view: Option<String>,
    /// Name of the pass, such as `Combined`.
    pub pass: String,
    /// Names of the channels, in the order of the file.
    pub channels: Vec<String>,
}

/// Lists the film's passes, after the checks of [`crate::check()`].
///
/// # Errors
/// As [`crate::check()`].
pub fn passes(path: &Path, expect: &Expect) -> Result<Vec<PassHeader>, FilmError> {
    let outline = Film::outline(&Layout::read_expected(&mut Source::open(path)?, expect)?);
    let mut all = Vec::new();
    for layer in outline.layers {
        for Pass { name, view, channels } in layer.passes {
            let channels = channels.into_iter().map(|channel| channel.name).collect();
            all.push(PassHeader { layer: layer.name.clone(), view, pass: name, channels });
        }
    }
    Ok(all)
}

/// The choice of a pass; its fields are as in [`PassHeader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Name of the layer.
    pub layer: String,
    /// Name of the pass.
    pub pass: String,
    /// Name of the stereo view; `None` chooses the first.
    pub view: Option<String>,
}

/// The meaning of a pass's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Light, shown unchanged.
    Light,
    /// Distances or object numbers, scaled so that the smallest is black and the largest white.
    Value,
    /// Directions; 0 is grey.
    Direction,
}

/// A pass, small enough to show, scene linear.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    meaning: Meaning,
    /// Three planes (red, green, blue), or one for grey.
    planes: Vec<Vec<f32>>,
}

/// Reads a pass, at most `max_width` pixels wide; without a choice the film's beauty. Pixels that
/// fall together are averaged; those that are not finite do not count.
///
/// # Errors
/// As [`crate::read()`]; [`FilmError::NoSuchPass`].
pub fn picture(path: &Path, expect: &Expect, choice: Option<&Choice>, max_width: u32) -> Result<Picture, FilmError> {
    let mut source = Source::open(path)?;
    let layout = Layout::read_expected(&mut source, expect)?;
    let (meaning, wanted) = choose(&layout, choice)?;
    let (width, height) = size(&layout, max_width);
    let mut canvases: Vec<Canvas> =
        wanted.iter().map(|_| Canvas::new(&layout, width, height)).collect::<Result<_, _>>()?;
    let metadata = metadata(&layout);
    let firsts = first_planes(&layout.parts);
    let mut row = vec![0.0; layout.width];
    for chunk in &layout.chunks {
        let channels = &layout.parts[chunk.part].header.channels;
        let of_part = firsts[chunk.part]..firsts[chunk.part] + channels.len();
        if !wanted.iter().any(|channel| of_part.contains(channel)) {
            continue;
        }
        source.go_to(chunk.start, "its picture")?;
        let bytes = unpack(&layout, &metadata, chunk, source.vec(chunk.bytes, "its picture")?)?;
        let mut rest = bytes.as_slice();
        for line in chunk.line..chunk.line + lines(&layout, chunk) {
            for (channel, at) in channels.iter().zip(of_part.clone()) {
                let (samples, after) = rest.split_at(layout.width * channel.kind.bytes());
                rest = after;
                let mut takers = wanted.iter().zip(&mut canvases).filter(|(wanted, _)| **wanted == at);
                if let Some((_, canvas)) = takers.next() {
                    convert(samples, channel.kind, &mut row);
                    canvas.add(&row, line);
                }
            }
        }
    }
    let planes = canvases.into_iter().map(Canvas::finish).collect();
    Ok(Picture { width: width as u32, height: height as u32, meaning, planes })
}

/// Finds the channels to show: their indices among all channels of the film.
fn choose(layout: &Layout, choice: Option<&Choice>) -> Result<(Meaning, Vec<usize>), FilmError> {
    let outline = Film::outline(layout);
    let (layer, pass) = match choice {
        None => outline.beauty_of_layer().ok_or(FilmError::NoColour)?,
        Some(Choice { layer, pass, view }) => {
            let is = |one: &&Pass| one.name == *pass && (view.is_none() || one.view == *view);
            let layers = outline.layers.iter().filter(|one| one.name == *layer);
            let mut found = layers.filter_map(|layer| Some((layer, layer.passes.iter().find(is)?)));
            found.next().ok_or_else(|| FilmError::NoSuchPass { layer: layer.clone(), pass: pass.clone() })?
        }
    };
    let (meaning, shown) = meaning(pass);
    let paths: Vec<ChannelPath> = names::paths(layout).collect();
    let position = |name: &str| {
        paths.iter().position(|path| {
            path.layer == layer.name && path.pass == pass.name && path.view == pass.view && path.channel == name
        })
    };
    Ok((meaning, shown.iter().filter_map(|name| position(name)).collect()))
}

/// The meaning of a pass's numbers, and the channels to show as red, green and blue, or as grey.
fn meaning(pass: &Pass) -> (Meaning, Vec<&str>) {
    let has = |names: &[&str; 3]| names.iter().all(|name| pass.channel(name).is_some());
    for (names, meaning) in [
        (["R", "G", "B"], Meaning::Light),
        (["r", "g", "b"], Meaning::Light),
        (["X", "Y", "Z"], Meaning::Direction),
        (["U", "V", "A"], Meaning::Light),
    ] {
        if has(&names) {
            return (meaning, names.to_vec());
        }
    }
    let meaning = if pass.channel("Y").is_some() { Meaning::Light } else { Meaning::Value };
    (meaning, pass.channels.iter().map(|channel| channel.name.as_str()).take(1).collect())
}

/// The picture's size: no wider than asked for, no larger than the film, at most [`MAX_PIXELS`].
fn size(layout: &Layout, max_width: u32) -> (usize, usize) {
    let (width, height) = (layout.width as f64, layout.height as f64);
    let by_width = f64::from(max_width.max(1)) / width;
    let by_pixels = (MAX_PIXELS as f64 / (width * height)).sqrt();
    let scale = by_width.min(by_pixels).min(1.0);
    let scaled = |side: f64| ((side * scale).floor() as usize).max(1);
    (scaled(width), scaled(height))
}

/// A channel of the picture while it is filled: for each pixel a sum, and the number of its
/// summands.
struct Canvas {
    width: usize,
    height: usize,
    from_width: usize,
    from_height: usize,
    sums: Vec<f32>,
    counts: Vec<u32>,
}

impl Canvas {
    fn new(layout: &Layout, width: usize, height: usize) -> Result<Self, FilmError> {
        let pixels = width * height;
        let (mut sums, mut counts) = (Vec::new(), Vec::new());
        let full = |_| FilmError::OutOfMemory { bytes: 8 * pixels as u64 };
        sums.try_reserve_exact(pixels).map_err(full)?;
        counts.try_reserve_exact(pixels).map_err(full)?;
        sums.resize(pixels, 0.0);
        counts.resize(pixels, 0);
        Ok(Self { width, height, from_width: layout.width, from_height: layout.height, sums, counts })
    }

    fn add(&mut self, row: &[f32], line: usize) {
        let y = line * self.height / self.from_height;
        let sums = &mut self.sums[y * self.width..][..self.width];
        let counts = &mut self.counts[y * self.width..][..self.width];
        for (x, light) in row.iter().enumerate() {
            if light.is_finite() {
                let x = x * self.width / self.from_width;
                sums[x] += light;
                counts[x] += 1;
            }
        }
    }

    fn finish(mut self) -> Vec<f32> {
        for (sum, count) in self.sums.iter_mut().zip(self.counts) {
            *sum /= count.max(1) as f32;
        }
        self.sums
    }
}

impl Picture {
    /// Memory that the picture takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.planes.iter().map(|plane| plane.len() * 4).sum()
    }

    /// Encodes the picture as a PNG of 8 bits. `exposure` is in stops.
    ///
    /// # Errors
    /// [`FilmError::Preview`].
    pub fn png(&self, exposure: f32) -> Result<Vec<u8>, FilmError> {
        let failed = |error: png::EncodingError| FilmError::Preview(error.to_string());
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.show(exposure)).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }

    /// Encodes the picture as a JPEG. `exposure` is in stops, `quality` from 1 to 100.
    ///
    /// # Errors
    /// [`FilmError::Preview`] if a side exceeds JPEG's 65,535 pixels.
    pub fn jpeg(&self, exposure: f32, quality: u8) -> Result<Vec<u8>, FilmError> {
        let side = |pixels: u32| {
            u16::try_from(pixels).map_err(|_| FilmError::Preview("a JPEG has at most 65535 pixels a side".into()))
        };
        let mut file = Vec::new();
        Encoder::new(&mut file, quality.clamp(1, 100))
            .encode(&self.show(exposure), side(self.width)?, side(self.height)?, ColorType::Rgb)
            .map_err(|error| FilmError::Preview(error.to_string()))?;
        Ok(file)
    }

    /// Red, green and blue, pixel by pixel. All but directions are encoded for a screen (sRGB).
    fn show(&self, exposure: f32) -> Vec<u8> {
        let levels: Vec<u8> = match self.meaning {
            Meaning::Direction => (0..=LEVELS).map(|at| (at * 255 / LEVELS) as u8).collect(),
            _ => (0..=LEVELS).map(|at| (encode_srgb(at as f32 / LEVELS as f32) * 255.0 + 0.5) as u8).collect(),
        };
        let (from, scale) = self.range(exposure.clamp(-60.0, 60.0).exp2());
        let level = |light: f32| levels[(((light - from) * scale).clamp(0.0, 1.0) * LEVELS as f32 + 0.5) as usize];
        let pixels = self.planes.first().map_or(0, Vec::len);
        let plane = |at: usize| self.planes.get(at).or(self.planes.first());
        let mut out = vec![0; pixels * 3];
        for (at, plane) in (0..3).filter_map(|at| Some((at, plane(at)?))) {
            for (out, light) in out[at..].iter_mut().step_by(3).zip(plane) {
                *out = level(*light);
            }
        }
        out
    }

    /// The value that shows as black, and the factor for the distance from it.
    fn range(&self, gain: f32) -> (f32, f32) {
        let all = self.planes.iter().flatten().copied().filter(|value| value.abs() < FAR);
        match self.meaning {
            Meaning::Light => (0.0, gain),
            Meaning::Value => {
                let (low, high) = all.fold((0.0_f32, 1.0_f32), |(low, high), value| (low.min(value), high.max(value)));
                (low, gain / (high - low))
            }
            Meaning::Direction => {
                let far = all.fold(1.0_f32, |far, value| far.max(value.abs())) / gain;
                (-far, 0.5 / far)
            }
        }
    }
}
