//! Revisions of settings that several people may edit at a time.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Revision counter for optimistic concurrency: an edit that is based on an outdated revision is
/// refused, and the error tells which settings changed. `S` names the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "S: Ord + Deserialize<'de>"))]
pub struct Edits<S> {
    /// The revision: the number of edits so far.
    pub count: u32,
    /// The revision in which each setting changed last.
    last: BTreeMap<S, u32>,
}

impl<S> Default for Edits<S> {
    fn default() -> Self {
        Self { count: 0, last: BTreeMap::new() }
    }
}

impl<S: Copy + Ord> Edits<S> {
    /// Counts one edit of these settings.
    pub(crate) fn note(&mut self, changed: impl Iterator<Item = S>) {
        self.count += 1;
        let count = self.count;
        self.last.extend(changed.map(|setting| (setting, count)));
    }

    /// The settings that changed after revision `seen`; `None` if that is the latest one, or if the
    /// editor does not care.
    pub(crate) fn newer_than(&self, seen: Option<u32>) -> Option<Vec<S>> {
        let seen = seen.filter(|seen| *seen != self.count)?;
        Some(self.last.iter().filter(|(_, number)| **number > seen).map(|(setting, _)| *setting).collect())
    }
}
