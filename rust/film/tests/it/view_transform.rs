//! The view transform: near the truth, monotone, and safe with every number that a renderer can
//! produce.

use netrender_film::{FilmError, ViewTransform};
use proptest::prelude::*;
use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;

static SRGB: LazyLock<ViewTransform> = LazyLock::new(ViewTransform::srgb);

fn encode(light: f64) -> f64 {
    let light = light.clamp(0.0, 1.0);
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

#[test]
fn srgb_is_within_a_step_of_eight_bits() {
    for step in 0..=20_000 {
        let light = (f64::from(step) / 20_000.0).powi(3) * 1.2;
        let [red, green, blue] = SRGB.apply([light as f32, 0.0, 1.0]);
        assert!((f64::from(red) - encode(light)).abs() < 1.0 / 255.0, "{light}: {red}");
        assert!(green == 0.0 && (blue - 1.0).abs() < 1e-5, "{green} {blue}");
    }
}

#[test]
fn grey_never_gets_darker() {
    let mut before = 0.0;
    for step in 0..200_000 {
        let light = (-14.0 + 26.0 * step as f32 / 200_000.0).exp2();
        let [red, green, blue] = SRGB.apply([light; 3]);
        assert!(red == green && green == blue);
        assert!(red >= before - 1e-6, "{light}");
        before = red;
    }
}

#[test]
fn strange_light_is_none_or_white() {
    for (light, shown) in [
        (f32::NAN, 0.0),
        (-1.0, 0.0),
        (f32::NEG_INFINITY, 0.0),
        (-0.0, 0.0),
        (f32::MIN_POSITIVE, 0.0),
        (f32::INFINITY, 1.0),
        (f32::MAX, 1.0),
    ] {
        let levels = SRGB.apply([light; 3]);
        assert!(levels.iter().all(|level| (level - shown).abs() < 1e-30), "{light}: {levels:?}");
    }
}

proptest! {
    #[test]
    fn any_bits_give_a_colour(bits in any::<[u32; 3]>()) {
        let shown = SRGB.apply(bits.map(f32::from_bits));
        prop_assert!(shown.iter().all(|level| (0.0..=1.0).contains(level)), "{:?}", shown);
    }
}

fn save(path: &Path, height: u32, depth: png::BitDepth, level: impl Fn(usize, usize, usize) -> [u16; 3]) {
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), 65, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(depth);
    let mut bytes = Vec::new();
    for row in (0..height as usize).rev() {
        for red in 0..65 {
            for level in level(red, row % 65, row / 65) {
                let both = level.to_be_bytes();
                bytes.extend(if depth == png::BitDepth::Sixteen { &both[..] } else { &both[..1] });
            }
        }
    }
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
}

#[test]
fn a_lattice_saved_bottom_up_keeps_its_colours_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.png");
    save(&path, 65 * 65, png::BitDepth::Sixteen, |red, green, blue| {
        [red * 1000, green * 500, blue * 250].map(|level| level as u16)
    });
    let table = ViewTransform::from_png(&path).unwrap();
    // Light of 1 is node 36, of 1024 node 64, of 0 node 0.
    let [red, green, blue] = table.apply([1.0, 1024.0, 0.0]);
    assert!((red - 36_000.0 / 65_535.0).abs() < 1e-4 && (green - 32_000.0 / 65_535.0).abs() < 1e-4 && blue == 0.0);
}

#[test]
fn other_pictures_are_no_view_transform() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.png");
    save(&path, 65, png::BitDepth::Sixteen, |_, _, _| [0; 3]);
    assert_eq!(
        ViewTransform::from_png(&path).unwrap_err().to_string(),
        "the view transform cannot be used: its picture is 65x65 pixels, not 65x4225"
    );
    save(&path, 65 * 65, png::BitDepth::Eight, |_, _, _| [0; 3]);
    assert!(matches!(ViewTransform::from_png(&path), Err(FilmError::BadViewTransform(_))));
    std::fs::write(&path, b"not a picture").unwrap();
    assert!(matches!(ViewTransform::from_png(&path), Err(FilmError::BadViewTransform(_))));
}
