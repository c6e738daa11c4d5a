//! Cutting Blender's output by request. The worker writes a marker line after each request; what came before it is that
//! request's log. Memory is bounded: of a flood the beginning and the end are kept.

/// Starts the line that ends a request's log: an ASCII record separator, which no program prints by accident.
const MARKER: &[u8] = b"\x1enetrender-end ";
/// Kept of one request's log, at its beginning and at its end.
const KEEP: usize = 256 << 10;
/// A line longer than this is cut.
const MAX_LINE: usize = 64 << 10;

/// What Blender printed for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The request's id; None when the output ended without a marker.
    pub request: Option<u64>,
    /// The text.
    pub text: String,
}

/// Takes output as it comes, gives whole sections.
#[derive(Debug, Default)]
pub struct LogCutter {
    line: Vec<u8>,
    head: Vec<u8>,
    tail: Vec<u8>,
    lost: usize,
}

impl LogCutter {
    /// The next bytes; `each_line` sees every whole line but the markers.
    pub fn push(&mut self, bytes: &[u8], mut each_line: impl FnMut(&[u8])) -> Vec<Section> {
        let mut sections = Vec::new();
        for &byte in bytes {
            self.line.push(byte);
            if byte != b'\n' && self.line.len() < MAX_LINE {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            // Output without a newline before the marker must not hide it.
            match line.windows(MARKER.len()).position(|window| window == MARKER) {
                Some(at) => {
                    self.keep(&line[..at]);
                    let id = String::from_utf8_lossy(&line[at + MARKER.len()..]).trim().parse().ok();
                    sections.push(Section { request: id, text: self.take() });
                }
                None => {
                    each_line(&line);
                    self.keep(&line);
                }
            }
        }
        sections
    }

    /// What came after the last marker.
    pub fn rest(&mut self) -> Section {
        let line = std::mem::take(&mut self.line);
        self.keep(&line);
        Section { request: None, text: self.take() }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEEP.saturating_sub(self.head.len()).min(bytes.len());
        let (first, more) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(more);
        if self.tail.len() > 2 * KEEP {
            let cut = self.tail.len() - KEEP;
            self.tail.drain(..cut);
            self.lost += cut;
        }
    }

    fn take(&mut self) -> String {
        let (head, tail) = (std::mem::take(&mut self.head), std::mem::take(&mut self.tail));
        let lost = std::mem::take(&mut self.lost);
        let mut text = String::from_utf8_lossy(&head).into_owned();
        if lost > 0 {
            text.push_str(&format!("\n... {lost} bytes left out ...\n"));
        }
        text.push_str(&String::from_utf8_lossy(&tail));
        text
    }
}

/// The last lines of a log, for an error that a person reads.
pub fn last_lines(text: &str) -> String {
    const LINES: usize = 30;
    const CHARS: usize = 4000;
    let mut lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES).collect();
    lines.reverse();
    let joined = lines.join("\n");
    let skip = joined.chars().count().saturating_sub(CHARS);
    joined.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Vec<Section> {
        let mut cutter = LogCutter::default();
        let mut sections: Vec<Section> = chunks.iter().flat_map(|chunk| cutter.push(chunk, |_| {})).collect();
        sections.push(cutter.rest());
        sections
    }

    #[test]
    fn each_request_has_its_own_text() {
        let sections = cut(&[b"loading\n\x1enetrender-end 1\nFra:1\nno newline\x1enetrender-end 2\ncrash"]);
        let expected = [(Some(1), "loading\n"), (Some(2), "Fra:1\nno newline"), (None, "crash")];
        assert_eq!(sections, expected.map(|(request, text)| Section { request, text: text.into() }));
    }

    #[test]
    fn a_flood_keeps_its_beginning_and_its_end() {
        let flood = format!("first\n{}last\n", "x".repeat(79).repeat(40_000) + "\n");
        let text = &cut(&[flood.as_bytes()])[0].text;
        assert!(text.starts_with("first\n") && text.ends_with("last\n") && text.contains("left out"));
        assert!(text.len() < 4 * KEEP);
    }

    proptest! {
        #[test]
        fn the_cut_does_not_depend_on_how_the_bytes_came(
            words in prop::collection::vec("[a-z\n]{0,20}|\u{1e}netrender-end [0-9]{1,3}\n", 0..20),
            at in prop::collection::vec(0usize..200, 0..10),
        ) {
            let all = words.concat().into_bytes();
            let mut cuts: Vec<usize> = at.into_iter().map(|at| at.min(all.len())).collect();
            cuts.extend([0, all.len()]);
            cuts.sort();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&chunks), cut(&[&all]));
        }
    }
}
