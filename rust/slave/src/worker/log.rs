//! Blender's output, cut by request: the pure [`Cutter`], and the [`LogBook`] that a thread fills
//! and everybody else reads. Memory stays bounded whatever a scene prints. The meaning of lines is
//! not decided here, except for Blender's progress.

use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// Begins the line that ends a request's output. The request's number and a line break follow.
const MARK: &[u8] = b"\x1enetrender-end ";
/// Upper bound of the rest of that line: digits, a carriage return and the line break.
const MARK_REST: usize = 22;
/// Upper bound of the output that is kept of one request, once for its beginning and once for its
/// end.
const HALF_BYTES: usize = 512 << 10;
/// Upper bound of outputs that nobody has taken; the oldest is dropped first.
const KEPT_PIECES: usize = 16;
/// Upper bound of the reading thread's delay. The mark is written before the answer is sent, so it
/// is in the pipe already.
const LAG: Duration = Duration::from_secs(2);

/// Text of any length, of which only head and tail are kept.
#[derive(Debug, Default)]
struct Bounded {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Bounded {
    fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(HALF_BYTES - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(HALF_BYTES);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    /// The text after the first `from` bytes, at most the last `most` bytes of it, and the number
    /// of bytes so far. `None` if there is none.
    fn since(&self, from: u64, most: usize) -> Option<(String, u64)> {
        let all = self.head.len() as u64 + self.left_out + self.tail.len() as u64;
        let begin = from.max(all.saturating_sub(most as u64));
        let in_tail = begin.saturating_sub(self.head.len() as u64 + self.left_out);
        let head = self.head.iter().skip(usize::try_from(begin).unwrap_or(usize::MAX));
        let bytes: Vec<u8> = head.chain(self.tail.iter().skip(in_tail as usize)).copied().collect();
        // The last character may be incomplete.
        let whole = match std::str::from_utf8(&bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => bytes.len(),
        };
        let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
        let left_out = all - bytes.len() as u64 - from.min(all);
        let note = if left_out > 0 { format!("\n[... {left_out} bytes left out ...]\n") } else { String::new() };
        (whole > 0).then(|| (note + &text, all - (bytes.len() - whole) as u64))
    }

    fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.left_out > 0 {
            bytes.extend_from_slice(format!("\n[... {} bytes left out ...]\n", self.left_out).as_bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Complete output of a request. The number is `None` for an answer without one.
type Piece = (Option<u64>, String);

/// Cuts a stream at the marks, independently of how it is chunked.
#[derive(Debug, Default)]
pub struct Cutter {
    text: Bounded,
    /// Bytes that may become a mark.
    held: Vec<u8>,
}

impl Cutter {
    /// Takes the next bytes. Returns the outputs that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut stream = std::mem::take(&mut self.held);
        stream.extend_from_slice(bytes);
        let mut rest = stream.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == MARK[0]) {
            self.text.push(&rest[..at]);
            rest = &rest[at..];
            match read_mark(rest) {
                Mark::Complete(id, length) => {
                    pieces.push((id, std::mem::take(&mut self.text).text()));
                    rest = &rest[length..];
                }
                Mark::Unfinished => {
                    self.held = rest.to_vec();
                    return pieces;
                }
                Mark::None => {
                    self.text.push(&rest[..1]);
                    rest = &rest[1..];
                }
            }
        }
        self.text.push(rest);
        pieces
    }

    /// Like [`Bounded::since`], for the text after the last mark.
    fn since(&self, from: u64, most: usize) -> Option<(String, u64)> {
        self.text.since(from, most)
    }

    /// The text after the last mark.
    pub fn unfinished(&self) -> String {
        self.text.text()
    }
}

enum Mark {
    Complete(Option<u64>, usize),
    Unfinished,
    None,
}

fn read_mark(bytes: &[u8]) -> Mark {
    let Some(rest) = bytes.strip_prefix(MARK) else {
        return if MARK.starts_with(bytes) { Mark::Unfinished } else { Mark::None };
    };
    let window = &rest[..rest.len().min(MARK_REST)];
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        return if window.len() < MARK_REST { Mark::Unfinished } else { Mark::None };
    };
    let name = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
    let length = MARK.len() + end + 1;
    match std::str::from_utf8(name) {
        Ok("-") => Mark::Complete(None, length),
        Ok(digits) => digits.parse().map_or(Mark::None, |id| Mark::Complete(Some(id), length)),
        Err(_) => Mark::None,
    }
}

#[derive(Debug, Default)]
struct Pages {
    cutter: Cutter,
    /// Outputs that nobody has taken yet.
    pieces: VecDeque<Piece>,
    /// The line that is being printed.
    line: Vec<u8>,
    closed: bool,
}

/// Output of one process.
#[derive(Debug)]
pub struct LogBook {
    pages: Mutex<Pages>,
    changed: watch::Sender<()>,
    /// Latest progress in Blender's words (`Sample 12/64`). Blender 3.4 tells it nowhere else.
    pub progress: watch::Sender<String>,
}

impl LogBook {
    /// Reads the stream in a thread until it ends, so that Blender never waits for a full pipe.
    pub fn read(mut stream: impl Read + Send + 'static, echo: bool) -> std::io::Result<Arc<Self>> {
        let book = Arc::new(Self {
            pages: Mutex::default(),
            changed: watch::Sender::new(()),
            progress: watch::Sender::new(String::new()),
        });
        let pen = Arc::clone(&book);
        std::thread::Builder::new().name("netrender-log".into()).spawn(move || {
            let mut chunk = vec![0; 64 << 10];
            loop {
                match stream.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(length) => {
                        if echo {
                            // A console that went away must not stop the rendering.
                            let _ = std::io::stderr().write_all(&chunk[..length]);
                        }
                        pen.write(&chunk[..length]);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            pen.pages.lock().closed = true;
            pen.changed.send_replace(());
        })?;
        Ok(book)
    }

    /// Changes whenever something is printed.
    pub fn output(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn write(&self, bytes: &[u8]) {
        let mut pages = self.pages.lock();
        let pieces = pages.cutter.feed(bytes);
        pages.pieces.extend(pieces);
        let over = pages.pieces.len().saturating_sub(KEPT_PIECES);
        pages.pieces.drain(..over);
        let mut said = None;
        for byte in bytes {
            if *byte == b'\n' {
                said = progress_of(&pages.line).or(said);
                pages.line.clear();
            } else if pages.line.len() < 1024 {
                pages.line.push(*byte);
            }
        }
        drop(pages);
        self.changed.send_replace(());
        if let Some(said) = said {
            self.progress.send_replace(said);
        }
    }

    /// Takes the output of a request that was answered, or in which the process died.
    pub async fn take(&self, id: u64) -> String {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                {
                    let mut pages = self.pages.lock();
                    if let Some(at) = pages.pieces.iter().position(|(piece, _)| *piece == Some(id)) {
                        return pages.pieces.remove(at).map(|(_, text)| text);
                    }
                    if pages.closed {
                        return None;
                    }
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(LAG, found).await {
            Ok(Some(text)) => text,
            _ => self.unfinished(),
        }
    }

    /// The output since the last request ended, without its first `from` bytes and at most about
    /// its last `most` bytes, and the number of bytes so far. `None` if there is nothing new.
    pub fn since(&self, from: u64, most: usize) -> Option<(String, u64)> {
        self.pages.lock().cutter.since(from, most)
    }

    /// The output since the last request ended.
    pub fn unfinished(&self) -> String {
        self.pages.lock().cutter.unfinished()
    }
}

/// `Fra:1 Mem:12.3M (Peak 12.9M) | Time:00:00.15 | Scene, ViewLayer | Sample 1/4` → `Sample 1/4`.
fn progress_of(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("Fra:")?;
    let (_, last) = line.rsplit_once(" | ")?;
    Some(last.trim().to_owned())
}

/// The last lines of a log, at most `lines` and about `bytes` bytes, for the end of an error
/// message.
pub fn last_lines(text: &str, lines: usize, bytes: usize) -> String {
    let mut kept = Vec::new();
    let mut size = 0;
    for line in text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines) {
        let line: String = line.chars().take(500).collect();
        size += line.len() + 1;
        if size > bytes {
            break;
        }
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> (Vec<Piece>, String) {
        let mut cutter = Cutter::default();
        let pieces = chunks.iter().flat_map(|chunk| cutter.feed(chunk)).collect();
        (pieces, cutter.unfinished())
    }

    #[test]
    fn each_request_gets_what_was_printed_for_it() {
        let (pieces, rest) =
            cut(&[b"start\n\x1enetrender-end 1\nFra:1\nno break\x1enetrender-end 2\n\x1enetrender-end -\nx"]);
        let expected =
            [(Some(1), "start\n".to_owned()), (Some(2), "Fra:1\nno break".to_owned()), (None, String::new())];
        assert_eq!(pieces, expected);
        assert_eq!(rest, "x");
    }

    #[test]
    fn of_endless_output_head_and_tail_are_kept() {
        let mut cutter = Cutter::default();
        cutter.feed(b"first\n");
        for _ in 0..100 {
            cutter.feed(&[b'x'; 100_000]);
        }
        let pieces = cutter.feed(b"last\n\x1enetrender-end 7\n");
        let text = &pieces[0].1;
        assert!(text.starts_with("first\n") && text.ends_with("last\n") && text.contains("bytes left out"));
        assert!(text.len() < 2 * HALF_BYTES + 100);
    }

    #[test]
    fn what_is_new_is_told_once_and_the_gap_is_named() {
        let mut text = Bounded::default();
        assert_eq!(text.since(0, 100), None);
        text.push("Möwe\n".as_bytes());
        assert_eq!(text.since(0, 100), Some(("Möwe\n".into(), 6)));
        assert_eq!(text.since(6, 100), None);
        text.push(&"Möwe".as_bytes()[..2]);
        assert_eq!(text.since(6, 100), Some(("M".into(), 7)), "half a letter waits");
        text.push(&"Möwe".as_bytes()[2..]);
        assert_eq!(text.since(7, 100), Some(("öwe".into(), 11)));
        text.push(&vec![b'x'; 3 * HALF_BYTES]);
        text.push(b"end");
        let all = 11 + 3 * HALF_BYTES as u64 + 3;
        let (told, until) = text.since(11, 5).unwrap();
        assert_eq!((told, until), (format!("\n[... {} bytes left out ...]\nxxend", all - 11 - 5), all));
        let (told, _) = text.since(11, 10 * HALF_BYTES).unwrap();
        assert!(told.ends_with("end") && told.len() < 2 * HALF_BYTES + 100);
    }

    #[test]
    fn progress_is_blenders_last_word_on_the_line() {
        let line = b"Fra:3 Mem:12.3M (Peak 12.9M) | Time:00:00.15 | Scene, ViewLayer | Sample 12/64";
        assert_eq!(progress_of(line).as_deref(), Some("Sample 12/64"));
        assert_eq!(progress_of(b"Saved: a | b"), None);
    }

    #[test]
    fn last_lines_are_bounded() {
        assert_eq!(last_lines("a\n\nb\nc\n", 2, 100), "b\nc");
        assert!(last_lines(&"long line\n".repeat(1000), 1000, 4096).len() <= 4096);
    }

    proptest! {
        #[test]
        fn chunks_of_the_stream_make_no_difference(
            parts in prop::collection::vec(prop_oneof![
                Just("\u{1e}netrender-end 12\n"), Just("\u{1e}netrender-end -\r\n"), Just("\u{1e}netrender-end x\n"),
                Just("\u{1e}netrender-"), Just("\u{1e}"), Just("end 3\n"), Just("text\n"), Just("ünï"),
                Just("\u{1e}netrender-end 1111111111111111111111111111\n"),
            ], 0..20),
            cuts in prop::collection::vec(0usize..200, 0..20),
        ) {
            let stream = parts.concat().into_bytes();
            let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&chunks), cut(&[&stream]));
        }
    }
}
