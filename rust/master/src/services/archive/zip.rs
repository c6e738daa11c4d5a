//! Records of a zip archive around files that are stored without compression (PKWARE's APPNOTE
//! 6.3.10). The 64-bit forms are used only where a number needs them, so that old readers can read
//! all other archives. No crate does this with the length known before the first byte.

use std::time::SystemTime;

/// Marks of a 32-bit and a 16-bit number whose value is in a 64-bit record instead.
const ELSEWHERE: u32 = u32::MAX;
const ELSEWHERE_SHORT: u16 = u16::MAX;
/// Flag that says that names are UTF-8.
const FLAGS: u16 = 1 << 11;

/// A file of the archive.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name, of at most 65,535 bytes.
    pub name: String,
    pub bytes: u64,
    /// Time of its last change.
    pub at: SystemTime,
}

/// Bytes that the archive of these files will have.
pub fn length<'a>(entries: impl Iterator<Item = &'a Entry>) -> u64 {
    let mut directory = Directory::default();
    // Any checksum is as long as the real one.
    entries.for_each(|entry| _ = directory.add(entry, 0));
    directory.at + directory.end().len() as u64
}

/// Central directory, at the end of an archive: where each file is.
#[derive(Debug, Default)]
pub struct Directory {
    /// Bytes of the archive before the next file's header.
    at: u64,
    files: u64,
    records: Vec<u8>,
}

impl Directory {
    /// Adds a file. Returns the header that precedes its bytes; `sum` is their CRC-32.
    pub fn add(&mut self, entry: &Entry, sum: u32) -> Vec<u8> {
        let (size, wide_size) = narrow(entry.bytes);
        let (offset, wide_offset) = narrow(self.at);
        let mut wide = Wide::default();
        if wide_size {
            wide.push(entry.bytes).push(entry.bytes);
        }
        let mut head = Vec::new();
        head.put(0x0403_4b50_u32.to_le_bytes());
        entry.describe(&mut head, sum, size, &wide);
        head.extend_from_slice(entry.name.as_bytes());
        head.extend_from_slice(&wide.field());

        if wide_offset {
            wide.push(self.at);
        }
        self.records.put(0x0201_4b50_u32.to_le_bytes());
        self.records.put(wide.version().to_le_bytes()); // made by
        entry.describe(&mut self.records, sum, size, &wide);
        self.records.put([0; 10]); // no comment, one disk, no attributes
        self.records.put(offset.to_le_bytes());
        self.records.extend_from_slice(entry.name.as_bytes());
        self.records.extend_from_slice(&wide.field());

        self.at += head.len() as u64 + entry.bytes;
        self.files += 1;
        head
    }

    /// Records that follow the last file.
    pub fn end(mut self) -> Vec<u8> {
        let size = self.records.len() as u64;
        let (size_short, wide_size) = narrow(size);
        let (at_short, wide_at) = narrow(self.at);
        let files = u16::try_from(self.files).unwrap_or(ELSEWHERE_SHORT);
        if wide_size || wide_at || files == ELSEWHERE_SHORT {
            let here = self.at + size;
            self.records.put(0x0606_4b50_u32.to_le_bytes());
            self.records.put(44_u64.to_le_bytes()); // what follows of this record
            self.records.put([45, 0, 45, 0]);
            self.records.put([0; 8]); // one disk
            for number in [self.files, self.files, size, self.at] {
                self.records.put(number.to_le_bytes());
            }
            self.records.put(0x0706_4b50_u32.to_le_bytes());
            self.records.put(0_u32.to_le_bytes());
            self.records.put(here.to_le_bytes());
            self.records.put(1_u32.to_le_bytes());
        }
        self.records.put(0x0605_4b50_u32.to_le_bytes());
        self.records.put([0; 4]);
        self.records.put(files.to_le_bytes());
        self.records.put(files.to_le_bytes());
        self.records.put(size_short.to_le_bytes());
        self.records.put(at_short.to_le_bytes());
        self.records.put([0; 2]);
        self.records
    }
}

impl Entry {
    /// Appends the fields that the header and the directory's record have in common.
    fn describe(&self, out: &mut Vec<u8>, sum: u32, size: u32, wide: &Wide) {
        let (date, time) = dos(self.at);
        out.put(wide.version().to_le_bytes());
        out.put(FLAGS.to_le_bytes());
        out.put(0_u16.to_le_bytes()); // stored
        out.put(time.to_le_bytes());
        out.put(date.to_le_bytes());
        out.put(sum.to_le_bytes());
        out.put(size.to_le_bytes());
        out.put(size.to_le_bytes());
        out.put((self.name.len() as u16).to_le_bytes());
        out.put((wide.field().len() as u16).to_le_bytes());
    }
}

