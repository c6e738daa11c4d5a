//! Blender's own files (see fixtures/README.md), against the values that OpenEXR's C++ library
//! reads in them.

use netrender_film::{Expect, Film, check, read};
use std::path::PathBuf;

const EXPECT: Expect = Expect { width: 8, height: 6 };

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn film(name: &str) -> Film {
    check(&fixture(name), &EXPECT).unwrap();
    read(&fixture(name), &EXPECT).unwrap()
}

/// The value at row 3, column 3.
fn at(film: &Film, layer: &str, pass: &str, view: Option<&str>, channel: &str) -> f32 {
    let layer = film.layers.iter().find(|found| found.name == layer).unwrap();
    let pass = layer.passes.iter().find(|found| found.name == pass && found.view.as_deref() == view).unwrap();
    pass.channel(channel).unwrap().values[3 * 8 + 3]
}

#[test]
fn blender_3_4_with_a_compositor() {
    let film = film("blender-3.4.1-composite.exr");
    assert_eq!(film.layers.iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>(), ["Composite", "ViewLayer"]);
    assert_eq!(at(&film, "Composite", "Combined", None, "R"), 0.045_837_402);
    assert_eq!(at(&film, "Composite", "Combined", None, "A"), 1.0);
    assert_eq!(at(&film, "ViewLayer", "Depth", None, "Z"), 10.437_693);
    assert_eq!(at(&film, "ViewLayer", "CryptoObject00", None, "r").to_bits(), 0xa8fc_e865);
    assert_eq!(film.beauty(), Some(&film.layers[0].passes[0]));
}

#[test]
fn blender_3_4_with_two_views() {
    let film = film("blender-3.4.1-views.exr");
    assert_eq!(at(&film, "ViewLayer", "Combined", Some("left"), "R"), 0.045_837_402);
    assert_eq!(at(&film, "ViewLayer", "Combined", Some("right"), "R"), 0.018_081_665);
    assert_eq!(film.beauty().unwrap().view.as_deref(), Some("left"));
}

#[test]
fn blender_5_0_in_many_parts() {
    let film = film("blender-5.0.1-multi-part.exr");
    assert_eq!(film.layers.iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>(), ["ViewLayer", "Back"]);
    assert_eq!(at(&film, "ViewLayer", "Combined", None, "R"), 0.106_689_45);
    assert_eq!(at(&film, "ViewLayer", "Depth", None, "Z"), 10.437_693);
    assert_eq!(at(&film, "ViewLayer", "CryptoObject00", None, "r").to_bits(), 0xa8fc_e865);
}

#[test]
fn blender_5_0_with_two_views() {
    let film = film("blender-5.0.1-views.exr");
    assert_eq!(film.layers.len(), 2);
    assert_eq!(at(&film, "ViewLayer", "Combined", Some("left"), "R"), 0.106_689_45);
    assert_eq!(at(&film, "ViewLayer", "Combined", Some("right"), "R"), 0.041_168_213);
}

#[test]
fn blender_5_0_plain_and_dwaa() {
    assert_eq!(at(&film("blender-5.0.1-plain.exr"), "", "Combined", None, "R"), 0.106_689_45);
    let film = film("blender-5.0.1-dwaa.exr");
    assert_eq!(at(&film, "ViewLayer", "Combined", None, "R"), 0.106_689_45);
}

/// In a file of one part, DWAA packs normals lossily; whether it bends them first is stated in the
/// file, not by the channel's name.
#[test]
fn blender_3_4_dwaa_keeps_normals_straight() {
    let film = film("blender-3.4.1-dwaa.exr");
    let layer = film.layers.iter().find(|layer| layer.name == "ViewLayer").unwrap();
    let normal = layer.passes.iter().find(|pass| pass.name == "Normal").unwrap();
    let sample = normal.channel("Y").unwrap().values[2 * 8 + 3];
    assert!((sample + 0.498_046_88).abs() < 1e-4, "{sample}");
}
