//! Change feed of the farm's lists: the difference of two states of them, and how a follower
//! applies it.

use crate::{
    model::ids::{JobId, SlaveId},
    wire::{jobs::JobView, master::FarmView, slaves::SlaveView},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Fields of a row; the `id` is always there.
type Fields = Map<String, Value>;

/// Event `change` of `GET /api/v1/events?what=farm`: what differs from the state of the lists
/// before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FarmChange {
    /// Revision of the lists with this change in them.
    pub revision: u64,
    /// New jobs with all fields; of others the fields that differ.
    pub jobs: Vec<Fields>,
    /// New slaves with all fields; of others the fields that differ.
    pub slaves: Vec<Fields>,
    /// Jobs that are not in the list any more.
    pub gone_jobs: Vec<JobId>,
    /// Slaves that are not in the list any more.
    pub gone_slaves: Vec<SlaveId>,
}

/// A change that does not fit the lists to which it is applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the change to revision {revision} does not fit the lists: {why}")]
pub struct UnfitChange {
    /// Revision of the change.
    pub revision: u64,
    /// Reason, for the log.
    pub why: String,
}

impl FarmChange {
    /// The difference of two states.
    pub fn between(old: &FarmView, new: &FarmView) -> Self {
        let (jobs, gone_jobs) = differing(&old.jobs, &new.jobs);
        let (slaves, gone_slaves) = differing(&old.slaves, &new.slaves);
        Self { revision: new.revision, jobs, slaves, gone_jobs, gone_slaves }
    }
}

impl FarmView {
    /// Applies the difference from this state to a later one. After an error the lists are of no
    /// use: they may be changed in part.
    pub fn apply(&mut self, change: FarmChange) -> Result<(), UnfitChange> {
        let unfit = |error: serde_json::Error| UnfitChange { revision: change.revision, why: error.to_string() };
        patch(&mut self.jobs, change.jobs, &change.gone_jobs).map_err(unfit)?;
        patch(&mut self.slaves, change.slaves, &change.gone_slaves).map_err(unfit)?;
        self.revision = change.revision;
        Ok(())
    }
}

/// A row of a list that is sorted by id.
trait Row: PartialEq + Serialize + DeserializeOwned {
    type Id: Copy + Ord + DeserializeOwned;

    fn id(&self) -> Self::Id;
}

impl Row for JobView {
    type Id = JobId;

    fn id(&self) -> JobId {
        self.id
    }
}

impl Row for SlaveView {
    type Id = SlaveId;

    fn id(&self) -> SlaveId {
        self.id
    }
}

/// Rows that differ, and the ids of those that are gone.
fn differing<T: Row>(old: &[T], new: &[T]) -> (Vec<Fields>, Vec<T::Id>) {
    let mut before: BTreeMap<T::Id, &T> = old.iter().map(|row| (row.id(), row)).collect();
    let changed = new.iter().filter_map(|row| match before.remove(&row.id()) {
        Some(same) if same == row => None,
        Some(other) => {
            let (other, mut changed) = (fields(other), fields(row));
            changed.retain(|name, value| name == "id" || other.get(name) != Some(value));
            Some(changed)
        }
        None => Some(fields(row)),
    });
    (changed.collect(), before.into_keys().collect())
}

fn patch<T: Row>(rows: &mut Vec<T>, changed: Vec<Fields>, gone: &[T::Id]) -> serde_json::Result<()> {
    rows.retain(|row| !gone.contains(&row.id()));
    for change in changed {
        let id: T::Id = serde_json::from_value(change.get("id").cloned().unwrap_or_default())?;
        match rows.binary_search_by_key(&id, T::id) {
            Ok(at) => {
                let mut all = fields(&rows[at]);
                all.extend(change);
                rows[at] = serde_json::from_value(Value::Object(all))?;
            }
            Err(at) => rows.insert(at, serde_json::from_value(Value::Object(change))?),
        }
    }
    Ok(())
}

fn fields(row: &impl Serialize) -> Fields {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        // A row is plain data with fields, which always can be written.
        _ => Fields::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn job(id: u32, priority: u8, name: &str, left_s: Option<f64>) -> JobView {
        let row = json!({
            "id": id, "name": name, "category": "", "priority": priority, "state": "active", "status": "Queued",
            "frames": "1-3", "total": 3, "done": 0, "failed": 0, "rendering": 0, "why": "", "left_s": left_s,
            "created_ms": 5, "edits": 0, "scripts": false,
        });
        serde_json::from_value(row).unwrap()
    }

    fn lists() -> impl Strategy<Value = FarmView> {
        let rows = prop::collection::btree_map(
            0_u32..6,
            (0_u8..3, "[ab]?", prop::option::of((0_u8..2).prop_map(|half| f64::from(half) + 0.5))),
            0..6,
        );
        (rows, 0_u64..100).prop_map(|(rows, revision)| {
            let jobs = rows.into_iter().map(|(id, (priority, name, left))| job(id, priority, &name, left));
            FarmView { revision, jobs: jobs.collect(), slaves: Vec::new() }
        })
    }

    proptest! {
        #[test]
        fn lists_to_which_their_difference_is_applied_are_the_later_ones(old in lists(), new in lists()) {
            let change = serde_json::to_string(&FarmChange::between(&old, &new)).unwrap();
            let mut followed = old;
            followed.apply(serde_json::from_str(&change).unwrap()).unwrap();
            prop_assert_eq!(followed, new);
        }
    }

    #[test]
    fn only_what_differs_is_told() {
        let lists = |job| FarmView { revision: 7, jobs: vec![job], slaves: Vec::new() };
        let change = FarmChange::between(&lists(job(4, 50, "a", None)), &lists(job(4, 60, "a", Some(1.5))));
        assert_eq!(json!(change.jobs), json!([{"id": 4, "priority": 60, "left_s": 1.5}]));
    }

    #[test]
    fn a_change_of_a_row_that_is_not_there_does_not_fit() {
        let change = json!({"revision": 3, "jobs": [{"id": 1, "priority": 9}], "slaves": [], "gone_jobs": [], "gone_slaves": []});
        let unfit = FarmView::default().apply(serde_json::from_value(change).unwrap()).unwrap_err();
        assert!(unfit.to_string().contains("revision 3"), "{unfit}");
    }
}
