//! The samples or lines of a frame that a film holds: one span, or many. No films here, only
//! numbers.

use std::fmt;
use std::str::FromStr;

/// Limit of the spans in a text; a frame is never cut into more.
const MAX_SPANS: usize = 4096;

/// The unit that spans of a frame count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Samples of every pixel.
    Samples,
    /// Lines of the picture.
    Lines,
}

/// For people: `sample` or `line`.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Samples => "sample",
            Self::Lines => "line",
        })
    }
}

/// Successive samples or lines of a frame: `start`, `start + 1`, ... `start + count - 1`.
/// Independent of core's type of that name: this one may be forged and is checked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First one, counted from 0.
    pub start: u32,
    /// Number of them.
    pub count: u32,
}

impl Span {
    fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.count)
    }

    /// For people: `samples 16 to 23`.
    pub fn in_words(self, unit: Unit) -> String {
        match self.count {
            0 => format!("no {unit}s"),
            1 => format!("{unit} {}", self.start),
            _ => format!("{unit}s {} to {}", self.start, self.end() - 1),
        }
    }
}

/// All samples or lines that a film holds: spans in order, disjoint, none of them empty. Adjacent
/// spans are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coverage(Vec<Span>);

impl From<Span> for Coverage {
    fn from(span: Span) -> Self {
        Self(if span.count == 0 { Vec::new() } else { vec![span] })
    }
}

impl Coverage {
    /// The spans, in order.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// True if it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of the last sample or line, plus one.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |span| span.end())
    }

    /// How many of the frame's first `limit` samples or lines it covers.
    pub fn count_below(&self, limit: u32) -> u32 {
        // They are disjoint, so the sum is at most `limit`.
        self.0.iter().map(|span| (span.end().min(limit.into()) as u32).saturating_sub(span.start)).sum()
    }

    /// Those of the frame's first `total` samples or lines that it lacks.
    pub fn gaps(&self, total: u32) -> Self {
        let mut at = 0;
        let mut gaps = Vec::new();
        for span in self.0.iter().chain(&[Span { start: total, count: 0 }]) {
            let start = span.start.min(total);
            if start > at {
                gaps.push(Span { start: at, count: start - at });
            }
            at = at.max(span.end().min(total.into()) as u32);
        }
        Self(gaps)
    }

    /// The union of two disjoint coverages.
    ///
    /// # Errors
    /// The first samples or lines that are in both.
    pub fn join(&self, other: &Self) -> Result<Self, Span> {
        join(self.0.iter().chain(&other.0).copied().collect())
    }

    /// For people: `samples 0 to 7, samples 16 to 23`.
    pub fn in_words(&self, unit: Unit) -> String {
        match self.0.as_slice() {
            [] => format!("no {unit}s"),
            spans => spans.iter().map(|span| span.in_words(unit)).collect::<Vec<_>>().join(", "),
        }
    }

    /// For files: `0+8,16+8`, each a start and a count. Read by [`Coverage::from_str`].
    pub fn to_text(&self) -> String {
        self.0.iter().map(|span| format!("{}+{}", span.start, span.count)).collect::<Vec<_>>().join(",")
    }
}

fn join(mut spans: Vec<Span>) -> Result<Coverage, Span> {
    spans.retain(|span| span.count > 0);
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if u64::from(span.start) < last.end() => {
                let end = last.end().min(span.end());
                return Err(Span { start: span.start, count: (end - u64::from(span.start)) as u32 });
            }
            Some(last) if u64::from(span.start) == last.end() && last.count.checked_add(span.count).is_some() => {
                last.count += span.count;
            }
            _ => joined.push(span),
        }
    }
    Ok(Coverage(joined))
}

/// The text is not a list of disjoint spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("samples are written as OFFSET+NUMBER, several with commas between, none of them twice")]
pub struct NotSpans;

impl FromStr for Coverage {
    type Err = NotSpans;

    fn from_str(text: &str) -> Result<Self, NotSpans> {
        let span = |text: &str| {
            let (start, count) = text.split_once('+')?;
            let span = Span { start: start.parse().ok()?, count: count.parse().ok()? };
            (span.count > 0).then_some(span)
        };
        let spans: Vec<Span> = text.split(',').take(MAX_SPANS + 1).map(span).collect::<Option<_>>().ok_or(NotSpans)?;
        if spans.len() > MAX_SPANS {
            return Err(NotSpans);
        }
        join(spans).map_err(|_| NotSpans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Coverage {
        text.parse().unwrap()
    }

    #[test]
    fn touching_spans_are_one_and_gaps_are_found() {
        let all = of("8+8,0+8,20+4");
        assert_eq!(all.to_text(), "0+16,20+4");
        assert_eq!(all.gaps(32).to_text(), "16+4,24+8");
        assert_eq!(all.gaps(10).to_text(), "");
        assert_eq!((all.count_below(32), all.count_below(18), all.count_below(22)), (20, 16, 18));
        assert_eq!(Coverage::default().gaps(3).to_text(), "0+3");
    }

    #[test]
    fn what_is_in_both_is_named() {
        assert_eq!(of("0+8").join(&of("6+4")), Err(Span { start: 6, count: 2 }));
        assert_eq!(of("0+8").join(&of("2+3")), Err(Span { start: 2, count: 3 }));
        assert_eq!(of("0+8").join(&of("12+2,8+1")).unwrap().to_text(), "0+9,12+2");
    }

    #[test]
    fn other_texts_are_no_spans() {
        for text in ["", "1", "1+0", "+", "1+2,", "1+-2", "0+4,3+1", "4294967296+1"] {
            assert_eq!(text.parse::<Coverage>(), Err(NotSpans), "{text}");
        }
        assert_eq!(of("4294967295+4294967295,0+1").end(), (1 << 33) - 2);
    }
}
