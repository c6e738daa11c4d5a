//! Whether compressing pays: only where the line is slower than the processor, and only for bytes that get smaller. Both
//! are measured while sending, not guessed.

use std::{
    sync::Mutex,
    sync::PoisonError,
    time::{Duration, Instant},
};

/// Compressed to see what it brings.
const SAMPLE: usize = 16 << 10;
/// No processor compresses as fast as this, so there is nothing to find out.
const FAST_LINE_BYTES_PER_S: f64 = 1.5e9;
/// Less saved than this is not worth a decompression on every slave.
const WORTH: f64 = 0.1;

/// What the line carries, learned from each request.
#[derive(Debug, Default)]
pub struct Squeeze {
    line_bytes_per_s: Mutex<Option<f64>>,
}

impl Squeeze {
    /// A request carried this many bytes, beside `others` like it.
    pub fn sent(&self, bytes: usize, took: Duration, others: usize) {
        let now = bytes as f64 * (1 + others) as f64 / took.as_secs_f64().max(1e-6);
        let mut line = self.line_bytes_per_s.lock().unwrap_or_else(PoisonError::into_inner);
        *line = Some(line.map_or(now, |before| before * 0.7 + now * 0.3));
    }

    /// Whether to compress bytes like these.
    pub fn pays_for(&self, bytes: &[u8]) -> bool {
        let line = *self.line_bytes_per_s.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_some_and(|line| line > FAST_LINE_BYTES_PER_S) {
            return false;
        }
        let sample = &bytes[..bytes.len().min(SAMPLE)];
        let began = Instant::now();
        let Ok(packed) = zstd::bulk::compress(sample, 1) else { return false };
        let speed = sample.len() as f64 / began.elapsed().as_secs_f64().max(1e-6);
        pays(line, speed, packed.len() as f64 / sample.len().max(1) as f64)
    }
}

/// A byte costs 1/line as it is, and 1/speed + ratio/line compressed.
fn pays(line_bytes_per_s: Option<f64>, speed_bytes_per_s: f64, ratio: f64) -> bool {
    let saved = 1.0 - ratio;
    saved > WORTH && line_bytes_per_s.is_none_or(|line| saved / line > 1.0 / speed_bytes_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_on_slow_lines_and_for_what_gets_smaller() {
        let (gigabit, loopback, processor) = (Some(110e6), Some(2e9), 400e6);
        assert!(pays(gigabit, processor, 0.5));
        assert!(!pays(loopback, processor, 0.5));
        assert!(!pays(gigabit, processor, 0.95));
        assert!(pays(None, processor, 0.5), "the first bytes are compressed, to be on the safe side of a slow line");
        assert!(!pays(Some(350e6), processor, 0.5));
    }
}
