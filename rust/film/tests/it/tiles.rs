//! Tiles make exactly the film that one render would have made, in any cut and order and through
//! any sums.

use crate::frame::{Form, Frame, Plane, cut, planes};
use crate::make::{EXPECT, HEIGHT, OnDisk, WIDTH};
use exr::prelude::{Compression, FlatSamples};
use netrender_film::inspect;
use netrender_film::merge::{Codec, Coverage, FrameSpec, Merger, Output, Span};
use proptest::prelude::*;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};

const LINES: u32 = HEIGHT as u32;

fn frames() -> impl Strategy<Value = Frame> {
    let form = prop_oneof![Just(Form::Three), Just(Form::Five)];
    let views = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["left", "right"])];
    let codec = prop_oneof![
        Just(Compression::ZIP16),
        Just(Compression::ZIP1),
        Just(Compression::PIZ),
        Just(Compression::Uncompressed)
    ];
    (form, views, codec, any::<bool>()).prop_map(|(form, views, compression, is_adaptive)| Frame {
        views,
        compression,
        is_adaptive,
        ..Frame::new(form, 8)
    })
}

fn with_overlap(span: Span, overlap: u32) -> Range<usize> {
    span.start.saturating_sub(overlap) as usize..(span.start + span.count + overlap).min(LINES) as usize
}

fn tile(frame: &Frame, span: Span, overlap: u32) -> OnDisk {
    frame.tile(with_overlap(span, overlap))
}

/// Bits of each value, by name: object ids are not numbers.
fn bits(film: &Path) -> Vec<(String, Vec<u32>)> {
    planes(film).into_iter().map(|(name, plane)| (name, plane.into_iter().map(f32::to_bits).collect())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_tiles_in_any_order_are_the_direct_film(
        frame in frames(),
        cuts in prop::collection::vec(any::<u32>(), 1..7),
        overlap in 0..6_u32,
        turn in any::<prop::sample::Index>(),
        threads in 1..4_usize,
    ) {
        let mut spans = cut(LINES, &cuts);
        let turn = turn.index(spans.len());
        spans.rotate_left(turn);
        let tiles: Vec<_> = spans.iter().map(|span| tile(&frame, *span, overlap)).collect();
        let mut merger = Merger::new(FrameSpec::tiles(EXPECT, overlap)).unwrap();
        for (span, tile) in spans.iter().zip(&tiles) {
            merger.add(&tile.path, *span).unwrap();
        }
        let direct = frame.whole();
        let merged = direct.path.with_file_name("merged.exr");
        let output = Output { threads: NonZero::new(threads).unwrap(), wants_beauty: true, ..Output::default() };
        let beauty = merger.finish(&merged, &output).unwrap().beauty.unwrap();
        prop_assert_eq!(bits(&merged), bits(&direct.path));
        prop_assert_eq!(inspect(&merged).unwrap(), inspect(&direct.path).unwrap());
        prop_assert_eq!((beauty.width, beauty.height), (EXPECT.width, EXPECT.height));
    }

    #[test]
    fn sums_of_sums_are_the_direct_film(
        frame in frames(),
        cuts in prop::collection::vec(any::<u32>(), 2..7),
        overlap in 0..6_u32,
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 8),
    ) {
        let spans = cut(LINES, &cuts);
        let tiles: Vec<_> = spans.iter().map(|span| tile(&frame, *span, overlap)).collect();
        let mut films: Vec<(Coverage, PathBuf)> =
            spans.iter().zip(&tiles).map(|(span, tile)| (Coverage::from(*span), tile.path.clone())).collect();
        let folder = tempfile::tempdir().unwrap();
        for (step, (one, other)) in picks.iter().enumerate() {
            if films.len() <= 2 {
                break;
            }
            let mut merger = Merger::new(FrameSpec::tiles(EXPECT, overlap)).unwrap();
            for pick in [one, other] {
                let (coverage, path) = films.swap_remove(pick.index(films.len()));
                merger.add(&path, coverage).unwrap();
            }
            let path = folder.path().join(format!("{step}.exr"));
            let codec = [Codec::None, Codec::Zip, Codec::Piz][step % 3];
            let merged = merger.sum(&path, &Output { codec: Some(codec), ..Output::default() }).unwrap();
            films.push((merged.coverage, path));
        }
        let mut merger = Merger::new(FrameSpec::tiles(EXPECT, overlap)).unwrap();
        for (coverage, path) in &films {
            merger.add(path, coverage.clone()).unwrap();
        }
        let merged = folder.path().join("merged.exr");
        merger.finish(&merged, &Output::default()).unwrap();
        prop_assert_eq!(bits(&merged), bits(&frame.whole().path));
    }
}

