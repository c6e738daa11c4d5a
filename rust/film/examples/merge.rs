//! Merges films of parts of a frame's samples into one: for the tests with real Blenders, the benchmark, and for a look.
//!
//! ```text
//! merge OUT --samples N [--layer NAME=N]... [--threads N] [--codec NAME] [--subset] [--adaptive] [--sum] 0+16=A.exr 16+16=B.exr ...
//! ```
//!
//! `0+16` are the sixteen samples from 0 on; of a sum, all its ranges: `0+16,32+8`.

use netrender_film::merge::{Codec, Coverage, Expect, Merger, Output};
use netrender_film::{Expect as Picture, inspect};
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let to = PathBuf::from(words.next().ok_or("where to?")?);
    let mut expect = Expect::new(Picture { width: 0, height: 0 }, 0);
    let mut output = Output::default();
    let mut is_sum = false;
    let mut parts: Vec<(Coverage, PathBuf)> = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--samples" => expect.samples = value()?.parse()?,
            "--layer" => {
                let value = value()?;
                let (layer, samples) = value.rsplit_once('=').ok_or("--layer NAME=N")?;
                expect.layers.insert(layer.to_owned(), samples.parse()?);
            }
            "--threads" => output.threads = value()?.parse()?,
            "--codec" => output.codec = Some(codec(&value()?)?),
            "--subset" => expect.is_subset = true,
            "--adaptive" => expect.is_adaptive = true,
            "--sum" => is_sum = true,
            part => {
                let (samples, path) = part.split_once('=').ok_or(format!("{part} is not OFFSET+NUMBER=FILE"))?;
                parts.push((samples.parse()?, path.into()));
            }
        }
    }
    let (_, first) = parts.first().ok_or("of what?")?;
    let header = inspect(first)?;
    expect.picture = Picture { width: header.width, height: header.height };
    let mut merger = Merger::new(expect)?;
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
