//! The preview: a JPEG of the film's size, or a reason.

use netrender_film::{Channel, Film, FilmError, Layer, Pass, ViewTransform, preview_jpeg};
use std::time::Instant;

fn film(width: u32, height: u32, samples: impl Fn(usize) -> f32) -> Film {
    let pixels = (width * height) as usize;
    let channel = |name: &str| Channel { name: name.into(), values: (0..pixels).map(&samples).collect() };
    let pass = Pass { name: "Combined".into(), view: None, channels: ["A", "B", "G", "R"].map(channel).into() };
    Film { width, height, layers: vec![Layer { name: "ViewLayer".into(), passes: vec![pass] }] }
}

#[test]
fn the_preview_is_a_jpeg_of_the_films_size() {
    let jpeg = preview_jpeg(&film(40, 24, |_| 0.5), &ViewTransform::srgb(), 85).unwrap();
    assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
    assert_eq!(jpeg[jpeg.len() - 2..], [0xff, 0xd9]);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    assert_eq!(jpeg[frame + 5..frame + 9], [0, 24, 0, 40]);
}

#[test]
fn every_quality_and_every_light_will_do() {
    let film = film(16, 16, |at| [f32::NAN, f32::INFINITY, -1.0, 0.5][at % 4]);
    for quality in [0, 1, 100, 255] {
        preview_jpeg(&film, &ViewTransform::srgb(), quality).unwrap();
    }
}

#[test]
fn what_cannot_be_shown_is_said() {
    let mut short = film(4, 4, |_| 0.0);
    short.layers[0].passes[0].channels[3].values.pop();
    assert!(matches!(preview_jpeg(&short, &ViewTransform::srgb(), 85), Err(FilmError::Preview(_))));
    short.layers.clear();
    assert!(matches!(preview_jpeg(&short, &ViewTransform::srgb(), 85), Err(FilmError::NoColour)));
    assert!(matches!(preview_jpeg(&film(65_536, 1, |_| 0.0), &ViewTransform::srgb(), 85), Err(FilmError::Preview(_))));
}

/// Not a benchmark: it shows a preview that got ten times slower.
#[test]
fn a_full_hd_preview_is_quick() {
    let film = film(1920, 1080, |at| (at % 1920) as f32 / 960.0);
    let view = ViewTransform::srgb();
    let start = Instant::now();
    preview_jpeg(&film, &view, 85).unwrap();
    assert!(start.elapsed().as_millis() < 1000, "{:?}", start.elapsed());
}
