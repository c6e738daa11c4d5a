//! Lists of frames in the artist's notation: `1-10,15,20-30x2`.

use crate::model::ids::Frame;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// Most frames of a list: more than any film has. A longer list is a typing error.
pub const MAX_FRAMES: usize = 1_000_000;
/// Upper bound of frames in all jobs of a farm. Each takes some 70 bytes of memory as long as its
/// job exists.
pub const MAX_FRAMES_OF_FARM: usize = 5_000_000;

/// Largest frame number, on both sides of zero: Blender's own limit (`MAXFRAME`).
const MAX_FRAME: i64 = 1_048_574;

/// The frames `first`, `first + step`, ... up to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: i32,
    last: i32,
    step: u32,
}

/// List of frames that keeps the artist's notation. It has 1 to [`MAX_FRAMES`] frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FrameList(Vec<Range>);

/// Error for a text that is no list of frames.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameListError {
    /// The text is empty, or a range ends before it starts.
    #[error("the frame range {0:?} is empty; write for example 1-10,15,20-30x2")]
    Empty(String),
    /// A word of the text is not a frame or a range.
    #[error("{0:?} is not a frame or a range of frames; write for example 1-10,15,20-30x2")]
    NotARange(String),
    /// The list has more than [`MAX_FRAMES`] frames.
    #[error("the frame range {0:?} has more than {MAX_FRAMES} frames")]
    TooMany(String),
}

impl FrameList {
    /// The list of these frames, which come in order and each once; `None` if there are none or more
    /// than [`MAX_FRAMES`].
    pub fn of(frames: impl IntoIterator<Item = Frame>) -> Option<Self> {
        let mut ranges: Vec<Range> = Vec::new();
        for Frame(frame) in frames {
            match ranges.last_mut() {
                Some(range) if range.last.checked_add(1) == Some(frame) => range.last = frame,
                _ => ranges.push(Range { first: frame, last: frame, step: 1 }),
            }
        }
        let count: usize = ranges.iter().map(Range::len).sum();
        (1..=MAX_FRAMES).contains(&count).then_some(Self(ranges))
    }

    /// Upper bound of the number of frames: one that is named twice counts twice.
    pub fn at_most(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }

    /// Each frame once, in order.
    pub fn frames(&self) -> BTreeSet<Frame> {
        self.0.iter().flat_map(Range::iter).collect()
    }
}

impl Range {
    fn iter(&self) -> impl Iterator<Item = Frame> + use<> {
        (self.first..=self.last).step_by(self.step as usize).map(Frame)
    }

    fn len(&self) -> usize {
        (i64::from(self.last) - i64::from(self.first)) as usize / self.step as usize + 1
    }

    fn parse(text: &str) -> Result<Self, FrameListError> {
        let wrong = || FrameListError::NotARange(text.to_owned());
        let number = |digits: &str| -> Result<i32, FrameListError> {
            let value: i64 = digits.trim().parse().map_err(|_| wrong())?;
            if value.abs() > MAX_FRAME {
                return Err(wrong());
            }
            i32::try_from(value).map_err(|_| wrong())
        };
        let (span, step) = match text.split_once('x') {
            Some((span, step)) => (span, step.trim().parse().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (text, 1),
        };
        // The sign of a negative first frame is not the dash of a range.
        let dash = span.char_indices().skip(1).find(|(at, c)| *c == '-' && !span[..*at].trim().is_empty());
        let (first, last) = match dash {
            Some((at, _)) => (number(&span[..at])?, number(&span[at + 1..])?),
            None => (number(span)?, number(span)?),
        };
        if last < first {
            return Err(FrameListError::Empty(text.to_owned()));
        }
        Ok(Self { first, last, step })
    }
}

impl FromStr for FrameList {
    type Err = FrameListError;

    fn from_str(text: &str) -> Result<Self, FrameListError> {
        if text.trim().is_empty() {
            return Err(FrameListError::Empty(text.to_owned()));
        }
        let ranges = text.split(',').map(|word| Range::parse(word.trim())).collect::<Result<Vec<_>, _>>()?;
        if ranges.iter().map(Range::len).sum::<usize>() > MAX_FRAMES {
            return Err(FrameListError::TooMany(text.to_owned()));
        }
        Ok(Self(ranges))
    }
}

impl TryFrom<String> for FrameList {
    type Error = FrameListError;

    fn try_from(text: String) -> Result<Self, FrameListError> {
        text.parse()
    }
}

impl From<FrameList> for String {
    fn from(list: FrameList) -> Self {
        list.to_string()
    }
}

impl fmt::Display for FrameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Range { first, last, step }) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match (first == last, step) {
                (true, _) => write!(f, "{first}")?,
                (false, 1) => write!(f, "{first}-{last}")?,
                (false, step) => write!(f, "{first}-{last}x{step}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(text: &str) -> Vec<i32> {
        text.parse::<FrameList>().unwrap().frames().into_iter().map(|frame| frame.0).collect()
    }

    #[test]
    fn reads_what_artists_write() {
        assert_eq!(frames("1-3,15, 20-30x5"), [1, 2, 3, 15, 20, 25, 30]);
        assert_eq!(frames("7"), [7]);
        assert_eq!(frames("-3--1"), [-3, -2, -1]);
        assert_eq!(frames("-1-1"), [-1, 0, 1]);
        assert_eq!(frames("3,1-4,4"), [1, 2, 3, 4]);
    }

    #[test]
    fn frames_that_follow_each_other_are_one_range() {
        let text = |frames: &[i32]| FrameList::of(frames.iter().copied().map(Frame)).map(|list| list.to_string());
        assert_eq!(text(&[-2, -1, 0, 5, 7, 8]).as_deref(), Some("-2-0,5,7-8"));
        assert_eq!(text(&[]), None);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("", "is empty"),
            ("10-1", "is empty"),
            ("a-b", "is not a frame"),
            ("1-10x0", "is not a frame"),
            ("1,,2", "is not a frame"),
            ("99999999999", "is not a frame"),
            ("0-1000000", "more than 1000000"),
        ] {
            let error = text.parse::<FrameList>().unwrap_err().to_string();
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_the_same(ranges in proptest::collection::vec((-1000i32..1000, 0i32..50, 1u32..9), 1..5)) {
            let list = FrameList(ranges.iter().map(|&(first, more, step)| Range { first, last: first + more, step }).collect());
            let again: FrameList = list.to_string().parse().unwrap();
            proptest::prop_assert_eq!(list.frames(), again.frames());
        }

        #[test]
        fn no_text_panics(text in "[-0-9x, ]{0,12}|.{0,12}") {
            let _ = text.parse::<FrameList>();
        }
    }
}
