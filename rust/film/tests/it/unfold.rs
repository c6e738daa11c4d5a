//! An unfolded film holds the film's values.

use crate::make::{self, COLOUR, EXPECT, HEIGHT, WIDTH, value};
use exr::meta::attribute::AttributeValue;
use exr::prelude::{AnyChannel, AnyChannels, Compression, FlatSamples};
use netrender_film::{FilmError, unfold};

#[test]
fn passes_lie_in_blenders_order_with_the_bottom_row_first() {
    let mut part = make::part("", &COLOUR, Compression::ZIP16);
    let mut list = part.channel_data.list;
    for (seed, name) in ["UV.A", "UV.U", "UV.V", "Depth.Z"].iter().enumerate() {
        list.push(AnyChannel::new(format!("ViewLayer.{name}").as_str(), FlatSamples::F32(make::samples(10 + seed))));
    }
    part.channel_data = AnyChannels::sort(list);
    part.attributes.other.insert("cryptomatte/1a/name".into(), AttributeValue::Text("ViewLayer.CryptoObject".into()));
    part.attributes.other.insert("Camera".into(), AttributeValue::Text("Camera".into()));
    let file = make::on_disk(&make::file(vec![part]));
    let folder = tempfile::tempdir().unwrap();

    let unfolded = unfold(&file.path, &EXPECT, folder.path()).unwrap();

    // Seeds of `make::part` count channels alphabetically: A B G R.
    let wanted = [("Combined", "RGBA", vec![3, 2, 1, 0]), ("Depth", "Z", vec![13]), ("UV", "UVA", vec![11, 12, 10])];
    assert_eq!(unfolded.passes.len(), wanted.len());
    for (pass, (name, channels, seeds)) in unfolded.passes.iter().zip(wanted) {
        assert_eq!((pass.layer.as_str(), pass.pass.as_str(), pass.channels.as_str()), ("ViewLayer", name, channels));
        let bytes = std::fs::read(&pass.file).unwrap();
        let mut floats = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_ne_bytes(*four));
        for y in (0..HEIGHT).rev() {
            for x in 0..WIDTH {
                for seed in &seeds {
                    assert_eq!(floats.next(), Some(value(*seed, x, y)), "{name} at {x}, {y}");
                }
            }
        }
        assert_eq!(floats.next(), None);
    }
    let words: Vec<_> = unfolded.words.into_iter().collect();
    assert_eq!(words, [("cryptomatte/1a/name".to_owned(), "ViewLayer.CryptoObject".to_owned())]);
}

#[test]
fn a_film_cut_short_is_refused() {
    let bytes = make::one_part(Compression::ZIP16);
    let file = make::on_disk(&bytes[..bytes.len() - 40]);
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(unfold(&file.path, &EXPECT, folder.path()), Err(FilmError::Truncated { .. })));
}
