//! Merges Cryptomattes by id: coverages of the same id are added up, then each pixel's ids are
//! ranked again. A mean channel by channel would mix the ids of different objects. The manifest in
//! the header stays unchanged.

/// Number of ids kept for one pixel before the one with the least coverage is dropped; a frame's
/// parts together rarely have a dozen.
const MOST: usize = 64;

/// The ids in some pixels, each with its weighted coverage.
pub(super) struct Ranks {
    /// Slots per pixel; grows when one pixel needs more.
    places: usize,
    used: Vec<u8>,
    ids: Vec<u32>,
    coverages: Vec<f64>,
    sorted: Vec<(u32, f64)>,
}

impl Ranks {
    pub(super) fn new() -> Self {
        Self { places: 8, used: Vec::new(), ids: Vec::new(), coverages: Vec::new(), sorted: Vec::new() }
    }

    /// Drops all ids and makes room for `pixels` pixels.
    pub(super) fn clear(&mut self, pixels: usize) {
        self.used.clear();
        self.used.resize(pixels, 0);
        self.ids.resize(pixels * self.places, 0);
        self.coverages.resize(pixels * self.places, 0.0);
    }

    /// Adds an id's coverage of a pixel. Ids without coverage are dropped, because they mark unused
    /// ranks.
    #[inline]
    pub(super) fn add(&mut self, pixel: usize, id: u32, coverage: f64) {
        // The caller has refused NaN; it is dropped all the same.
        if coverage.is_nan() || coverage <= 0.0 {
            return;
        }
        let used = usize::from(self.used[pixel]);
        let first = pixel * self.places;
        if let Some(at) = self.ids[first..first + used].iter().position(|found| *found == id) {
            self.coverages[first + at] += coverage;
        } else if used < self.places {
            self.ids[first + used] = id;
            self.coverages[first + used] = coverage;
            self.used[pixel] += 1;
        } else if self.places < MOST {
            self.grow();
            self.add(pixel, id, coverage);
        } else {
            let coverages = &self.coverages[first..first + used];
            let least = (1..used).fold(0, |least, at| if coverages[at] < coverages[least] { at } else { least });
            if coverages[least] < coverage {
                self.ids[first + least] = id;
                self.coverages[first + least] = coverage;
            }
        }
    }

    fn grow(&mut self) {
        let places = self.places * 2;
        let pixels = self.used.len();
        let (mut ids, mut coverages) = (vec![0; pixels * places], vec![0.0; pixels * places]);
        for pixel in 0..pixels {
            let (from, to) = (pixel * self.places, pixel * places);
            ids[to..to + self.places].copy_from_slice(&self.ids[from..from + self.places]);
            coverages[to..to + self.places].copy_from_slice(&self.coverages[from..from + self.places]);
        }
        (self.places, self.ids, self.coverages) = (places, ids, coverages);
    }

    /// The pixel's ids by descending coverage, then by id, so that the order of the parts has no
    /// effect.
    pub(super) fn ranked(&mut self, pixel: usize) -> &[(u32, f64)] {
        let here = pixel * self.places..pixel * self.places + usize::from(self.used[pixel]);
        self.sorted.clear();
        self.sorted.extend(self.ids[here.clone()].iter().copied().zip(self.coverages[here].iter().copied()));
        self.sorted.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        &self.sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_of_many_objects_keeps_the_largest() {
        let mut ranks = Ranks::new();
        ranks.clear(2);
        for id in 0..200 {
            ranks.add(1, id, f64::from(id) + 1.0);
        }
        ranks.add(0, 7, 0.25);
        ranks.add(0, 7, 0.5);
        ranks.add(0, 9, 0.0);
        assert_eq!(ranks.ranked(0), [(7, 0.75)]);
        assert_eq!(ranks.ranked(1).len(), 64);
        assert_eq!(ranks.ranked(1)[..2], [(199, 200.0), (198, 199.0)]);
    }
}
