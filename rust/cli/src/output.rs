//! Tables for people and JSON for programs.

use super::stop::Stop;
use netrender_core::printable::{printable, printable_json, printable_lines};
use serde::Serialize;
use std::io::{self, Write};

/// Prints a line for people.
pub fn print_line(to: &mut impl Write, text: &str) {
    // Nobody may be left to read it.
    let _ = writeln!(to, "{}", printable_lines(text));
}

/// Prints one JSON document to standard output.
pub fn print_json<T: Serialize + ?Sized>(value: &T) -> Result<(), Stop> {
    print_raw(&serde_json::to_string_pretty(value).map_err(|error| Stop::Failed(error.to_string()))?);
    Ok(())
}

/// Prints JSON text to standard output.
pub fn print_raw(json: &str) {
    let _ = writeln!(io::stdout(), "{}", printable_json(json));
}

/// Prints a table with columns as wide as their widest cell.
pub fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let mut lines: Vec<[String; N]> = vec![head.map(str::to_owned)];
    lines.extend(rows.map(|row| row.map(|cell| printable(&cell).into_owned())));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        say!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A log in which an entry of several lines can't be taken for several entries: its further lines
/// are marked.
pub struct LogLines<W>(pub W);

impl<W: Write> Write for LogLines<W> {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let (lines, end) = match entry.split_last() {
            Some((b'\n', lines)) => (lines, "\n"),
            _ => (entry, ""),
        };
        let mut marked = lines.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\n  | "[..]);
        marked.extend_from_slice(end.as_bytes());
        self.0.write_all(&marked)?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_log_is_told_from_the_lines_in_it() {
        let mut log = LogLines(Vec::new());
        log.write_all(b"WARN frame failed why=one\n2026-01-01 INFO forged\n").unwrap();
        assert_eq!(log.0, b"WARN frame failed why=one\n  | 2026-01-01 INFO forged\n");
    }
}