const UPPER: Span = Span { start: 0, count: 20 };
const LOWER: Span = Span { start: 20, count: LINES - 20 };

fn merger() -> Merger {
    Merger::new(FrameSpec::tiles(EXPECT, 2)).unwrap()
}

/// The error when a lower tile is added to a good upper one.
fn refused(lower: &Path) -> String {
    let upper = tile(&Frame::new(Form::Five, 8), UPPER, 2);
    let mut merger = merger();
    merger.add(&upper.path, UPPER).unwrap();
    let merged = upper.path.with_file_name("merged.exr");
    let added = merger.add(lower, LOWER).map(drop);
    added.and_then(|()| merger.finish(&merged, &Output::default()).map(drop)).unwrap_err().to_string()
}

#[test]
fn lines_that_nobody_rendered_are_black_and_the_film_says_so() {
    let frame = Frame::new(Form::Three, 8);
    let lower = tile(&frame, LOWER, 2);
    let mut merger = merger();
    merger.add(&lower.path, LOWER).unwrap();
    assert!(merger.finish(&lower.path.with_file_name("all.exr"), &Output::default()).is_err());
    let sum = lower.path.with_file_name("sum.exr");
    merger.sum(&sum, &Output::default()).unwrap();
    let whole = frame.whole();
    for ((name, ours), (_, wanted)) in bits(&sum).iter().zip(bits(&whole.path)) {
        assert!(ours[..20 * WIDTH].iter().all(|bits| *bits == 0), "{name}");
        assert_eq!(ours[20 * WIDTH..], wanted[20 * WIDTH..], "{name}");
    }
    let bytes = std::fs::read(&sum).unwrap();
    assert!(bytes.windows(5).any(|window| window == b"20+17"));
    // A sum is a part like any other, but only of the lines it states.
    assert!(self::merger().add(&sum, LOWER).is_ok());
    let lie = self::merger().add(&sum, Span { start: 19, count: 18 }).unwrap_err().to_string();
    assert!(lie.contains("netrender.lines says lines 20 to 36, but it should be lines 19 to 36"), "{lie}");
}

fn spoil(planes: &mut [Plane], line: usize) {
    let FlatSamples::F32(samples) = &mut planes[0].samples else { panic!("not floats") };
    samples[line * WIDTH] = f32::NAN;
}

#[test]
fn what_is_no_tile_of_the_frame_is_refused() {
    let frame = Frame::new(Form::Five, 8);
    let whole = frame.whole();
    assert!(refused(&whole.path).contains("netrender.lines says nothing"), "a whole film is no tile");
    let short = tile(&frame, LOWER, 1);
    assert!(refused(&short.path).contains("37"), "{}", refused(&short.path));
    let fewer = tile(&Frame::new(Form::Five, 4), LOWER, 2);
    assert!(refused(&fewer.path).contains("cycles.*.samples"), "{}", refused(&fewer.path));
    let bad = tile(&Frame { spoil: Some(|planes| spoil(planes, 20)), ..frame.clone() }, LOWER, 2);
    assert!(refused(&bad.path).contains("the value NaN at column 0, line 20"), "{}", refused(&bad.path));
    // Lines that are not the tile's own are not read.
    let any = |planes: &mut Vec<Plane>| {
        let depth = planes.iter_mut().find(|plane| plane.pass == "Depth").unwrap();
        let FlatSamples::F32(samples) = &mut depth.samples else { panic!("not floats") };
        samples[20 * WIDTH] = f32::INFINITY;
    };
    let odd = Frame { spoil: Some(any), ..frame.clone() };
    let [upper_odd, lower_odd] = [UPPER, LOWER].map(|span| tile(&odd, span, 2));
    let mut odd_ones = merger();
    odd_ones.add(&upper_odd.path, UPPER).unwrap();
    odd_ones.add(&lower_odd.path, LOWER).unwrap();
    let merged = upper_odd.path.with_file_name("merged.exr");
    odd_ones.finish(&merged, &Output::default()).unwrap();
    assert_eq!(bits(&merged), bits(&odd.whole().path));
    let around = tile(&Frame { spoil: Some(|planes| spoil(planes, 19)), ..frame.clone() }, LOWER, 2);
    let upper = tile(&frame, UPPER, 2);
    let mut merger = merger();
    merger.add(&around.path, LOWER).unwrap();
    merger.add(&upper.path, UPPER).unwrap();
    let merged = upper.path.with_file_name("merged.exr");
    merger.finish(&merged, &Output::default()).unwrap();
    assert_eq!(bits(&merged), bits(&whole.path));
    assert!(Merger::new(FrameSpec { total: 36, ..FrameSpec::tiles(EXPECT, 2) }).is_err());
}
