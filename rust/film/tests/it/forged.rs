//! Truncated files, changed bytes and forged numbers: refused in words, without a panic and without
//! allocating the memory they claim.

use crate::make::{self, EXPECT, HEIGHT};
use exr::prelude::Compression;
use netrender_film::{FilmError, check, inspect, read};
use proptest::prelude::*;
use std::sync::LazyLock;

const CODECS: [Compression; 10] = [
    Compression::Uncompressed,
    Compression::RLE,
    Compression::ZIP1,
    Compression::ZIP16,
    Compression::PIZ,
    Compression::PXR24,
    Compression::B44,
    Compression::B44A,
    Compression::DWAA(None),
    Compression::DWAB(None),
];

static FILES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| CODECS.iter().flat_map(|codec| [make::one_part(*codec), make::multi_part(*codec)]).collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_truncation_is_refused(file in 0..20_usize, keep in 0.0..1.0_f64) {
        let whole = &FILES[file];
        let cut = &whole[..(whole.len() as f64 * keep) as usize];
        let file = make::on_disk(cut);
        prop_assert!(check(&file.path, &EXPECT).is_err());
        prop_assert!(read(&file.path, &EXPECT).is_err());
    }

    #[test]
    fn changed_bytes_end_in_a_film_or_in_words(
        file in 0..20_usize,
        changes in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..12),
        only_header in any::<bool>(),
    ) {
        let mut bytes = FILES[file].clone();
        let range = if only_header { 700.min(bytes.len()) } else { bytes.len() };
        for (at, byte) in changes {
            bytes[(range as f64 * at) as usize] = byte;
        }
        let file = make::on_disk(&bytes);
        let checked = check(&file.path, &EXPECT);
        let film = read(&file.path, &EXPECT);
        prop_assert!(checked.is_ok() || film.is_err());
        if let Ok(film) = film {
            prop_assert_eq!((film.width, film.height), (EXPECT.width, EXPECT.height));
        }
    }
}

/// The last bytes are the likeliest to be missing.
#[test]
fn each_of_the_last_bytes_counts() {
    for whole in FILES.iter() {
        for missing in 1..40 {
            let file = make::on_disk(&whole[..whole.len() - missing]);
            assert!(matches!(check(&file.path, &EXPECT), Err(FilmError::Truncated { .. })));
        }
    }
}

fn spoiled(at: usize, with: &[u8]) -> FilmError {
    spoil(make::one_part(Compression::ZIP16), at, with)
}

