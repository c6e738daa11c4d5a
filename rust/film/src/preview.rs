//! The preview: a film's beauty through the view transform, as a JPEG of full size. Alpha is shown
//! over black, as in a picture that Blender saves: colours are premultiplied already, so they are
//! used unchanged. The caller scales previews down and stores them.

use crate::error::FilmError;
use crate::film::Film;
use crate::view_transform::ViewTransform;
use jpeg_encoder::{ColorType, Encoder};
use std::num::NonZero;

/// Limit of threads, because a render on the same machine needs its cores.
const MAX_THREADS: usize = 4;

/// Encodes the film's beauty as a JPEG of the film's size. `quality` is 1 (worst) to 100.
///
/// # Errors
/// [`FilmError::NoColour`] without a beauty, [`FilmError::Preview`] if a side exceeds JPEG's 65,535
/// pixels or the channels are not of the film's size.
pub fn preview_jpeg(film: &Film, view: &ViewTransform, quality: u8) -> Result<Vec<u8>, FilmError> {
    let colour = film.beauty().and_then(|pass| pass.colour()).ok_or(FilmError::NoColour)?;
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| FilmError::Preview("a JPEG has at most 65535 pixels a side".into()))
    };
    let (width, height) = (side(film.width)?, side(film.height)?);
    let pixels = usize::from(width) * usize::from(height);
    let [red, green, blue] = colour.map(|channel| channel.values.as_slice());
    if pixels == 0 || [red, green, blue].iter().any(|values| values.len() != pixels) {
        return Err(FilmError::Preview("its channels are not of the picture's size".into()));
    }
    let mut bytes = vec![0; pixels * 3];
    // Look-ups in the table take most of the time, so every core gets a band of the picture.
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

/// Writes a band of the picture as display-encoded bytes.
fn show(view: &ViewTransform, [red, green, blue]: [&[f32]; 3], out: &mut [u8]) {
    for (out, ((red, green), blue)) in out.as_chunks_mut::<3>().0.iter_mut().zip(red.iter().zip(green).zip(blue)) {
        *out = view.apply([*red, *green, *blue]).map(|level| (level * 255.0 + 0.5) as i32 as u8);
    }
}
