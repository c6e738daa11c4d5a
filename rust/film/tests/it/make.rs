//! Small films, written with the exr crate, and tools to spoil them.

use exr::prelude::*;
use netrender_film::Expect;
use std::path::PathBuf;
use tempfile::TempDir;

pub const WIDTH: usize = 9;
pub const HEIGHT: usize = 37;
pub const EXPECT: Expect = Expect { width: WIDTH as u32, height: HEIGHT as u32 };

/// A file in a temporary folder of its own.
pub struct OnDisk {
    _folder: TempDir,
    pub path: PathBuf,
}

pub fn on_disk(bytes: &[u8]) -> OnDisk {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.exr");
    std::fs::write(&path, bytes).unwrap();
    OnDisk { _folder: folder, path }
}

/// Values of a channel: smooth, with a little of everything.
pub fn value(seed: usize, x: usize, y: usize) -> f32 {
    seed as f32 * 0.25 + x as f32 * 0.125 + y as f32 * 0.0625
}

pub fn samples(seed: usize) -> Vec<f32> {
    (0..WIDTH * HEIGHT).map(|at| value(seed, at % WIDTH, at / WIDTH)).collect()
}

/// A name as Blender writes it; the exr crate's own conversion knows Latin-1 only.
pub fn text(name: &str) -> Text {
    Text::from_slice_unchecked(name.as_bytes())
}

/// Channels of floats; their seeds count from 0 in the order of the names.
pub fn part(name: &str, channels: &[&str], compression: Compression) -> Layer<AnyChannels<FlatSamples>> {
    let list = channels
        .iter()
        .enumerate()
        .map(|(seed, name)| AnyChannel::new(text(name), FlatSamples::F32(samples(seed))))
        .collect();
    let encoding = Encoding { compression, blocks: Blocks::ScanLines, line_order: LineOrder::Increasing };
    let attributes = LayerAttributes::named(text(name));
    Layer::new((WIDTH, HEIGHT), attributes, encoding, AnyChannels::sort(list))
}

pub fn file(parts: Vec<Layer<AnyChannels<FlatSamples>>>) -> Vec<u8> {
    let attributes = ImageAttributes::with_size(parts[0].size);
    let mut bytes = std::io::Cursor::new(Vec::new());
    Image::from_layers(attributes, parts).write().non_parallel().to_buffered(&mut bytes).unwrap();
    bytes.into_inner()
}

pub const COLOUR: [&str; 4] =
    ["ViewLayer.Combined.A", "ViewLayer.Combined.B", "ViewLayer.Combined.G", "ViewLayer.Combined.R"];

pub fn one_part(compression: Compression) -> Vec<u8> {
    file(vec![part("", &COLOUR, compression)])
}

pub fn multi_part(compression: Compression) -> Vec<u8> {
    file(vec![
        part("ViewLayer.Combined", &COLOUR, compression),
        part("ViewLayer.Depth", &["ViewLayer.Depth.Z"], compression),
    ])
}

/// Offset of an attribute's value: behind its name, its type and its size.
pub fn attribute(bytes: &[u8], name: &str, kind: &str) -> usize {
    let head = format!("{name}\0{kind}\0");
    bytes.windows(head.len()).position(|window| window == head.as_bytes()).unwrap() + head.len() + 4
}

/// Offset of the table of offsets in a film of one part: the first chunk follows it at once.
pub fn table(bytes: &[u8], blocks: usize) -> usize {
    (0..bytes.len() - 8).find(|at| bytes[*at..*at + 8] == ((at + blocks * 8) as u64).to_le_bytes()).unwrap()
}
