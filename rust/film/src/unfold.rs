//! A film as files of plain floats, one for each pass. Our render engine hands them to Blender as
//! its own result. Nothing here knows what a pass means.

use crate::attributes::Attributes;
use crate::error::FilmError;
use crate::film::{Film, Pass};
use crate::layout::{Expect, Layout};
use crate::read::read;
use crate::source::Source;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Prefixes of the header attributes that a render engine writes.
const OF_ENGINES: [&str; 2] = ["cryptomatte/", "cycles."];
/// Orders of channels in Blender's memory; in a film they are alphabetical.
const ORDERS: [&str; 4] = ["RGBA", "rgba", "XYZW", "UVA"];
/// Size of the write buffer.
const LINE_BYTES: usize = 1 << 16;

/// A film, unfolded into files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfolded {
    /// Passes in the order of the film.
    pub passes: Vec<UnfoldedPass>,
    /// The engine's texts in the header: how to read Cryptomattes, and its own figures.
    pub words: BTreeMap<String, String>,
}

/// One pass and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfoldedPass {
    /// Name of the layer, such as `ViewLayer`.
    pub layer: String,
    /// Name of the stereo view (eye or camera), in films of several views.
    pub view: Option<String>,
    /// Name of the pass, such as `Combined`.
    pub pass: String,
    /// The channels' names, one letter each, in the order of the file.
    pub channels: String,
    /// File of 32-bit floats in this machine's byte order: the bottom row first, a pixel's channels
    /// together.
    pub file: PathBuf,
}

/// Decodes the film as [`crate::read()`] does and writes its passes into `folder`, which must exist
/// and be empty.
///
/// # Errors
/// As [`crate::read()`]; [`FilmError::Io`] if the files can't be written.
pub fn unfold(path: &Path, expect: &Expect, folder: &Path) -> Result<Unfolded, FilmError> {
    let film = read(path, expect)?;
    let words = words(path)?;
    let mut passes = Vec::new();
    for layer in &film.layers {
        for pass in &layer.passes {
            let file = folder.join(format!("{}.f32", passes.len()));
            let order = order(pass);
            write(&film, pass, &order, &file)?;
            let channels = order.iter().map(|at| pass.channels[*at].name.as_str()).collect();
            let (layer, view, pass) = (layer.name.clone(), pass.view.clone(), pass.name.clone());
            passes.push(UnfoldedPass { layer, view, pass, channels, file });
        }
    }
    Ok(Unfolded { passes, words })
}

/// The engine's texts in a film's header, as [`Unfolded::words`].
///
/// # Errors
/// As [`crate::inspect`].
pub fn words(path: &Path) -> Result<BTreeMap<String, String>, FilmError> {
    let layout = Layout::read(&mut Source::open(path)?)?;
    let attributes = Attributes::read(&File::open(path)?, &layout)?;
    let of_engine = |name: &str| OF_ENGINES.iter().any(|start| name.starts_with(start));
    Ok(attributes.texts().into_iter().filter(|(name, _)| of_engine(name)).collect())
}

/// Indices of the pass's channels in Blender's order.
fn order(pass: &Pass) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pass.channels.len()).collect();
    let fits = |known: &&&str| pass.channels.iter().all(|channel| known.contains(&channel.name));
    if let Some(known) = ORDERS.iter().find(fits) {
        order.sort_by_key(|at| known.find(&pass.channels[*at].name));
    }
    order
}

fn write(film: &Film, pass: &Pass, order: &[usize], path: &Path) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(LINE_BYTES, File::create(path)?);
    let width = film.width as usize;
    for row in (0..film.height as usize).rev() {
        for pixel in row * width..(row + 1) * width {
            for channel in order {
                file.write_all(&pass.channels[*channel].values[pixel].to_ne_bytes())?;
            }
        }
    }
    file.flush()
}
