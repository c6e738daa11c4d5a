//! Parts make the film that one render would have made, in any cut and order and through any sums.

use crate::frame::{Form, Frame, LAYERS, covers, cut, difference, planes};
use crate::make::EXPECT;
use exr::prelude::Compression;
use netrender_film::merge::{Codec, Coverage, Merger, Output, Span};
use netrender_film::{inspect, read};
use proptest::prelude::*;
use std::num::NonZero;
use std::path::{Path, PathBuf};

fn output(threads: usize) -> Output {
    Output { threads: NonZero::new(threads).unwrap(), ..Output::default() }
}

/// Allowed difference of two films of the same samples: half of the last bit each of a part, of a
/// sum and of the direct film.
const CLOSE: f64 = 1e-6;
/// Sums of sums are rounded at each step.
const CLOSE_SUMS: f64 = 2e-6;

fn frames() -> impl Strategy<Value = (Frame, Vec<u32>)> {
    let form = prop_oneof![Just(Form::Three), Just(Form::Five)];
    let views = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["left", "right"])];
    let cuts = prop::collection::vec(any::<u32>(), 1..9);
    (form, 2..40_u32, views, any::<bool>(), any::<u32>(), cuts).prop_map(
        |(form, samples, views, adaptive, back, cuts)| {
            let mut frame = Frame::new(form, samples);
            frame.views = views;
            frame.is_adaptive = adaptive;
            frame.back = 1 + back % samples;
            (frame, cuts)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_cut_in_any_order_is_the_direct_film(
        (frame, cuts) in frames(),
        order in any::<prop::sample::Index>(),
        threads in 1..4_usize,
    ) {
        let mut spans = cut(frame.samples, &cuts);
        let direct = frame.film_of(&spans);
        let turn = order.index(spans.len());
        spans.rotate_left(turn);
        spans.reverse();
        let parts: Vec<_> = spans.iter().map(|span| (*span, frame.part(*span))).collect();
        let mut merger = Merger::new(frame.expect()).unwrap();
        for (span, part) in &parts {
            merger.add(&part.path, *span).unwrap();
        }
        let merged = parts[0].1.path.with_file_name("merged.exr");
        merger.finish(&merged, &output(threads)).unwrap();
        let (apart, place) = difference(&merged, &direct.path);
        prop_assert!(apart <= CLOSE, "{apart:e}: {place}");
    }

    #[test]
    fn sums_of_sums_are_the_direct_film(
        (frame, cuts) in frames(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 16),
    ) {
        let spans = cut(frame.samples, &cuts);
        let direct = frame.film_of(&spans);
        let folder = tempfile::tempdir().unwrap();
        let parts: Vec<_> = spans.iter().map(|span| frame.part(*span)).collect();
        let mut films: Vec<(Coverage, PathBuf)> =
            spans.iter().zip(&parts).map(|(span, part)| (Coverage::from(*span), part.path.clone())).collect();
        // Any two become one, with another codec, until two are left.
        for (step, (one, other)) in picks.iter().enumerate() {
            if films.len() <= 2 {
                break;
            }
            let mut merger = Merger::new(frame.expect()).unwrap();
            for pick in [one, other] {
                let (coverage, path) = films.swap_remove(pick.index(films.len()));
                merger.add(&path, coverage).unwrap();
            }
            let path = folder.path().join(format!("{step}.exr"));
            let codec = [Codec::None, Codec::Zip, Codec::Piz][step % 3];
            let merged = merger.sum(&path, &Output { codec: Some(codec), ..output(2) }).unwrap();
            prop_assert_eq!(&merged.coverage, merger.coverage());
            films.push((merged.coverage, path));
        }
        let mut merger = Merger::new(frame.expect()).unwrap();
        for (coverage, path) in &films {
            merger.add(path, coverage.clone()).unwrap();
        }
        let merged = folder.path().join("merged.exr");
        merger.finish(&merged, &output(1)).unwrap();
        let (apart, place) = difference(&merged, &direct.path);
        prop_assert!(apart <= CLOSE_SUMS, "{apart:e}: {place}");
    }
}

fn two(frame: &Frame) -> (Merger, Vec<crate::make::OnDisk>) {
    let mut merger = Merger::new(frame.expect()).unwrap();
    let half = frame.samples / 2;
    let spans = [Span { start: half, count: frame.samples - half }, Span { start: 0, count: half }];
    let parts: Vec<_> = spans.iter().map(|span| frame.part(*span)).collect();
    for (span, part) in spans.into_iter().zip(&parts) {
        merger.add(&part.path, span).unwrap();
    }
    (merger, parts)
}

fn holds(path: &Path, text: &str) -> bool {
    std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_header_is_that_of_the_first_samples() {
    for form in [Form::Three, Form::Five] {
        let mut frame = Frame::new(form, 8);
        frame.says.insert("Date", "this one");
        let (merger, parts) = two(&frame);
        let merged = parts[0].path.with_file_name("merged.exr");
        merger.finish(&merged, &Output::default()).unwrap();
        assert_eq!(inspect(&merged).unwrap(), inspect(&parts[1].path).unwrap());
        assert!(holds(&merged, r#"{"Cube":"a8fce865"}"#) && holds(&merged, "this one"));
        // The header of the whole film states all samples, and not that it is a sum.
        assert!(holds(&merged, "cycles.View.Слой ✨.samples\0string\0\x01\0\0\x008"));
        assert!(!holds(&merged, "netrender.samples"));
        // The merged film is as good a part as one that Blender wrote.
        let mut again = Merger::new(frame.expect()).unwrap();
        let info = again.add(&merged, Span { start: 0, count: 8 }).unwrap();
        for layer in LAYERS {
            assert!(info.layers.contains(&(layer.into(), Some(8))), "{:?}", info.layers);
        }
        assert_eq!((info.scene.as_deref(), info.frame.as_deref()), (Some("Scene"), Some("007")));
        assert_eq!(info.build.is_some(), form == Form::Five);
    }
}

#[test]
fn every_codec_will_do_for_parts_and_for_the_film() {
    let codecs = [
        (Codec::None, Compression::Uncompressed),
        (Codec::Rle, Compression::RLE),
        (Codec::Zips, Compression::ZIP1),
        (Codec::Zip, Compression::ZIP16),
        (Codec::Piz, Compression::PIZ),
    ];
    for form in [Form::Three, Form::Five] {
        let direct = Frame::new(form, 6).whole();
        for (codec, compression) in codecs {
            let frame = Frame { compression, ..Frame::new(form, 6) };
            let (merger, parts) = two(&frame);
            for chosen in [None, Some(Codec::Zip), Some(codec)] {
                let merged = parts[0].path.with_file_name("merged.exr");
                merger.finish(&merged, &Output { codec: chosen, ..output(2) }).unwrap();
                let (apart, place) = difference(&merged, &direct.path);
                assert!(apart <= CLOSE, "{codec:?} to {chosen:?}: {apart:e}: {place}");
            }
        }
        for lossy in [Codec::Pxr24, Codec::B44, Codec::B44a, Codec::Dwaa, Codec::Dwab] {
            let (merger, parts) = two(&Frame::new(form, 6));
            let merged = parts[0].path.with_file_name("merged.exr");
            merger.finish(&merged, &Output { codec: Some(lossy), ..output(2) }).unwrap();
            let (ours, wanted) = (planes(&merged), planes(&direct.path));
            let name = "Back/Combined//G";
            assert!(ours[name].iter().zip(&wanted[name]).all(|(a, b)| (a - b).abs() < 0.2), "{lossy:?}");
        }
    }
}

#[test]
fn the_picture_comes_along() {
    for form in [Form::Three, Form::Five] {
        let mut frame = Frame::new(form, 6);
        frame.views = vec!["left", "right"];
        let (merger, parts) = two(&frame);
        let merged = parts[0].path.with_file_name("merged.exr");
        let beauty = merger.finish(&merged, &Output { wants_beauty: true, ..output(3) }).unwrap().beauty.unwrap();
        assert_eq!(beauty.layers.len(), 1);
        assert_eq!(beauty.beauty(), read(&merged, &EXPECT).unwrap().beauty());
    }
}

#[test]
fn a_sum_may_lie_where_one_of_its_parts_does() {
    let frame = Frame::new(Form::Five, 9);
    let direct = frame.whole();
    let spans = cut(9, &[2, 4, 5]);
    let sum = frame.part(spans[0]);
    let mut coverage = Coverage::from(spans[0]);
    for span in &spans[1..] {
        let part = frame.part(*span);
        let mut merger = Merger::new(frame.expect()).unwrap();
        merger.add(&sum.path, coverage).unwrap();
        merger.add(&part.path, *span).unwrap();
        coverage = merger.sum(&sum.path, &output(2)).unwrap().coverage;
    }
    assert_eq!(coverage, covers("0+9"));
    let (apart, place) = difference(&sum.path, &direct.path);
    assert!(apart <= CLOSE_SUMS, "{apart:e}: {place}");
}

/// The mean of denoised pictures is not a denoised picture; the noisy ones are merged to be
/// denoised together.
#[test]
fn denoised_parts_give_the_noisy_picture() {
    let mut frame = Frame::new(Form::Five, 6);
    let direct = frame.whole();
    frame.spoil = Some(|planes| {
        for plane in planes.iter_mut().filter(|plane| plane.pass == "Combined") {
            plane.pass = "Noisy Image".into();
        }
        let noisy: Vec<_> = planes.iter().filter(|plane| plane.pass == "Noisy Image").collect();
        let denoised = noisy.iter().map(|plane| crate::frame::Plane {
            layer: plane.layer,
            pass: "Combined".into(),
            view: plane.view,
            channel: plane.channel,
            samples: exr::prelude::FlatSamples::F32(vec![0.25; 333]),
        });
        let denoised: Vec<_> = denoised.collect();
        planes.extend(denoised);
    });
    let (merger, parts) = two(&frame);
    let merged = parts[0].path.with_file_name("merged.exr");
    merger.finish(&merged, &output(1)).unwrap();
    let (ours, wanted) = (planes(&merged), planes(&direct.path));
    for channel in ["R", "G", "B", "A"] {
        let wanted = &wanted[&format!("View.Слой ✨/Combined//{channel}")];
        for pass in ["Combined", "Noisy Image"] {
            let ours = &ours[&format!("View.Слой ✨/{pass}//{channel}")];
            assert!(ours.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= b * 1e-6), "{pass}.{channel}");
        }
    }
}