fn spoil(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> FilmError {
    bytes[at..at + with.len()].copy_from_slice(with);
    let file = make::on_disk(&bytes);
    inspect(&file.path).unwrap_err()
}

fn one() -> Vec<u8> {
    make::one_part(Compression::ZIP16)
}

#[test]
fn forged_sizes_are_refused() {
    let window = make::attribute(&one(), "dataWindow", "box2i");
    let corners = |corners: [i32; 4]| corners.map(i32::to_le_bytes).concat();
    let refused = |window_is: [i32; 4]| spoiled(window, &corners(window_is));
    assert!(matches!(refused([i32::MIN, i32::MIN, i32::MAX, i32::MAX]), FilmError::TooLarge { .. }));
    assert!(matches!(refused([0, 0, i32::MAX, 36]), FilmError::TooLarge { .. }));
    assert!(matches!(refused([0, 0, 8, 65_536]), FilmError::TooLarge { .. }));
    assert!(matches!(refused([0, 0, 8, 65_535]), FilmError::Damaged(_)));
    assert!(matches!(refused([0, 0, -1, 36]), FilmError::Damaged(_)));
    assert!(matches!(refused([i32::MAX - 8, 0, i32::MAX, 36]), FilmError::TooLarge { .. }));
    // So small a file cannot hold a table of 4096 chunks.
    let mut bytes = one();
    bytes[window..window + 16].copy_from_slice(&corners([0, 0, 8, 65_535]));
    let count = make::attribute(&bytes, "chunkCount", "int");
    assert!(matches!(spoil(bytes, count, &4096_i32.to_le_bytes()), FilmError::Truncated { .. }));
    // The height is right, but the lines are much longer than the packed ones: only unpacking can
    // tell.
    let mut bytes = one();
    bytes[window..window + 16].copy_from_slice(&corners([0, 0, 65_535, HEIGHT as i32 - 1]));
    let file = make::on_disk(&bytes);
    let wide = netrender_film::Expect { width: 65_536, height: HEIGHT as u32 };
    assert!(matches!(read(&file.path, &wide), Err(FilmError::Damaged(_))));
}

#[test]
fn forged_attribute_sizes_are_refused() {
    let channels = make::attribute(&one(), "channels", "chlist");
    for size in [i32::MAX, -1, 1, 100_000_000] {
        let error = spoiled(channels - 4, &size.to_le_bytes());
        assert!(matches!(error, FilmError::TooLarge { .. } | FilmError::Damaged(_)), "{size}: {error}");
    }
}

#[test]
fn forged_channel_counts_are_refused() {
    let bytes = one();
    let at = make::attribute(&bytes, "channels", "chlist");
    let size = i32::from_le_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
    let mut list = Vec::new();
    for index in 0..20_000 {
        list.extend(format!("L.P.{index}\0").bytes());
        list.extend([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    }
    list.push(0);
    let mut forged = bytes[..at - 4].to_vec();
    forged.extend((list.len() as i32).to_le_bytes());
    forged.extend(list);
    forged.extend(&bytes[at + size..]);
    let file = make::on_disk(&forged);
    assert!(matches!(inspect(&file.path), Err(FilmError::TooLarge { what: "a number of channels", .. })));
}

#[test]
fn forged_offsets_are_refused() {
    let table = make::table(&one(), 3);
    let first = (table + 24) as u64;
    assert!(matches!(spoiled(table + 8, &0_u64.to_le_bytes()), FilmError::Unfinished { part: 0, line: 16 }));
    assert!(matches!(spoiled(table + 8, &u64::MAX.to_le_bytes()), FilmError::Truncated { .. }));
    assert!(matches!(spoiled(table + 8, &8_u64.to_le_bytes()), FilmError::Damaged(_)));
    assert!(matches!(spoiled(table + 8, &first.to_le_bytes()), FilmError::Damaged(_)));
}

#[test]
fn forged_block_sizes_are_refused() {
    let size = make::table(&one(), 3) + 24 + 4;
    for forged in [i32::MAX, 100_000] {
        assert!(matches!(spoiled(size, &forged.to_le_bytes()), FilmError::TooLarge { .. }));
    }
    assert!(matches!(spoiled(size, &(-1_i32).to_le_bytes()), FilmError::Damaged(_)));
}

/// The exr crate would allocate what the block claims, and abort.
#[test]
fn forged_dwa_sections_are_refused() {
    let whole = make::one_part(Compression::DWAA(None));
    let block = make::table(&whole, 2) + 16 + 8;
    for number in [1, 6, 7, 8, 9] {
        for claim in [u64::MAX, 1 << 40] {
            let mut bytes = whole.clone();
            bytes[block + number * 8..][..8].copy_from_slice(&claim.to_le_bytes());
            let file = make::on_disk(&bytes);
            check(&file.path, &EXPECT).unwrap();
            assert!(matches!(read(&file.path, &EXPECT), Err(FilmError::Damaged(_))));
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    for bytes in [&b""[..], b"\x76\x2f\x31", b"\x89PNG\r\n\x1a\n0000", b"\xff\xd8\xff\xe0 a jpeg of yours"] {
        let file = make::on_disk(bytes);
        assert!(matches!(inspect(&file.path), Err(FilmError::NotExr)));
    }
    assert!(matches!(inspect(std::path::Path::new("no such file.exr")), Err(FilmError::Io(_))));
    assert!(spoiled(5, &[2]).to_string().contains("tiles"));
    assert!(spoiled(5, &[8]).to_string().contains("deep"));
}
