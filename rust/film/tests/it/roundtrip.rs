//! Films are read as they were written.

use crate::make::{self, COLOUR, EXPECT, HEIGHT, WIDTH};
use exr::prelude::*;
use netrender_film::{FilmError, PixelType, check, inspect};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, prop_assume, proptest};

fn names(film: &netrender_film::Film) -> Vec<String> {
    let passes = film.layers.iter().flat_map(|layer| layer.passes.iter().map(move |pass| (layer, pass)));
    passes.map(|(layer, pass)| format!("{}/{}/{}", layer.name, pass.name, pass.view.as_deref().unwrap_or(""))).collect()
}

#[test]
fn every_codec_gives_the_pixels_back() {
    let lossless =
        [Compression::Uncompressed, Compression::RLE, Compression::ZIP1, Compression::ZIP16, Compression::PIZ];
    let lossy =
        [Compression::PXR24, Compression::B44, Compression::B44A, Compression::DWAA(None), Compression::DWAB(None)];
    for compression in lossless.into_iter().chain(lossy) {
        for bytes in [make::one_part(compression), make::multi_part(compression)] {
            let file = make::on_disk(&bytes);
            let film = netrender_film::read(&file.path, &EXPECT).unwrap();
            let beauty = film.beauty().unwrap();
            for (seed, channel) in beauty.channels.iter().enumerate() {
                assert_eq!(channel.name, ["A", "B", "G", "R"][seed]);
                for (sample, wanted) in channel.values.iter().zip(make::samples(seed)) {
                    let error = if lossless.contains(&compression) { 0.0 } else { 0.02 };
                    assert!(
                        (sample - wanted).abs() <= error * (1.0 + wanted),
                        "{compression:?}: {sample} for {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn halfs_and_integers_become_floats_and_floats_keep_their_bits() {
    let pixels = WIDTH * HEIGHT;
    let hashes: Vec<f32> =
        (0..pixels as u32).map(|at| f32::from_bits(at.wrapping_mul(0x9e37_79b9) & 0x7f7f_ffff)).collect();
    let mut part = make::part("", &COLOUR, Compression::ZIP16);
    let mut list = part.channel_data.list;
    list.push(AnyChannel::new("ViewLayer.CryptoObject00.r", FlatSamples::F32(hashes.clone())));
    list.push(AnyChannel::new("ViewLayer.IndexOB.X", FlatSamples::U32((0..pixels as u32).collect())));
    list.push(AnyChannel::new("ViewLayer.Mist.Z", FlatSamples::F16(vec![f16::from_f32(0.375); pixels])));
    part.channel_data = AnyChannels::sort(list);
    let file = make::on_disk(&make::file(vec![part]));

    let kinds: Vec<_> = inspect(&file.path).unwrap().parts[0].channels.iter().map(|channel| channel.kind).collect();
    assert_eq!(&kinds[4..], [PixelType::Float, PixelType::Uint, PixelType::Half]);

    let film = netrender_film::read(&file.path, &EXPECT).unwrap();
    let pass = |name| film.layers[0].passes.iter().find(|pass| pass.name == name).unwrap().channels[0].values.clone();
    assert!(pass("CryptoObject00").iter().zip(&hashes).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert_eq!(pass("IndexOB")[300], 300.0);
    assert!(pass("Mist").iter().all(|sample| *sample == 0.375));
}

#[test]
fn names_become_layers_passes_and_views() {
    let file = make::on_disk(&make::file(vec![make::part(
        "",
        &[
            "Composite.Combined.B",
            "Composite.Combined.G",
            "Composite.Combined.R",
            "View.with.dots.Combined.B",
            "View.with.dots.Combined.G",
            "View.with.dots.Combined.R",
            "View.with.dots.Depth.Z",
        ],
        Compression::ZIP16,
    )]));
    let film = netrender_film::read(&file.path, &EXPECT).unwrap();
    assert_eq!(names(&film), ["Composite/Combined/", "View.with.dots/Combined/", "View.with.dots/Depth/"]);
    assert_eq!(film.beauty(), Some(&film.layers[0].passes[0]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Blender's names have up to 63 bytes of any text; it takes dots from the names of AOVs.
    #[test]
    fn a_layer_and_a_pass_may_have_any_name(layer in "\\PC{1,15}", aov in "[^.\\p{C}]{1,15}", codec in 0..3_usize) {
        prop_assume!(aov != "Combined");
        let codec = [Compression::ZIP16, Compression::PIZ, Compression::DWAA(None)][codec];
        let names: Vec<String> = ["Combined.R", "Combined.G", "Combined.B", &format!("{aov}.X")]
            .map(|name| format!("{layer}.{name}"))
            .into();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let file = make::on_disk(&make::file(vec![make::part("", &all, codec)]));
        let film = netrender_film::read(&file.path, &EXPECT).unwrap();
        prop_assert_eq!(film.layers.len(), 1);
        prop_assert_eq!(&film.layers[0].name, &layer);
        prop_assert!(film.layers[0].passes.iter().any(|pass| pass.name == aov && pass.channels[0].name == "X"));
        let values = |name: &str| film.beauty().unwrap().channel(name).unwrap().values.clone();
        for (seed, name) in ["R", "G", "B"].into_iter().enumerate() {
            let far = |(one, wanted): (f32, f32)| (one - wanted).abs() > 0.02 * (1.0 + wanted);
            prop_assert!(!values(name).into_iter().zip(make::samples(seed)).any(far), "{}", name);
        }
        prop_assert!(netrender_film::words(&file.path).unwrap().is_empty());
    }
}

#[test]
fn a_view_may_have_dots_in_its_name() {
    let all = ["A.Combined.eye.001.B", "A.Combined.eye.001.G", "A.Combined.eye.001.R", "A.Mist.eye.Z"];
    let mut part = make::part("", &all, Compression::ZIP16);
    part.attributes.multi_view_names = Some(vec!["eye".into(), "eye.001".into()]);
    let file = make::on_disk(&make::file(vec![part]));
    let film = netrender_film::read(&file.path, &EXPECT).unwrap();
    assert_eq!(names(&film), ["A/Combined/eye.001", "A/Mist/eye"]);
}

#[test]
fn the_compositors_picture_is_the_beauty_wherever_it_is() {
    let colour = |layer: &str| ["B", "G", "R"].map(|channel| format!("{layer}.Combined.{channel}"));
    let all = [colour("Background"), colour("Composite")].concat();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let file = make::on_disk(&make::file(vec![make::part("", &all, Compression::ZIP16)]));
    let film = netrender_film::read(&file.path, &EXPECT).unwrap();
    assert_eq!(film.layers[0].name, "Background");
    assert_eq!(film.beauty(), Some(&film.layers[1].passes[0]));
}

#[test]
fn plain_pictures_are_combined() {
    let file = make::on_disk(&make::file(vec![make::part("", &["B", "G", "R", "Z"], Compression::ZIP16)]));
    let film = netrender_film::read(&file.path, &EXPECT).unwrap();
    assert_eq!(names(&film), ["/Combined/", "/Depth/"]);
}

#[test]
fn a_frame_of_another_job_is_refused() {
    let file = make::on_disk(&make::one_part(Compression::ZIP16));
    let refused = check(&file.path, &netrender_film::Expect { width: 37, height: 9 }).unwrap_err();
    assert_eq!(refused.to_string(), "the picture is 9x37 pixels, but the job renders 37x9");
}

#[test]
fn a_film_without_a_picture_is_refused() {
    let file = make::on_disk(&make::file(vec![make::part("", &["ViewLayer.Depth.Z"], Compression::ZIP16)]));
    inspect(&file.path).unwrap();
    assert!(matches!(check(&file.path, &EXPECT), Err(FilmError::NoColour)));
}
