//! A film taken apart into files of plain floats, one for each pass, for Blender to take as what its engine rendered. No
//! meaning of passes here.

use crate::error::FilmError;
use crate::film::{Film, Pass};
use crate::header::{Expect, Layout};
use crate::merge::attributes::Attributes;
use crate::read::read;
use crate::source::Source;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What engines say in a film's header, by the beginning of its name.
const OF_ENGINES: [&str; 2] = ["cryptomatte/", "cycles."];
/// Orders of channels in Blender's memory; a film has the alphabet's.
const ORDERS: [&str; 4] = ["RGBA", "rgba", "XYZW", "UVA"];
/// Floats written at a time.
const LINE_BYTES: usize = 1 << 16;

/// A film in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfolded {
    /// In the order of the film.
    pub passes: Vec<UnfoldedPass>,
    /// What the engine said in the header: how to read Cryptomattes, and its own figures.
    pub words: BTreeMap<String, String>,
}

/// A pass in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfoldedPass {
    /// Such as `ViewLayer`.
    pub layer: String,
    /// Which eye or camera, in films of several views.
    pub view: Option<String>,
    /// Such as `Combined`.
    pub pass: String,
    /// A letter each, in the file's order.
    pub channels: String,
    /// 32-bit floats as this machine has them: the bottom row first, a pixel's channels together.
    pub file: PathBuf,
}

/// Decodes the film as [`crate::read()`] does and writes its passes into the folder, which is there and empty.
///
/// # Errors
/// As [`crate::read()`]; [`FilmError::Io`] if the files can't be written.
pub fn unfold(path: &Path, expect: &Expect, folder: &Path) -> Result<Unfolded, FilmError> {
    let film = read(path, expect)?;
    let mut source = Source::open(path)?;
    let layout = Layout::read_expected(&mut source, expect)?;
    let attributes = Attributes::read(&File::open(path)?, &layout)?;
    let of_engine = |name: &str| OF_ENGINES.iter().any(|start| name.starts_with(start));
    let words = attributes.texts().into_iter().filter(|(name, _)| of_engine(name)).collect();
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

/// The pass's channels in Blender's order.
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
                file.write_all(&pass.channels[*channel].samples[pixel].to_ne_bytes())?;
            }
        }
    }
    file.flush()
}
