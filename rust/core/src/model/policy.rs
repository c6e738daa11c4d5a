//! Scheduling policy: the settings that decide which job the next slave gets. Each is in points of
//! priority, so that it can be weighed against the priorities that artists give their jobs.

use serde::{Deserialize, Serialize};

/// Largest value of each setting: the whole range of priorities.
const MAX_POINTS: f64 = 100.0;

/// Points of priority that a job gets or loses. An absent key has its default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Points that a job gets while nothing of it was begun. Half a point decides among equals
    /// only, so that a small job need not wait for a long queue.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 100))]
    pub new_job: f64,
    /// Points that a job gets for each hour since it was sent.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 100))]
    pub hour: f64,
    /// Points that a job loses for each other slave that renders jobs of its category. Jobs without
    /// a category count as one category.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 100))]
    pub category_slave: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { new_job: 0.5, hour: 0.0, category_slave: 0.0 }
    }
}

impl Policy {
    /// The policy in sentences, for people.
    pub fn in_words(&self) -> Vec<String> {
        let Self { new_job, hour, category_slave } = self;
        vec![
            "The job with the most points gets the next slave that can do it; of equals, the one that was sent first."
                .into(),
            "A job's points are its priority, 0 to 100.".into(),
            format!("While nothing of it was begun: {new_job} more."),
            format!("For each hour since it was sent: {hour} more."),
            format!("For each other slave that renders jobs of its category: {category_slave} less."),
        ]
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let all = [
            ("what a new job is worth", self.new_job),
            ("what an hour is worth", self.hour),
            ("what a slave of the category costs", self.category_slave),
        ];
        match all.into_iter().find(|(_, points)| !(0.0..=MAX_POINTS).contains(points)) {
            Some((what, points)) => Err(format!("{what} is 0 to 100 points, not {points}")),
            None => Ok(()),
        }
    }
}

/// The policy in short, such as `0.5 points for a new job, 1 for an hour, 0 less for a slave of the
/// category`.
impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { new_job, hour, category_slave } = self;
        write!(
            f,
            "{new_job} points for a new job, {hour} for an hour, {category_slave} less for a slave of the category"
        )
    }
}
