//! Changes of the lists since a reader last looked, some rows at a time. For readers that look
//! often and have little time.

use netrender_core::{
    model::ids::{JobId, SlaveId},
    wire::{FarmView, JobView, SlaveView},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Rows that a reader knows.
#[derive(Default)]
pub struct KnownRows {
    jobs: Rows<JobId, JobView>,
    slaves: Rows<SlaveId, SlaveView>,
    /// Latest lists that the reader knows completely.
    whole: Option<Arc<FarmView>>,
}

/// Changes of the lists.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Changes {
    /// New and changed jobs.
    pub jobs: Vec<JobView>,
    /// Jobs that are not in the list any more.
    pub gone_jobs: Vec<JobId>,
    /// New and changed slaves.
    pub slaves: Vec<SlaveView>,
    /// Slaves that are not in the list any more.
    pub gone_slaves: Vec<SlaveId>,
    /// True if there are more changes to fetch at once.
    pub more: bool,
}

impl KnownRows {
    /// Returns the rows that the reader does not know, at most `limit` of each list. It knows them
    /// from now on.
    pub fn changes(&mut self, farm: &Arc<FarmView>, limit: usize) -> Changes {
        if self.whole.as_ref().is_some_and(|whole| Arc::ptr_eq(whole, farm)) {
            return Changes::default();
        }
        let (jobs, gone_jobs) = self.jobs.changes(&farm.jobs, |job| job.id, limit);
        let (slaves, gone_slaves) = self.slaves.changes(&farm.slaves, |slave| slave.id, limit);
        let more = jobs.len() == limit || slaves.len() == limit;
        if !more {
            self.whole = Some(farm.clone());
        }
        Changes { jobs, gone_jobs, slaves, gone_slaves, more }
    }
}

struct Rows<K, V> {
    known: BTreeMap<K, V>,
    /// Last row of the previous look, if there were more. The next one begins after it, so that
    /// rows at the end get their turn even if those before change all the time.
    after: Option<K>,
}

impl<K, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), after: None }
    }
}

impl<K: Copy + Ord, V: Clone + PartialEq> Rows<K, V> {
    /// `now` must be sorted by key.
    fn changes(&mut self, now: &[V], key: impl Fn(&V) -> K, limit: usize) -> (Vec<V>, Vec<K>) {
        let there: BTreeSet<K> = now.iter().map(&key).collect();
        let gone: Vec<K> = self.known.keys().filter(|known| !there.contains(known)).copied().collect();
        for known in &gone {
            self.known.remove(known);
        }
        let (before, rest) = now.split_at(now.partition_point(|row| Some(key(row)) <= self.after));
        let news = rest.iter().chain(before).filter(|row| self.known.get(&key(row)) != Some(*row));
        let news: Vec<V> = news.take(limit).cloned().collect();
        self.known.extend(news.iter().map(|row| (key(row), row.clone())));
        self.after = news.last().map(&key).filter(|_| news.len() == limit);
        (news, gone)
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    fn key(row: &(u32, &str)) -> u32 {
        row.0
    }

    #[test]
    fn all_rows_are_told_once_and_then_those_that_differ() {
        let mut rows = Rows::default();
        let now = [(1, "a"), (2, "b"), (3, "c")];
        assert_eq!(rows.changes(&now, key, 2), (vec![(1, "a"), (2, "b")], vec![]));
        assert_eq!(rows.changes(&now, key, 2), (vec![(3, "c")], vec![]));
        assert_eq!(rows.changes(&now, key, 2), (vec![], vec![]));
        assert_eq!(rows.changes(&[(1, "a"), (3, "d")], key, 2), (vec![(3, "d")], vec![2]));
    }

    #[test]
    fn rows_at_the_end_get_their_turn() {
        let mut rows = Rows::default();
        let mut told = Vec::new();
        for round in ["a", "b", "c"] {
            let now: Vec<_> = (0..6).map(|number| (number, round)).collect();
            told.extend(rows.changes(&now, key, 2).0.iter().map(key));
        }
        assert_eq!(told, [0, 1, 2, 3, 4, 5]);
    }
}
