//! Merges films of a frame's samples into one; used by the tests with real Blenders and by the
//! benchmark.
//!
//! ```text
//! merge OUT --samples N [--layer NAME=N]... [--threads N] [--codec NAME] [--subset] [--adaptive]
//! [--sum]
//!     0+16=A.exr 16+16=B.exr ...
//! ```
//!
//! `0+16` stands for the sixteen samples from 0 on; a sum names all its spans: `0+16,32+8`.

use netrender_film::merge::{Codec, Coverage, FrameSpec, Merger, Output};
use netrender_film::{Expect, inspect};
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let to = PathBuf::from(words.next().ok_or("where to?")?);
    let mut frame = FrameSpec::new(Expect { width: 0, height: 0 }, 0);
    let mut output = Output::default();
    let mut is_sum = false;
    let mut parts: Vec<(Coverage, PathBuf)> = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--samples" => frame.total = value()?.parse()?,
            "--layer" => {
                let value = value()?;
                let (layer, samples) = value.rsplit_once('=').ok_or("--layer NAME=N")?;
                frame.layers.insert(layer.to_owned(), samples.parse()?);
            }
            "--threads" => output.threads = value()?.parse()?,
            "--codec" => output.codec = Some(codec(&value()?)?),
            "--subset" => frame.is_subset = true,
            "--adaptive" => frame.is_adaptive = true,
            "--sum" => is_sum = true,
            part => {
                let (samples, path) = part.split_once('=').ok_or(format!("{part} is not OFFSET+NUMBER=FILE"))?;
                parts.push((samples.parse()?, path.into()));
            }
        }
    }
    let (_, first) = parts.first().ok_or("of what?")?;
    let header = inspect(first)?;
    frame.picture = Expect { width: header.width, height: header.height };
    let mut merger = Merger::new(frame)?;
    for (samples, path) in parts {
        merger.add(Path::new(&path), samples)?;
    }
    if is_sum {
        merger.sum(&to, &output)?
    } else {
        merger.finish(&to, &output)?
    };
    Ok(())
}

fn codec(name: &str) -> Result<Codec, String> {
    Ok(match name {
        "NONE" => Codec::None,
        "RLE" => Codec::Rle,
        "ZIPS" => Codec::Zips,
        "ZIP" => Codec::Zip,
        "PIZ" => Codec::Piz,
        _ => return Err(format!("{name} is not NONE, RLE, ZIPS, ZIP or PIZ")),
    })
}
