//! A pass as a picture to look at: choice, size, brightness, and passes that cannot be shown.

use crate::make::{COLOUR, EXPECT, HEIGHT, WIDTH, file, multi_part, on_disk, one_part, part, value};
use exr::prelude::Compression;
use netrender_film::{Choice, FilmError, passes, picture};
use std::io::Cursor;

fn choice(pass: &str) -> Option<Choice> {
    Some(Choice { layer: "ViewLayer".into(), pass: pass.into(), view: None })
}

/// (width, height, RGB)
fn decoded(png: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(png)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    (info.width, info.height, bytes)
}

fn srgb(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let encoded = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (encoded * 255.0 + 0.5) as u8
}

#[test]
fn the_passes_are_listed_as_blender_names_them() {
    for bytes in [multi_part(Compression::ZIP16), multi_part(Compression::Uncompressed)] {
        let found = passes(&on_disk(&bytes).path, &EXPECT).unwrap();
        let names: Vec<_> = found.iter().map(|one| (&*one.layer, &*one.pass, one.channels.concat())).collect();
        assert_eq!(names, [("ViewLayer", "Combined", "ABGR".into()), ("ViewLayer", "Depth", "Z".into())]);
    }
}

#[test]
fn light_is_encoded_for_the_screen_and_exposure_is_in_stops() {
    let film = on_disk(&one_part(Compression::ZIP16));
    for stops in [-3.0_f32, -1.0, 0.0, 2.0] {
        for chosen in [None, choice("Combined")] {
            let shown = picture(&film.path, &EXPECT, chosen.as_ref(), 100).unwrap();
            let (width, height, rgb) = decoded(&shown.png(stops).unwrap());
            assert_eq!((width as usize, height as usize), (WIDTH, HEIGHT));
            for (at, pixel) in rgb.chunks(3).enumerate() {
                // A, B, G, R have the seeds 0 to 3.
                let expected = [3, 2, 1].map(|seed| srgb(value(seed, at % WIDTH, at / WIDTH) * stops.exp2()));
                assert!(pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1), "{at}: {pixel:?} {expected:?}");
            }
            let jpeg = shown.jpeg(stops, 90).unwrap();
            assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
        }
    }
}

#[test]
fn small_pictures_are_the_mean_of_the_large_one() {
    let film = on_disk(&one_part(Compression::ZIP1));
    let shown = picture(&film.path, &EXPECT, None, 3).unwrap();
    assert_eq!((shown.width, shown.height), (3, 12));
    let (_, _, rgb) = decoded(&shown.png(-2.0).unwrap());
    // The first pixel is made of 3 columns and of lines 0 to 3.
    let cells = (0..4).flat_map(|y| (0..3).map(move |x| value(3, x, y)));
    let mean = cells.clone().sum::<f32>() / cells.count() as f32;
    assert!(rgb[0].abs_diff(srgb(mean / 4.0)) <= 1, "{} {}", rgb[0], srgb(mean / 4.0));
    for width in [0, 1, u32::MAX] {
        let shown = picture(&film.path, &EXPECT, None, width).unwrap();
        assert!(shown.width >= 1 && shown.width as usize <= WIDTH && shown.height >= 1);
    }
}

#[test]
fn distances_are_shown_from_the_nearest_to_the_farthest_and_directions_around_grey() {
    let depth = on_disk(&multi_part(Compression::ZIP16));
    let (_, _, rgb) = decoded(&picture(&depth.path, &EXPECT, choice("Depth").as_ref(), 100).unwrap().png(0.0).unwrap());
    assert_eq!(rgb[..3], [0, 0, 0]);
    assert_eq!(rgb[rgb.len() - 3..], [255, 255, 255]);

    let normals = ["ViewLayer.Normal.X", "ViewLayer.Normal.Y", "ViewLayer.Normal.Z"];
    let film = on_disk(&file(vec![part("", &[&COLOUR[..], &normals[..]].concat(), Compression::ZIP16)]));
    let shown = picture(&film.path, &EXPECT, choice("Normal").as_ref(), 100).unwrap();
    let (_, _, rgb) = decoded(&shown.png(0.0).unwrap());
    assert!(rgb.iter().all(|level| *level >= 127), "nothing points away");
}

#[test]
fn what_can_not_be_shown_is_said() {
    let film = on_disk(&one_part(Compression::ZIP16));
    let missing = picture(&film.path, &EXPECT, choice("Depth").as_ref(), 100);
    assert!(matches!(missing, Err(FilmError::NoSuchPass { .. })), "{missing:?}");
    let bytes = one_part(Compression::ZIP16);
    let half = on_disk(&bytes[..bytes.len() / 2]);
    assert!(picture(&half.path, &EXPECT, None, 100).is_err());
    assert!(passes(&half.path, &EXPECT).is_err());
    for at in (bytes.len() / 2..bytes.len()).step_by(7) {
        let mut spoiled = bytes.clone();
        spoiled[at] ^= 0x55;
        // An error or other pixels, but never a panic.
        let _ = picture(&on_disk(&spoiled).path, &EXPECT, None, 100);
    }
}
