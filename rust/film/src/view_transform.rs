//! The scene's view transform as a table: the display colour of each linear colour. Blender bakes
//! it once per job by saving a picture of a lattice with `save_render` (exposure, look, curves and
//! all), so a preview looks like the artist's own window. Nothing here knows Blender or films.

use crate::error::FilmError;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Log2 of the smallest node above zero and of the largest.
const LOW: f32 = -12.5;
const HIGH: f32 = 10.0;
/// Nodes per stop. Linear light of 1 falls on node 36, so the bend where sRGB clips is met exactly.
const STEPS: f32 = (ViewTransform::SIZE - 2) as f32 / (HIGH - LOW);
/// Limit of the lattice's unpacked pixels, which take 1.6 MB.
const MAX_PNG_BYTES: usize = 16 << 20;
const MANTISSA_STEPS: usize = 1024;

/// A view transform as 65 x 65 x 65 nodes, at 0 and at 2^-12.5 to 2^10 in equal steps of the
/// logarithm.
#[derive(Clone)]
pub struct ViewTransform {
    /// Display-encoded 0..1, red fastest, then green, then blue. The fourth number is padding: one
    /// load per node.
    nodes: Vec<[f32; 4]>,
    /// Log2 of 1..=2, tabulated because a 1080p preview needs six million logarithms.
    logs: Box<[f32; MANTISSA_STEPS + 1]>,
}

impl std::fmt::Debug for ViewTransform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewTransform").finish_non_exhaustive()
    }
}

impl ViewTransform {
    /// Number of nodes on each axis.
    pub const SIZE: usize = 65;

    /// Reads the lattice as Blender saved it: a 16-bit PNG, RGB or RGBA, 65 wide and 65 * 65 high.
    /// A column is a red node, a row, counted from the bottom, is `blue * 65 + green`.
    ///
    /// # Errors
    /// [`FilmError::BadViewTransform`] if the file is no such picture, [`FilmError::Io`].
    pub fn from_png(path: &Path) -> Result<Self, FilmError> {
        let wrong = |error: png::DecodingError| FilmError::BadViewTransform(error.to_string());
        let mut decoder =
            png::Decoder::new_with_limits(BufReader::new(File::open(path)?), png::Limits { bytes: MAX_PNG_BYTES });
        let info = decoder.read_header_info().map_err(wrong)?;
        let size = (info.width as usize, info.height as usize);
        if size != (Self::SIZE, Self::SIZE * Self::SIZE) {
            return Err(FilmError::BadViewTransform(format!(
                "its picture is {}x{} pixels, not {}x{}",
                size.0,
                size.1,
                Self::SIZE,
                Self::SIZE * Self::SIZE
            )));
        }
        let samples = match (info.color_type, info.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Sixteen) => 3,
            (png::ColorType::Rgba, png::BitDepth::Sixteen) => 4,
            (color, depth) => {
                return Err(FilmError::BadViewTransform(format!(
                    "its pixels are {color:?} {depth:?}, not Rgb Sixteen"
                )));
            }
        };
        let mut reader = decoder.read_info().map_err(wrong)?;
        let row = Self::SIZE * samples * 2;
        let mut bytes = vec![0; row * Self::SIZE * Self::SIZE];
        if reader.output_buffer_size() != Some(bytes.len()) {
            return Err(FilmError::BadViewTransform("its picture has the wrong size".into()));
        }
        reader.next_frame(&mut bytes).map_err(wrong)?;
        let level = |pixel: &[u8], at: usize| f32::from(u16::from_be_bytes([pixel[at], pixel[at + 1]])) / 65535.0;
        let nodes = bytes
            .chunks_exact(row)
            .rev()
            .flat_map(|row| row.chunks_exact(samples * 2))
            .map(|pixel| [level(pixel, 0), level(pixel, 2), level(pixel, 4), 0.0])
            .collect();
        Ok(Self { nodes, logs: logs() })
    }

    /// Plain sRGB (IEC 61966-2-1), for jobs whose own view transform could not be baked.
    pub fn srgb() -> Self {
        let levels: Vec<f32> = (0..Self::SIZE).map(|index| encode_srgb(position(index))).collect();
        let mut nodes = Vec::with_capacity(Self::SIZE.pow(3));
        for blue in &levels {
            for green in &levels {
                nodes.extend(levels.iter().map(|red| [*red, *green, *blue, 0.0]));
            }
        }
        Self { nodes, logs: logs() }
    }

    /// The display colour of a linear colour, each 0..1, trilinear between the nodes. Not-a-number
    /// and negative light count as 0, infinite light as 2^10.
    #[inline]
    pub fn apply(&self, rgb: [f32; 3]) -> [f32; 3] {
        let [(red, at_red), (green, at_green), (blue, at_blue)] = rgb.map(|light| self.locate(light));
        let size = Self::SIZE;
        let first = (blue * size + green) * size + red;
        // One bounds check for all eight nodes.
        let cube = &self.nodes[first..first + size * size + size + 2];
        let edge = |at: usize| mix(cube[at], cube[at + 1], at_red);
        let near = mix(edge(0), edge(size), at_green);
        let far = mix(edge(size * size), edge(size * size + size), at_green);
        let [red, green, blue, _] = mix(near, far, at_blue);
        [red, green, blue]
    }

    /// The node at or below `light`, at most the last but one, and the fraction of the way to the
    /// next node.
    #[inline]
    fn locate(&self, light: f32) -> (usize, f32) {
        const FIRST: f32 = 1.726_334_9e-4; // 2^LOW
        const LAST: f32 = 1024.0; // 2^HIGH
        // NaN compares false and so becomes 0, as negative light does.
        let light = if light > 0.0 { light.min(LAST) } else { 0.0 };
        let at = if light <= FIRST { light / FIRST } else { 1.0 + (self.log2(light) - LOW) * STEPS };
        // Via i32, because processors convert to it in one instruction.
        let node = (at as i32 as usize).min(Self::SIZE - 2);
        (node, (at - node as f32).min(1.0))
    }

    /// Log2 of a normal, positive number, to within 2e-7; monotone.
    #[inline]
    fn log2(&self, light: f32) -> f32 {
        const BELOW: u32 = 23 - MANTISSA_STEPS.ilog2();
        let bits = light.to_bits();
        let mantissa = bits & 0x7f_ffff;
        let step = (mantissa >> BELOW) as usize;
        let within = (mantissa & ((1 << BELOW) - 1)) as i32 as f32 / (1 << BELOW) as f32;
        let exponent = (bits >> 23) as i32 - 127;
        exponent as f32 + self.logs[step] + (self.logs[step + 1] - self.logs[step]) * within
    }
}

#[inline]
fn mix(a: [f32; 4], b: [f32; 4], at: f32) -> [f32; 4] {
    std::array::from_fn(|index| a[index] + (b[index] - a[index]) * at)
}

fn logs() -> Box<[f32; MANTISSA_STEPS + 1]> {
    Box::new(std::array::from_fn(|step| (1.0 + step as f64 / MANTISSA_STEPS as f64).log2() as f32))
}

/// The linear light of a node.
fn position(index: usize) -> f32 {
    if index == 0 { 0.0 } else { (LOW + (index - 1) as f32 / STEPS).exp2() }
}

pub(crate) fn encode_srgb(light: f32) -> f32 {
    if light <= 0.003_130_8 { light * 12.92 } else { (1.055 * light.powf(1.0 / 2.4) - 0.055).min(1.0) }
}
