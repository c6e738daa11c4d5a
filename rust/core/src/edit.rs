//! Changes of a job that is on the farm already: its settings, and frames that shall be rendered again.

use crate::{
    error::Refusal,
    event::Event,
    farm::Farm,
    frames::FrameList,
    ids::{Frame, JobId},
    job::{Job, JobSpec, JobState},
    scheduler::{Decision, Reply, check_spec, job, wrong_state},
    task::TaskState,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Settings of a job that may change while it is on the farm; absent ones stay. What a slave has already is rendered
/// as it was leased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JobEdit {
    /// 0 to 100, more is sooner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// As shown in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For grouping and fair use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Frames per dispatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
    /// A slave must have all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeSet<String>>,
}

/// One of the settings a [`JobEdit`] can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// [`JobEdit::priority`].
    Priority,
    /// [`JobEdit::name`].
    Name,
    /// [`JobEdit::category`].
    Category,
    /// [`JobEdit::chunk`].
    Chunk,
    /// [`JobEdit::tags`].
    Tags,
}

/// How often a job or a slave was edited, so that of two people who edit it the second is told what the first did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "S: Ord + Deserialize<'de>"))]
pub struct Edits<S> {
    /// The number of the last edit.
    pub count: u32,
    /// Which edit changed a setting last.
    last: BTreeMap<S, u32>,
}

impl<S> Default for Edits<S> {
    fn default() -> Self {
        Self { count: 0, last: BTreeMap::new() }
    }
}

impl<S: Copy + Ord> Edits<S> {
    /// One more edit, of these.
    pub(crate) fn note(&mut self, changed: impl Iterator<Item = S>) {
        self.count += 1;
        let count = self.count;
        self.last.extend(changed.map(|setting| (setting, count)));
    }

    /// What was changed since; None when whoever edits has seen the last edit, or does not care.
    pub(crate) fn newer_than(&self, seen: Option<u32>) -> Option<Vec<S>> {
        let seen = seen.filter(|seen| *seen != self.count)?;
        Some(self.last.iter().filter(|(_, number)| **number > seen).map(|(setting, _)| *setting).collect())
    }
}

/// `words`: what is new.
pub(crate) fn edited_meanwhile(of: String, words: Vec<String>) -> Refusal {
    let what = if words.is_empty() { "look at it anew".into() } else { format!("now {}", words.join(", ")) };
    Refusal::EditedMeanwhile { of, what }
}

impl JobEdit {
    /// Without what is so already.
    fn new_in(self, spec: &JobSpec) -> Self {
        Self {
            priority: self.priority.filter(|new| *new != spec.priority),
            name: self.name.filter(|new| *new != spec.name),
            category: self.category.filter(|new| *new != spec.category),
            chunk: self.chunk.filter(|new| *new != spec.chunk),
            tags: self.tags.filter(|new| *new != spec.tags),
        }
    }

    fn settings(&self) -> impl Iterator<Item = Setting> {
        let changed = [
            (Setting::Priority, self.priority.is_some()),
            (Setting::Name, self.name.is_some()),
            (Setting::Category, self.category.is_some()),
            (Setting::Chunk, self.chunk.is_some()),
            (Setting::Tags, self.tags.is_some()),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(setting, _)| setting)
    }

    fn apply_to(&self, spec: &mut JobSpec) {
        let Self { priority, name, category, chunk, tags } = self.clone();
        spec.priority = priority.unwrap_or(spec.priority);
        spec.chunk = chunk.unwrap_or(spec.chunk);
        name.into_iter().for_each(|name| spec.name = name);
        category.into_iter().for_each(|category| spec.category = category);
        tags.into_iter().for_each(|tags| spec.tags = tags);
    }
}

/// `priority 70, name "hero"`.
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
    fn in_words(self, spec: &JobSpec) -> String {
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

impl Job {
    /// Takes an edit over.
    pub(crate) fn edit(&mut self, edit: &JobEdit) {
        self.edits.note(edit.settings());
        edit.apply_to(&mut self.spec);
    }

    /// Frames that ended, well or not, begin anew; others are on their way already.
    pub(crate) fn render_again(&mut self, frames: &FrameList) {
        for frame in self.ended(frames) {
            if let Some(task) = self.tasks.get_mut(&frame) {
                task.strikes = 0;
                (task.merged, task.goal, task.is_growing) = (None, None, false);
            }
            self.set_task(frame, TaskState::Waiting);
        }
    }

    fn ended(&self, frames: &FrameList) -> Vec<Frame> {
        let ended = |frame: &Frame| {
            self.tasks.get(frame).is_some_and(|task| matches!(task.state, TaskState::Done(_) | TaskState::Failed))
        };
        frames.frames().into_iter().filter(ended).collect()
    }
}

/// `seen`: the number of the last edit known to whoever edits; None: whatever happened meanwhile.
pub(crate) fn edit(farm: &Farm, id: JobId, edit: JobEdit, seen: Option<u32>) -> Result<Decision, Refusal> {
    let job = job(farm, id)?;
    if let Some(newer) = job.edits.newer_than(seen) {
        let words = newer.into_iter().map(|setting| setting.in_words(&job.spec)).collect();
        return Err(edited_meanwhile(format!("job {id}"), words));
    }
    let edit = edit.new_in(&job.spec);
    if edit == JobEdit::default() {
        return Decision::new(vec![], Reply::Edited(job.edits.count));
    }
    let mut spec = job.spec.clone();
    edit.apply_to(&mut spec);
    check_spec(&spec).map_err(|refusal| match refusal {
        Refusal::BadSpec(why) => Refusal::BadSetting(why),
        other => other,
    })?;
    Decision::new(vec![Event::JobEdited { job: id, edit: Box::new(edit) }], Reply::Edited(job.edits.count + 1))
}

pub(crate) fn render_again(farm: &Farm, id: JobId, frames: FrameList) -> Result<Decision, Refusal> {
    let job = job(farm, id)?;
    if let Some(unknown) = frames.frames().into_iter().find(|frame| !job.tasks.contains_key(frame)) {
        return Err(Refusal::UnknownFrame(id, unknown));
    }
    // Its other frames would go on, too.
    if job.state == JobState::Canceled {
        return Err(wrong_state(job, "rendered again in part; requeue it as a whole first"));
    }
    let events = if job.ended(&frames).is_empty() { vec![] } else { vec![Event::FramesRequeued { job: id, frames }] };
    Decision::new(events, Reply::Ok)
}
