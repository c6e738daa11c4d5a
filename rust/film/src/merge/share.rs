//! Which samples of a frame a film was made of: one range, or many. No films here, only numbers.

use std::fmt;
use std::str::FromStr;

/// More ranges than a frame is ever cut into.
const MAX_SHARES: usize = 4096;

/// Some samples of a frame, one after the other: `offset`, `offset + 1`, ... `offset + samples - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// The first, counted from 0.
    pub offset: u32,
    /// How many.
    pub samples: u32,
}

impl Share {
    fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.samples)
    }
}

/// For people: `samples 16 to 23`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.samples {
            0 => write!(f, "no samples"),
            1 => write!(f, "sample {}", self.offset),
            _ => write!(f, "samples {} to {}", self.offset, self.end() - 1),
        }
    }
}

/// All samples that a film was made of: shares in order, apart from each other, none of them empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coverage(Vec<Share>);

impl From<Share> for Coverage {
    fn from(share: Share) -> Self {
        Self(if share.samples == 0 { Vec::new() } else { vec![share] })
    }
}

impl Coverage {
    /// In order; touching ones are one.
    pub fn shares(&self) -> &[Share] {
        &self.0
    }

    /// Whether there is no sample in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of which number the last sample is, plus one.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |share| share.end())
    }

    /// How many samples it has among the first `limit` of the frame.
    pub fn samples_below(&self, limit: u32) -> u32 {
        // They are apart, so together they are at most `limit`.
        self.0.iter().map(|share| (share.end().min(limit.into()) as u32).saturating_sub(share.offset)).sum()
    }

    /// What of the first `total` samples it lacks.
    pub fn gaps(&self, total: u32) -> Self {
        let mut at = 0;
        let mut gaps = Vec::new();
        for share in self.0.iter().chain(&[Share { offset: total, samples: 0 }]) {
            let start = share.offset.min(total);
            if start > at {
                gaps.push(Share { offset: at, samples: start - at });
            }
            at = at.max(share.end().min(total.into()) as u32);
        }
        Self(gaps)
    }

    /// Both together.
    ///
    /// # Errors
    /// The first samples that are in both.
    pub fn join(&self, other: &Self) -> Result<Self, Share> {
        join(self.0.iter().chain(&other.0).copied().collect())
    }
}

fn join(mut shares: Vec<Share>) -> Result<Coverage, Share> {
    shares.retain(|share| share.samples > 0);
    shares.sort_unstable();
    let mut joined: Vec<Share> = Vec::with_capacity(shares.len());
    for share in shares {
        match joined.last_mut() {
            Some(last) if u64::from(share.offset) < last.end() => {
                let end = last.end().min(share.end());
                return Err(Share { offset: share.offset, samples: (end - u64::from(share.offset)) as u32 });
            }
            Some(last)
                if u64::from(share.offset) == last.end() && last.samples.checked_add(share.samples).is_some() =>
            {
                last.samples += share.samples;
            }
            _ => joined.push(share),
        }
    }
    Ok(Coverage(joined))
}

/// For people: `samples 0 to 7, samples 16 to 23`.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "no samples");
        }
        for (index, share) in self.0.iter().enumerate() {
            write!(f, "{}{share}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Coverage {
    /// For files: `0+8,16+8`, each an offset and a number; what [`Coverage::from_str`] reads.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|share| format!("{}+{}", share.offset, share.samples)).collect::<Vec<_>>().join(",")
    }
}

/// The text is not a list of shares that are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("samples are written as OFFSET+NUMBER, several with commas between, none of them twice")]
pub struct NotShares;

impl FromStr for Coverage {
    type Err = NotShares;

    fn from_str(text: &str) -> Result<Self, NotShares> {
        let share = |text: &str| {
            let (offset, samples) = text.split_once('+')?;
            let share = Share { offset: offset.parse().ok()?, samples: samples.parse().ok()? };
            (share.samples > 0).then_some(share)
        };
        let shares: Vec<Share> =
            text.split(',').take(MAX_SHARES + 1).map(share).collect::<Option<_>>().ok_or(NotShares)?;
        if shares.len() > MAX_SHARES {
            return Err(NotShares);
        }
        join(shares).map_err(|_| NotShares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Coverage {
        text.parse().unwrap()
    }

    #[test]
    fn touching_shares_are_one_and_gaps_are_found() {
        let all = of("8+8,0+8,20+4");
        assert_eq!(all.to_text(), "0+16,20+4");
        assert_eq!(all.gaps(32).to_text(), "16+4,24+8");
        assert_eq!(all.gaps(10).to_text(), "");
        assert_eq!((all.samples_below(32), all.samples_below(18), all.samples_below(22)), (20, 16, 18));
        assert_eq!(Coverage::default().gaps(3).to_text(), "0+3");
    }

    #[test]
    fn what_is_in_both_is_named() {
        assert_eq!(of("0+8").join(&of("6+4")), Err(Share { offset: 6, samples: 2 }));
        assert_eq!(of("0+8").join(&of("2+3")), Err(Share { offset: 2, samples: 3 }));
        assert_eq!(of("0+8").join(&of("12+2,8+1")).unwrap().to_text(), "0+9,12+2");
    }

    #[test]
    fn other_texts_are_no_shares() {
        for text in ["", "1", "1+0", "+", "1+2,", "1+-2", "0+4,3+1", "4294967296+1"] {
            assert_eq!(text.parse::<Coverage>(), Err(NotShares), "{text}");
        }
        assert_eq!(of("4294967295+4294967295,0+1").end(), (1 << 33) - 2);
    }
}