trait Put {
    fn put<const N: usize>(&mut self, bytes: [u8; N]);
}

impl Put for Vec<u8> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.extend_from_slice(&bytes);
    }
}

/// Extra field with the numbers that need 64 bits.
#[derive(Default)]
struct Wide(Vec<u8>);

impl Wide {
    fn push(&mut self, number: u64) -> &mut Self {
        self.0.put(number.to_le_bytes());
        self
    }

    /// Bytes of the extra field; none if there are no such numbers.
    fn field(&self) -> Vec<u8> {
        let mut field = Vec::new();
        if !self.0.is_empty() {
            field.put([1, 0]);
            field.put((self.0.len() as u16).to_le_bytes());
            field.extend_from_slice(&self.0);
        }
        field
    }

    /// Version of the format that a reader must know.
    fn version(&self) -> u16 {
        if self.0.is_empty() { 20 } else { 45 }
    }
}

/// A number in 32 bits, and true if its value is in a 64-bit record.
fn narrow(number: u64) -> (u32, bool) {
    match u32::try_from(number) {
        Ok(number) if number != ELSEWHERE => (number, false),
        _ => (ELSEWHERE, true),
    }
}

/// Date and time in DOS's format, in UTC: to two seconds, from 1980 to 2107.
fn dos(at: SystemTime) -> (u16, u16) {
    const FIRST: u64 = 315_532_800; // 1980-01-01
    const LAST: u64 = 4_354_819_199; // 2107-12-31 23:59:59
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()).clamp(FIRST, LAST);
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // From days to dates: https://howardhinnant.github.io/date_algorithms.html#civil_from_days, for
    // days after 1970.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let date = (year - 1980) << 9 | month << 5 | day;
    let time = (time / 3600) << 11 | (time / 60 % 60) << 5 | ((time % 60) / 2);
    (date as u16, time as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn entry(name: &str, bytes: u64) -> Entry {
        Entry { name: name.into(), bytes, at: at(1_700_000_000) }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let read = |seconds| {
            let (date, time) = dos(at(seconds));
            let date = (1980 + (date >> 9), date >> 5 & 15, date & 31);
            (date, (time >> 11, time >> 5 & 63, (time & 31) * 2))
        };
        assert_eq!(read(0), ((1980, 1, 1), (0, 0, 0)));
        assert_eq!(read(951_782_399), ((2000, 2, 28), (23, 59, 58)));
        assert_eq!(read(951_782_400), ((2000, 2, 29), (0, 0, 0)));
        assert_eq!(read(1_700_000_000), ((2023, 11, 14), (22, 13, 20)));
        assert_eq!(read(u64::from(u32::MAX) * 2), ((2107, 12, 31), (23, 59, 58)));
    }

    #[test]
    fn the_length_is_known_beforehand() {
        let entries = [entry("a.exr", 3), entry("bild-ä.jpg", 0), entry("c", 70)];
        let mut directory = Directory::default();
        let mut made = 0;
        for (sum, entry) in entries.iter().enumerate() {
            made += directory.add(entry, sum as u32).len() as u64 + entry.bytes;
        }
        made += directory.end().len() as u64;
        assert_eq!(length(entries.iter()), made);
    }

    #[test]
    fn large_numbers_take_the_wide_forms() {
        // Small ones: 30 + 46 + twice the name for each, 22 at the end.
        assert_eq!(length([entry("a", 5)].iter()), 30 + 46 + 2 + 5 + 22);
        // A file of 4 GiB: 20 more in front and in the directory, and 76 at the end, for the
        // directory begins after 4 GiB.
        assert_eq!(length([entry("a", 1 << 32)].iter()), 30 + 46 + 2 + (1 << 32) + 22 + 40 + 76);
        // A small one behind it: its offset alone.
        let both = [entry("a", 1 << 32), entry("b", 5)];
        assert_eq!(length(both.iter()) - length(both[..1].iter()), 30 + 46 + 2 + 5 + 12);
        let many = vec![entry("a", 0); 65_535];
        assert_eq!(length(many.iter()), 65_535 * 78 + 22 + 76);
        assert_eq!(length(many[1..].iter()), 65_534 * 78 + 22);
    }
}
