//! Parts of another frame, damaged parts and lying parts: refused by name, and nothing is left
//! behind.

use crate::frame::{Form, Frame, Plane, covers};
use crate::make::{self, EXPECT, OnDisk};
use exr::prelude::{Compression, FlatSamples};
use netrender_film::FilmError;
use netrender_film::merge::{FrameSpec, MergeError, Merger, Output, PartError, Span};
use proptest::prelude::*;
use std::sync::LazyLock;

const FIRST: Span = Span { start: 0, count: 4 };
const SECOND: Span = Span { start: 4, count: 4 };

fn frame() -> Frame {
    Frame::new(Form::Five, 8)
}

/// The error when the second part is added to a good first one.
fn refused(other: &Frame) -> String {
    let (first, second) = (frame().part(FIRST), other.part(SECOND));
    let mut merger = Merger::new(frame().expect()).unwrap();
    merger.add(&first.path, FIRST).unwrap();
    let error = merger.add(&second.path, SECOND).unwrap_err().to_string();
    // The merger is unchanged.
    assert_eq!(*merger.coverage(), FIRST.into());
    let good = frame().part(SECOND);
    merger.add(&good.path, SECOND).unwrap();
    merger.finish(&first.path.with_file_name("merged.exr"), &Output::default()).unwrap();
    error
}

