//! Decision whether to compress a piece. It pays only where the connection is slower than the
//! processor, and only for bytes that get smaller. Both are measured while sending.

use netrender_store::zstandard;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Bytes of a piece that are compressed as a test.
const SAMPLE: usize = 16 << 10;
/// Speed of a connection above which no processor compresses fast enough.
const FAST_LINE_BYTES_PER_S: f64 = 1.5e9;
/// Smallest saving that is worth decompressing on every slave.
const WORTH: f64 = 0.1;

/// Speed of the connection, learned from each request.
#[derive(Debug, Default)]
pub struct Compression {
    line_bytes_per_s: Mutex<Option<f64>>,
}

impl Compression {
    /// Learns from a request that carried this many bytes while `others` like it were under way.
    pub fn sent(&self, bytes: usize, took: Duration, others: usize) {
        let now = bytes as f64 * (1 + others) as f64 / took.as_secs_f64().max(1e-6);
        let mut line = self.line_bytes_per_s.lock();
        *line = Some(line.map_or(now, |before| before * 0.7 + now * 0.3));
    }

    /// True if compressing these bytes saves time.
    pub fn pays_for(&self, bytes: &[u8]) -> bool {
        let line = *self.line_bytes_per_s.lock();
        if line.is_some_and(|line| line > FAST_LINE_BYTES_PER_S) {
            return false;
        }
        let sample = &bytes[..bytes.len().min(SAMPLE)];
        let began = Instant::now();
        let Ok(packed) = zstandard::compress(sample) else { return false };
        let speed = sample.len() as f64 / began.elapsed().as_secs_f64().max(1e-6);
        pays(line, speed, packed.len() as f64 / sample.len().max(1) as f64)
    }
}

/// Compares the time per byte: 1/line as it is, 1/speed + ratio/line compressed.
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
