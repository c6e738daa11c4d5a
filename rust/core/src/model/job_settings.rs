//! Settings of a job that can be changed after it was sent.

use crate::model::spec::JobSpec;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// Change of a job's settings; an absent one stays as it is. Frames that are leased already are
/// rendered with the settings they were leased with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JobEdit {
    /// Priority, 0 to 100; jobs of a higher one are rendered earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Name shown in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Category for grouping and fair use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Number of frames that are leased together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
    /// Tags that a slave must have, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeSet<String>>,
}

/// One of the settings that a [`JobEdit`] can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as the fields of JobEdit")]
pub enum Setting {
    Priority,
    Name,
    Category,
    Chunk,
    Tags,
}

impl JobEdit {
    /// The edit without values that hold already.
    pub(crate) fn new_in(self, spec: &JobSpec) -> Self {
        Self {
            priority: self.priority.filter(|new| *new != spec.priority),
            name: self.name.filter(|new| *new != spec.name),
            category: self.category.filter(|new| *new != spec.category),
            chunk: self.chunk.filter(|new| *new != spec.chunk),
            tags: self.tags.filter(|new| *new != spec.tags),
        }
    }

    /// The settings that the edit changes.
    pub(crate) fn settings(&self) -> impl Iterator<Item = Setting> {
        let changed = [
            (Setting::Priority, self.priority.is_some()),
            (Setting::Name, self.name.is_some()),
            (Setting::Category, self.category.is_some()),
            (Setting::Chunk, self.chunk.is_some()),
            (Setting::Tags, self.tags.is_some()),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(setting, _)| setting)
    }

    pub(crate) fn apply_to(&self, spec: &mut JobSpec) {
        let Self { priority, name, category, chunk, tags } = self.clone();
        spec.priority = priority.unwrap_or(spec.priority);
        spec.chunk = chunk.unwrap_or(spec.chunk);
        name.into_iter().for_each(|name| spec.name = name);
        category.into_iter().for_each(|category| spec.category = category);
        tags.into_iter().for_each(|tags| spec.tags = tags);
    }
}

/// The new values in words, such as `priority 70, name "hero"`.
impl fmt::Display for JobEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, name, category, chunk, tags } = self;
        let words = [
            priority.map(|priority| format!("priority {priority}")),
            name.as_ref().map(|name| format!("name {name:?}")),
            category.as_ref().map(|category| format!("category {category:?}")),
            chunk.map(|chunk| format!("chunk size {chunk}")),
            tags.as_ref().map(|tags| format!("tags {:?}", Vec::from_iter(tags.iter().map(String::as_str)).join(", "))),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Setting {
    /// The setting's value in a sentence.
    pub(crate) fn in_words(self, spec: &JobSpec) -> String {
        match self {
            Self::Priority => format!("its priority is {}", spec.priority),
            Self::Name => format!("its name is {:?}", spec.name),
            Self::Category if spec.category.is_empty() => "it has no category".into(),
            Self::Category => format!("its category is {:?}", spec.category),
            Self::Chunk => format!("its chunk size is {}", spec.chunk),
            Self::Tags if spec.tags.is_empty() => "it has no tags".into(),
            Self::Tags => format!("its tags are {}", Vec::from_iter(spec.tags.iter().map(String::as_str)).join(", ")),
        }
    }
}