/// The error when the second part's pixels are read.
fn refused_late(form: Form, spoil: fn(&mut Vec<Plane>)) -> String {
    let frame = Frame::new(form, 8);
    let first = frame.part(FIRST);
    let second = Frame { spoil: Some(spoil), ..frame.clone() }.part(SECOND);
    let mut merger = Merger::new(frame.expect()).unwrap();
    merger.add(&second.path, SECOND).unwrap();
    merger.add(&first.path, FIRST).unwrap();
    let merged = first.path.with_file_name("merged.exr");
    let error = merger.finish(&merged, &Output::default()).unwrap_err();
    let MergeError::Part { part, .. } = &error else { panic!("{error}") };
    assert_eq!(*part, SECOND.into());
    let left: Vec<_> = std::fs::read_dir(first.path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the part itself: {left:?}");
    // Without the bad part, and with a good one in its place, the merge succeeds.
    assert!(merger.forget(part) && !merger.forget(part));
    let good = frame.part(SECOND);
    merger.add(&good.path, SECOND).unwrap();
    merger.finish(&merged, &Output::default()).unwrap();
    error.to_string()
}

fn floats(plane: &mut Plane) -> &mut Vec<f32> {
    match &mut plane.samples {
        FlatSamples::F32(samples) => samples,
        _ => panic!("not floats"),
    }
}

fn spoil(planes: &mut [Plane], pass: &str, channel: &str, value: f32) {
    let is_it = |plane: &&mut Plane| (plane.layer, plane.pass.as_str(), plane.channel) == ("Back", pass, channel);
    floats(planes.iter_mut().find(is_it).unwrap())[20 * 9 + 3] = value;
}

#[test]
fn what_is_no_number_is_refused() {
    let said = |what, value| {
        format!("the part with samples 4 to 7: the channel \"Back.{what}\" has the value {value} at column 3, line 20")
    };
    for form in [Form::Three, Form::Five] {
        let error = refused_late(form, |planes| spoil(planes, "Combined", "G", f32::NAN));
        assert_eq!(error, said("Combined.G", "NaN"));
        let error = refused_late(form, |planes| spoil(planes, "Mist", "Z", f32::INFINITY));
        assert_eq!(error, said("Mist.Z", "inf"));
        let error = refused_late(form, |planes| spoil(planes, "CryptoObject01", "g", f32::NEG_INFINITY));
        assert_eq!(error, said("CryptoObject01.g", "-inf"));
        let error = refused_late(form, |planes| spoil(planes, "Render Time", "X", f32::NAN));
        assert_eq!(error, said("Render Time.X", "NaN"));
    }
}

#[test]
fn other_samples_than_claimed_are_refused() {
    for value in [0.0, 0.5, 2.0] {
        let spoiler: fn(&mut Vec<Plane>) = match value {
            0.0 => |planes| spoil(planes, "Debug Sample Count", "X", 0.0),
            0.5 => |planes| spoil(planes, "Debug Sample Count", "X", 0.5),
            _ => |planes| spoil(planes, "Debug Sample Count", "X", 2.0),
        };
        let error = refused_late(Form::Three, spoiler);
        assert_eq!(
            error,
            format!(
                "the part with samples 4 to 7: the channel \"Back.Debug Sample Count.X\" has the value {value} at \
                 column 3, line 20, which 4 samples cannot give"
            )
        );
    }
    // With adaptive sampling a pixel may have had two of four samples, but no fraction of one.
    let frame = Frame { is_adaptive: true, ..frame() };
    for (value, is_fine) in [(0.5, true), (0.6, false), (0.0, false), (1.25, false)] {
        let spoiler: fn(&mut Vec<Plane>) = match value {
            0.5 => |planes| spoil(planes, "Debug Sample Count", "X", 0.5),
            0.6 => |planes| spoil(planes, "Debug Sample Count", "X", 0.6),
            0.0 => |planes| spoil(planes, "Debug Sample Count", "X", 0.0),
            _ => |planes| spoil(planes, "Debug Sample Count", "X", 1.25),
        };
        let part = Frame { spoil: Some(spoiler), ..frame.clone() }.part(FIRST);
        let mut merger = Merger::new(frame.expect()).unwrap();
        merger.add(&part.path, FIRST).unwrap();
        let sum = merger.sum(&part.path.with_file_name("sum.exr"), &Output::default());
        assert_eq!(sum.is_ok(), is_fine, "{value}: {sum:?}");
    }
}

#[test]
fn overlaps_and_gaps_are_named() {
    let part = frame().part(FIRST);
    let mut merger = Merger::new(frame().expect()).unwrap();
    let nothing = merger.finish(&part.path.with_file_name("merged.exr"), &Output::default()).unwrap_err();
    assert_eq!(nothing.to_string(), "the frame lacks samples 0 to 7");
    merger.add(&part.path, FIRST).unwrap();
    for (offset, samples, said) in [
        (0, 4, "the part with samples 0 to 3: another part has samples 0 to 3, too"),
        (3, 2, "the part with samples 3 to 4: another part has sample 3, too"),
        (6, 3, "the part with samples 6 to 8: the frame has 8 samples"),
        (u32::MAX, u32::MAX, "the part with samples 4294967295 to 8589934589: the frame has 8 samples"),
        (5, 0, "the part with no samples: the frame has 8 samples"),
    ] {
        assert_eq!(merger.add(&part.path, Span { start: offset, count: samples }).unwrap_err().to_string(), said);
    }
    let last = frame().part(Span { start: 6, count: 1 });
    merger.add(&last.path, Span { start: 6, count: 1 }).unwrap();
    let gaps = merger.finish(&part.path.with_file_name("merged.exr"), &Output::default()).unwrap_err();
    assert_eq!(gaps.to_string(), "the frame lacks samples 4 to 5, sample 7");
    assert!(!part.path.with_file_name("merged.exr").exists());
}

#[test]
fn sums_are_of_what_they_say() {
    let (first, second) = (frame().part(FIRST), frame().part(Span { start: 6, count: 2 }));
    let mut merger = Merger::new(frame().expect()).unwrap();
    merger.add(&first.path, FIRST).unwrap();
    merger.add(&second.path, Span { start: 6, count: 2 }).unwrap();
    let sum = first.path.with_file_name("sum.exr");
    assert_eq!(merger.sum(&sum, &Output::default()).unwrap().coverage, covers("0+4,6+2"));
    let mut merger = Merger::new(frame().expect()).unwrap();
    assert_eq!(
        merger.add(&sum, Span { start: 0, count: 6 }).unwrap_err().to_string(),
        "the part with samples 0 to 5: netrender.samples says samples 0 to 3, samples 6 to 7, but it should be \
         samples 0 to 5"
    );
    // A part without such a statement is not a sum.
    let error = merger.add(&first.path, covers("0+2,4+2")).unwrap_err().to_string();
    assert!(error.contains("netrender.samples says nothing"), "{error}");
    let info = merger.add(&sum, covers("0+4,6+2")).unwrap();
    assert_eq!(info.coverage, Some(covers("0+4,6+2")));
}

#[test]
fn parts_of_other_frames_are_refused() {
    let says = |name, value| {
        let mut other = frame();
        other.says.insert(name, value);
        refused(&other)
    };
    assert_eq!(
        says("Software", "Blender 5.2.3"),
        "the part with samples 4 to 7: Software says Blender 5.2.3, but it should be Blender 5.0.1"
    );
    assert!(says("Frame", "008").contains("Frame says 008, but it should be 007"));
    assert!(says("Scene", "Other").contains("Scene says Other"));
    assert_eq!(
        says("cycles.Back.samples", "5"),
        "the part with samples 4 to 7: cycles.Back.samples says 5, but it should be 8"
    );
    assert!(says("cycles.Back.samples", "4").contains("it should be 8"));
    assert!(says("cycles.Back.samples", "many").contains("it should be a number"));
    assert!(says("netrender.samples", "7,1").contains("it should be a list of samples"));
    assert!(refused(&Frame::new(Form::Three, 8)).contains("Software says nothing"));
    // Before 5.0 a film states its own samples, so a render of all samples in place of a part is
    // found out.
    let mut three = Frame::new(Form::Three, 8);
    three.says.insert("cycles.Back.samples", "8");
    let part = three.part(SECOND);
    let error = Merger::new(three.expect()).unwrap().add(&part.path, SECOND).unwrap_err().to_string();
    assert!(error.contains("cycles.Back.samples says 8, but it should be 4"), "{error}");
    // The caller's knowledge of the frame counts from the first part on.
    let part = frame().part(FIRST);
    for expect in [
        FrameSpec { frame: Some(8), ..frame().expect() },
        FrameSpec { build: Some("Blender 5.2.3".into()), ..frame().expect() },
        FrameSpec { picture: netrender_film::Expect { width: 37, height: 9 }, ..frame().expect() },
        FrameSpec { total: 6, ..frame().expect() },
    ] {
        let error = Merger::new(expect).unwrap().add(&part.path, FIRST).unwrap_err();
        assert!(matches!(error, MergeError::Part { .. }), "{error}");
    }
    let expect = FrameSpec { frame: Some(7), build: Some("Blender 5.0.1".into()), ..frame().expect() };
    Merger::new(expect).unwrap().add(&part.path, FIRST).unwrap();
}

#[test]
fn other_channels_are_refused() {
    let spoiled = |spoil: fn(&mut Vec<Plane>)| refused(&Frame { spoil: Some(spoil), ..frame() });
    let error = spoiled(|planes| planes.retain(|plane| (plane.layer, plane.pass.as_str()) != ("Back", "Mist")));
    assert_eq!(error, "the part with samples 4 to 7: it lacks the channel \"Back.Mist.Z\"");
    let error = spoiled(|planes| {
        planes.push(Plane {
            layer: "Back",
            pass: "AOV".into(),
            view: None,
            channel: "X",
            samples: FlatSamples::F32(vec![0.0; 333]),
        });
    });
    assert!(error.contains("the channel \"Back.AOV.X\" is not in the other parts"), "{error}");
    let error = spoiled(|planes| {
        let mist = planes.iter_mut().find(|plane| plane.pass == "Mist").unwrap();
        mist.samples = FlatSamples::F16(vec![exr::prelude::f16::ONE; 333]);
    });
    assert!(error.contains("the channel \"View.Слой ✨.Mist.Z\" is not in"), "{error}");
}

#[test]
fn passes_without_a_rule_are_refused() {
    let refused = |spoil: fn(&mut Vec<Plane>)| {
        let part = Frame { spoil: Some(spoil), ..frame() }.part(FIRST);
        Merger::new(frame().expect()).unwrap().add(&part.path, FIRST).unwrap_err()
    };
    let error =
        refused(|planes| planes.iter_mut().filter(|p| p.pass == "Mist").for_each(|p| p.pass = "Shadow Catcher".into()));
    assert!(matches!(error, MergeError::Part { reason: PartError::NoRule { .. }, .. }), "{error}");
    let error = refused(|planes| planes.retain(|plane| plane.pass != "Glossy Color"));
    assert!(error.to_string().contains("it lacks the channel \"View.Слой ✨.Glossy Color."), "{error}");
    let error =
        refused(|planes| planes.retain(|plane| (plane.pass.as_str(), plane.channel) != ("CryptoObject00", "g")));
    assert!(error.to_string().contains("lacks a rank"), "{error}");
    let error = refused(|planes| {
        for plane in planes.iter_mut().filter(|plane| plane.pass.starts_with("Crypto")) {
            plane.samples = FlatSamples::F16(vec![exr::prelude::f16::ONE; 333]);
        }
    });
    assert!(error.to_string().contains("32 bits"), "{error}");
    let error = refused(|planes| {
        let mist = planes.iter_mut().find(|plane| plane.pass == "Glossy Color").unwrap();
        mist.samples = FlatSamples::U32(vec![1; 333]);
    });
    assert!(error.to_string().contains("whole numbers"), "{error}");
    let adaptive = FrameSpec { is_adaptive: true, ..frame().expect() };
    let part = Frame { spoil: Some(|planes| planes.retain(|plane| plane.pass != "Debug Sample Count")), ..frame() };
    let part = part.part(FIRST);
    let error = Merger::new(adaptive).unwrap().add(&part.path, FIRST).unwrap_err();
    assert!(error.to_string().contains("Debug Sample Count"), "{error}");
}

#[test]
fn frames_that_cannot_be_cut_are_refused() {
    for samples in [0, (1 << 24) + 1, u32::MAX] {
        assert!(matches!(Merger::new(FrameSpec::new(EXPECT, samples)), Err(MergeError::Impossible(_))));
    }
    let mut expect = frame().expect();
    expect.layers.insert("Back".into(), 9);
    assert!(Merger::new(expect).unwrap_err().to_string().contains("\"Back\" has 9 samples and the frame 8"));
}

/// A few KB that would take gigabytes to unpack, and twice as many to sum up.
#[test]
fn forged_sizes_are_refused_before_anything_is_unpacked() {
    let names: Vec<String> = (0..300).map(|number| format!("ViewLayer.Combined.C{number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend(make::COLOUR);
    let mut bytes = make::file(vec![make::part("", &names, Compression::ZIP16)]);
    let window = make::attribute(&bytes, "dataWindow", "box2i");
    bytes[window + 8..window + 12].copy_from_slice(&65_535_i32.to_le_bytes());
    let forged = make::on_disk(&bytes);
    let wide = netrender_film::Expect { width: 65_536, height: EXPECT.height };
    let error = Merger::new(FrameSpec::new(wide, 8)).unwrap().add(&forged.path, FIRST).unwrap_err();
    assert!(matches!(error, MergeError::Part { reason: PartError::Film(FilmError::TooLarge { .. }), .. }), "{error}");
}

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let codecs = [Compression::ZIP16, Compression::PIZ, Compression::Uncompressed];
    let parts = codecs.iter().flat_map(|codec| {
        [Form::Three, Form::Five].map(|form| Frame { compression: *codec, ..Frame::new(form, 8) }.part(SECOND))
    });
    parts.map(|part| std::fs::read(&part.path).unwrap()).collect()
});

/// The first parts of [`FILES`].
static GOOD: LazyLock<Vec<OnDisk>> =
    LazyLock::new(|| [Form::Three, Form::Five].map(|form| Frame::new(form, 8).part(FIRST)).into());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_bytes_end_in_a_film_or_in_words(
        file in 0..6_usize,
        changes in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..8),
        only_header in any::<bool>(),
        is_first in any::<bool>(),
        is_adaptive in any::<bool>(),
    ) {
        let mut bytes = FILES[file].clone();
        let range = if only_header { 2500.min(bytes.len()) } else { bytes.len() };
        for (at, byte) in changes {
            bytes[(range as f64 * at) as usize] = byte;
        }
        let spoiled = make::on_disk(&bytes);
        let mut merger = Merger::new(FrameSpec { is_adaptive, ..frame().expect() }).unwrap();
        let mut parts = [(&spoiled, SECOND), (&GOOD[file % 2], FIRST)];
        if !is_first {
            parts.reverse();
        }
        let added = parts.map(|(part, span)| merger.add(&part.path, span));
        let merged = spoiled.path.with_file_name("merged.exr");
        match merger.finish(&merged, &Output::default()) {
            Ok(_) => {
                prop_assert!(added.iter().all(Result::is_ok));
                netrender_film::read(&merged, &EXPECT).unwrap();
            }
            Err(_) => prop_assert!(!merged.exists()),
        }
    }
}

