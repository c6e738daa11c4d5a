//! The preview: a film's picture through the view transform, as a JPEG of full size. Alpha is shown over black, which
//! is what Blender saves: colours are premultiplied already, so they are taken as they are. Scaling down and keeping
//! previews is the caller's.

use crate::error::FilmError;
use crate::film::Film;
use crate::view::ViewTable;
use jpeg_encoder::{ColorType, Encoder};
use std::num::NonZero;

/// The render beside us wants its cores, too.
const MAX_THREADS: usize = 4;

/// The film's beauty as a JPEG of the film's size. `quality` is 1 (worst) to 100.
///
/// # Errors
/// [`FilmError::NoColour`] without a picture, [`FilmError::Preview`] if the film is beyond JPEG's 65,535 pixels or its
/// channels are not of its size.
pub fn preview_jpeg(film: &Film, view: &ViewTable, quality: u8) -> Result<Vec<u8>, FilmError> {
    let colour = film.beauty().and_then(|pass| pass.colour()).ok_or(FilmError::NoColour)?;
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| FilmError::Preview("a JPEG has at most 65535 pixels a side".into()))
    };
    let (width, height) = (side(film.width)?, side(film.height)?);
    let pixels = usize::from(width) * usize::from(height);
    let [red, green, blue] = colour.map(|channel| channel.samples.as_slice());
    if pixels == 0 || [red, green, blue].iter().any(|samples| samples.len() != pixels) {
        return Err(FilmError::Preview("its channels are not of the picture's size".into()));
    }
    let mut bytes = vec![0; pixels * 3];
    // The table's look-ups are most of the time, so every core takes a band of the picture.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let band = pixels.div_ceil(cores);
    std::thread::scope(|scope| {
        let lights = red.chunks(band).zip(green.chunks(band)).zip(blue.chunks(band));
        for (out, ((red, green), blue)) in bytes.chunks_mut(band * 3).zip(lights) {
            scope.spawn(move || show(view, [red, green, blue], out));
        }
    });
    let mut jpeg = Vec::with_capacity(pixels / 4);
    Encoder::new(&mut jpeg, quality.clamp(1, 100))
        .encode(&bytes, width, height, ColorType::Rgb)
        .map_err(|error| FilmError::Preview(error.to_string()))?;
    Ok(jpeg)
}

/// A band of the picture as display-encoded bytes.
fn show(view: &ViewTable, [red, green, blue]: [&[f32]; 3], out: &mut [u8]) {
    for (out, ((red, green), blue)) in out.as_chunks_mut::<3>().0.iter_mut().zip(red.iter().zip(green).zip(blue)) {
        *out = view.apply([*red, *green, *blue]).map(|level| (level * 255.0 + 0.5) as i32 as u8);
    }
}
