//! Frame lists as artists write them: `1-10,15,20-30x2`.

use crate::ids::Frame;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// More frames than any film has; a list beyond it is a slip of the finger.
pub const MAX_FRAMES: usize = 1_000_000;

/// Blender's own bound for frame numbers (`MAXFRAME`), on both sides of zero.
const MAX_FRAME: i64 = 1_048_574;

/// `first`, `first + step`, ... up to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: i32,
    last: i32,
    step: u32,
}

/// The frames of a job in the artist's own notation. Never empty, never more than [`MAX_FRAMES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FrameList(Vec<Range>);

/// Why a frame list was not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameListError {
    /// Nothing at all, or a range that ends before it starts.
    #[error("the frame range {0:?} is empty; write for example 1-10,15,20-30x2")]
    Empty(String),
    /// A word that is not a range.
    #[error("{0:?} is not a frame or a range of frames; write for example 1-10,15,20-30x2")]
    NotARange(String),
    /// More than [`MAX_FRAMES`].
    #[error("the frame range {0:?} has more than {MAX_FRAMES} frames")]
    TooMany(String),
}

impl FrameList {
    /// Every frame once, in order.
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