#[test]
fn a_part_of_fewer_samples_in_all_is_welcome_where_a_frame_may_grow() {
    let (before, after) = (Frame::new(Form::Five, 4).whole(), frame().part(SECOND));
    let mut merger = Merger::new(frame().expect()).unwrap();
    let refused = merger.add(&before.path, FIRST).unwrap_err().to_string();
    assert!(refused.contains("samples says 4, but it should be 8"), "{refused}");
    // Where samples are the same however many there are, it is the frame's first half.
    let grows = FrameSpec { can_grow: true, ..frame().expect() };
    let mut merger = Merger::new(grows.clone()).unwrap();
    merger.add(&before.path, FIRST).unwrap();
    merger.add(&after.path, SECOND).unwrap();
    let merged = after.path.with_file_name("merged.exr");
    merger.finish(&merged, &Output::default()).unwrap();
    // Its header states the present total: without growing it is complete.
    let mut again = Merger::new(frame().expect()).unwrap();
    again.add(&merged, Span { start: 0, count: 8 }).unwrap();
    // A part with a larger total, or of samples that it cannot have, is refused.
    for (other, span) in [(Frame::new(Form::Five, 16), FIRST), (Frame::new(Form::Five, 4), SECOND)] {
        let part = other.part(span);
        let mut merger = Merger::new(grows.clone()).unwrap();
        merger.add(&part.path, span).unwrap_err();
    }
}
