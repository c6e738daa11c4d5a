//! Texts of strangers, such as names of jobs and slaves, made safe for a terminal or a log.

use std::borrow::Cow;

/// The text with its control characters escaped as Rust writes them (`\n`, `\u{1b}`), so that it
/// stays on its line and orders a terminal to do nothing. All other characters stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_order, |safe, c| safe.extend(c.escape_debug()))
}

/// Like [`printable`], but lines stay lines: for errors and ends of logs.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| !is_layout(c) && is_order(c), |safe, c| safe.extend(c.escape_debug()))
}

/// JSON with the control characters that its strings may hold as they are escaped as JSON does.
pub fn printable_json(text: &str) -> Cow<'_, str> {
    // All of these are in the Basic Multilingual Plane.
    escaped(text, |c| !is_layout(c) && is_order(c), |safe, c| safe.push_str(&format!("\\u{:04x}", u32::from(c))))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_escaped(c) { escape(&mut safe, c) } else { safe.push(c) }
    }
    safe.into()
}

fn is_layout(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

/// True for control characters, and for those that turn the direction of a text or end its line.
fn is_order(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_to_a_terminal_are_written_out_and_names_stay() {
        assert_eq!(printable("a\nb\u{1b}[31mRED"), r"a\nb\u{1b}[31mRED");
        assert_eq!(printable("x\u{9b}2J\r\u{202e}y\u{7f}"), r"x\u{9b}2J\r\u{202e}y\u{7f}");
        for name in ["Größe \"1\" – 'ü'", "Слой", "名前", "e\u{301}", r"C:\tex", "👩\u{200d}🎨"] {
            assert_eq!(printable(name), name);
        }
        assert_eq!(printable_json("{\n\"a\": \"\u{9b}2J\u{7f}ü\"}"), "{\n\"a\": \"\\u009b2J\\u007fü\"}");
        assert_eq!(printable_lines("one\n\ttwo\u{1b}[0m"), "one\n\ttwo\\u{1b}[0m");
    }
}
