//! The latest picture of a job as pixels for a list. It comes from the network, so its size is
//! bounded.

use super::error::{ClientError, blocking};
use netrender_core::model::ids::JobId;
use netrender_net::api::{Api, ApiError};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// Upper bound of a JPEG in bytes. Previews have some hundred kilobytes.
const MAX_BYTES: usize = 32 << 20;
/// Upper bound of a side in pixels.
const MAX_SIDE: usize = 16 << 10;

/// A small picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// R, G, B, A of each pixel; the bottom row first, as in Blender.
    pub pixels: Vec<u8>,
}

/// Fetches the picture of the latest finished frame of a job, scaled down to `side` pixels on the
/// longer side. `None` if no frame has one yet.
pub async fn thumbnail(api: &Api, job: JobId, side: usize) -> Result<Option<Thumbnail>, ClientError> {
    let mut response = match api.plain(&format!("thumb_{job}.jpg")).await {
        Err(ApiError::Refused { status: 404, .. }) => return Ok(None),
        other => other?,
    };
    let broke = |why: String| ApiError::Unreachable { url: api.url(), why };
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broke(format!("the download broke off: {error}")))? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(broke(format!("the picture of job {job} has no end")).into());
        }
        bytes.extend_from_slice(&chunk);
    }
    let decode = move || decoded(&bytes).map(|picture| smaller(picture, side));
    let decoded = blocking("decoding the picture", decode).await?;
    Ok(Some(decoded.map_err(|why| broke(format!("the picture of job {job} can't be read: {why}")))?))
}

fn decoded(bytes: &[u8]) -> Result<Thumbnail, String> {
    let options = DecoderOptions::default()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGBA);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    if width == 0 || pixels.len() != width * height * 4 {
        return Err("its size is odd".into());
    }
    let upside_down = pixels.chunks_exact(width * 4).rev().flatten().copied().collect();
    Ok(Thumbnail { width, height, pixels: upside_down })
}

/// Scales a picture down. Each pixel is the mean of those that it replaces.
fn smaller(picture: Thumbnail, side: usize) -> Thumbnail {
    let longer = picture.width.max(picture.height);
    if longer <= side {
        return picture;
    }
    let scaled = |length: usize| (length * side / longer).max(1);
    let (width, height) = (scaled(picture.width), scaled(picture.height));
    let mut pixels = Vec::with_capacity(width * height * 4);
    for y in 0..height {
        let rows = y * picture.height / height..((y + 1) * picture.height / height);
        for x in 0..width {
            let columns = x * picture.width / width..((x + 1) * picture.width / width);
            let mut sums = [0usize; 4];
            for row in rows.clone() {
                let line =
                    &picture.pixels[(row * picture.width + columns.start) * 4..(row * picture.width + columns.end) * 4];
                for pixel in line.chunks_exact(4) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += usize::from(*value));
                }
            }
            let count = rows.len() * columns.len();
            // A mean of bytes is a byte.
            pixels.extend(sums.map(|sum| (sum / count) as u8));
        }
    }
    Thumbnail { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::{Thumbnail, decoded, smaller};

    #[test]
    fn a_picture_shrinks_to_the_mean_of_its_pixels() {
        let pixels = [[0, 0, 0, 255], [100, 0, 0, 255], [200, 0, 0, 255], [100, 0, 0, 255]].concat();
        let small = smaller(Thumbnail { width: 4, height: 1, pixels }, 2);
        assert_eq!((small.width, small.height), (2, 1));
        assert_eq!(small.pixels, [50, 0, 0, 255, 150, 0, 0, 255]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in [&b""[..], b"\xff\xd8\xff", b"<html>"] {
            assert!(decoded(bytes).is_err());
        }
    }
}
