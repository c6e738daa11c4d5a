//! Tables for people and JSON for programs.

use super::Stop;
use serde::Serialize;

/// One JSON document on stdout.
pub fn print_json<T: Serialize + ?Sized>(value: &T) -> Result<(), Stop> {
    say!("{}", serde_json::to_string_pretty(value).map_err(|error| Stop::Failed(error.to_string()))?);
    Ok(())
}

/// Columns as wide as their widest cell.
pub fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let mut lines: Vec<[String; N]> = vec![head.map(str::to_owned)];
    lines.extend(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        say!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
