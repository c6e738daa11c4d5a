//! What people set of a slave from afar. It wins over what the slave was started with until somebody clears it, and is kept
//! by who the slave is, so that its next start gets it again.

use crate::{
    edit::edited_meanwhile,
    error::Refusal,
    event::Event,
    farm::Farm,
    ids::SlaveId,
    scheduler::{Decision, Reply},
    slave::Slave,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeSet, fmt};

/// Blender's own limit.
const MAX_THREADS: u32 = 1024;
/// A week.
const MAX_HANG_TIMEOUT_S: f64 = 604_800.0;
const MAX_CACHE_GB: f64 = 1e6;
const MAX_UPLOAD_INTERVAL_S: u32 = 3600;

/// Settings of a slave, some or all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveSettings {
    /// As shown in lists.
    #[serde(default)]
    pub name: Option<String>,
    /// Words jobs can ask for.
    #[serde(default)]
    pub tags: Option<BTreeSet<String>>,
    /// To render with.
    #[serde(default)]
    pub threads: Option<u32>,
    /// How long a Blender may print nothing and use no processor time before it is killed; 0: for ever.
    #[serde(default)]
    pub hang_timeout_s: Option<f64>,
    /// How much the files kept for jobs may weigh.
    #[serde(default)]
    pub cache_limit_gb: Option<f64>,
    /// How long a share of a frame shall take.
    #[serde(default)]
    pub upload_interval_s: Option<u32>,
}

/// A change of what people set of a slave. A key that is absent: that stays; null: back to the slave's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SlaveEdit {
    /// 1 to 200 characters.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub name: Option<Option<String>>,
    /// At most 100.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<BTreeSet<String>>))]
    pub tags: Option<Option<BTreeSet<String>>>,
    /// 1 to 1024.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>))]
    pub threads: Option<Option<u32>>,
    /// 0, for ever, to 604800.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub hang_timeout_s: Option<Option<f64>>,
    /// 0 to 1000000.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub cache_limit_gb: Option<Option<f64>>,
    /// 1 to 3600.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>))]
    pub upload_interval_s: Option<Option<u32>>,
}

/// A key that is there, null or not.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// One of a slave's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SlaveSetting {
    /// [`SlaveSettings::name`].
    Name,
    /// [`SlaveSettings::tags`].
    Tags,
    /// [`SlaveSettings::threads`].
    Threads,
    /// [`SlaveSettings::hang_timeout_s`].
    HangTimeoutS,
    /// [`SlaveSettings::cache_limit_gb`].
    CacheLimitGb,
    /// [`SlaveSettings::upload_interval_s`].
    UploadIntervalS,
}

/// What people set of a slave, as it is sent to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SettingsUpdate {
    /// The number of the last edit in it.
    pub edits: u32,
    /// What is absent is the slave's own.
    pub settings: SlaveSettings,
}

/// What a slave goes by, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveReport {
    /// All of its settings as they are in use.
    #[serde(default)]
    pub in_use: SlaveSettings,
    /// How much the files kept for jobs weigh.
    #[serde(default)]
    pub cache_bytes: u64,
}

impl SlaveSettings {
    /// These, and for the rest those.
    #[must_use]
    pub fn over(&self, rest: &Self) -> Self {
        let Self { name, tags, threads, hang_timeout_s, cache_limit_gb, upload_interval_s } = self.clone();
        Self {
            name: name.or_else(|| rest.name.clone()),
            tags: tags.or_else(|| rest.tags.clone()),
            threads: threads.or(rest.threads),
            hang_timeout_s: hang_timeout_s.or(rest.hang_timeout_s),
            cache_limit_gb: cache_limit_gb.or(rest.cache_limit_gb),
            upload_interval_s: upload_interval_s.or(rest.upload_interval_s),
        }
    }

    /// Those that are set here and are something else there.
    pub fn differing(&self, there: &Self) -> Vec<SlaveSetting> {
        let differ = [
            (SlaveSetting::Name, self.name.is_some() && self.name != there.name),
            (SlaveSetting::Tags, self.tags.is_some() && self.tags != there.tags),
            (SlaveSetting::Threads, self.threads.is_some() && self.threads != there.threads),
            (SlaveSetting::HangTimeoutS, number_differs(self.hang_timeout_s, there.hang_timeout_s)),
            (SlaveSetting::CacheLimitGb, number_differs(self.cache_limit_gb, there.cache_limit_gb)),
            (
                SlaveSetting::UploadIntervalS,
                self.upload_interval_s.is_some() && self.upload_interval_s != there.upload_interval_s,
            ),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting).collect()
    }

    fn check(&self) -> Result<(), &'static str> {
        let too_long = |text: &String| text.trim().is_empty() || text.chars().count() > 200;
        if self.name.as_ref().is_some_and(too_long) {
            return Err("a slave's name has 1 to 200 characters");
        }
        if self.tags.as_ref().is_some_and(|tags| tags.len() > 100 || tags.iter().any(too_long)) {
            return Err("a slave has at most 100 tags of 1 to 200 characters each");
        }
        if self.threads.is_some_and(|threads| !(1..=MAX_THREADS).contains(&threads)) {
            return Err("a slave renders with 1 to 1024 threads");
        }
        if self.hang_timeout_s.is_some_and(|seconds| !(0.0..=MAX_HANG_TIMEOUT_S).contains(&seconds)) {
            return Err("the hang timeout is 0 (wait for ever) to 604800 seconds (a week)");
        }
        if self.cache_limit_gb.is_some_and(|gigabytes| !(0.0..=MAX_CACHE_GB).contains(&gigabytes)) {
            return Err("the cache limit is 0 to 1000000 GB");
        }
        if self.upload_interval_s.is_some_and(|seconds| !(1..=MAX_UPLOAD_INTERVAL_S).contains(&seconds)) {
            return Err("the upload interval is 1 to 3600 seconds");
        }
        Ok(())
    }
}

/// Numbers with a point may differ in their last digit after they travelled as text.
fn number_differs(here: Option<f64>, there: Option<f64>) -> bool {
    match (here, there) {
        (Some(here), Some(there)) => (here - there).abs() > 1e-9 * here.abs(),
        (Some(_), None) => true,
        (None, _) => false,
    }
}

impl SlaveEdit {
    /// Without what is so already.
    fn new_in(self, set: &SlaveSettings) -> Self {
        Self {
            name: self.name.filter(|new| *new != set.name),
            tags: self.tags.filter(|new| *new != set.tags),
            threads: self.threads.filter(|new| *new != set.threads),
            hang_timeout_s: self.hang_timeout_s.filter(|new| *new != set.hang_timeout_s),
            cache_limit_gb: self.cache_limit_gb.filter(|new| *new != set.cache_limit_gb),
            upload_interval_s: self.upload_interval_s.filter(|new| *new != set.upload_interval_s),
        }
    }

    fn settings(&self) -> impl Iterator<Item = SlaveSetting> {
        let changed = [
            (SlaveSetting::Name, self.name.is_some()),
            (SlaveSetting::Tags, self.tags.is_some()),
            (SlaveSetting::Threads, self.threads.is_some()),
            (SlaveSetting::HangTimeoutS, self.hang_timeout_s.is_some()),
            (SlaveSetting::CacheLimitGb, self.cache_limit_gb.is_some()),
            (SlaveSetting::UploadIntervalS, self.upload_interval_s.is_some()),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(setting, _)| setting)
    }

    fn apply_to(&self, set: &mut SlaveSettings) {
        let Self { name, tags, threads, hang_timeout_s, cache_limit_gb, upload_interval_s } = self.clone();
        set.name = name.unwrap_or(set.name.take());
        set.tags = tags.unwrap_or(set.tags.take());
        set.threads = threads.unwrap_or(set.threads);
        set.hang_timeout_s = hang_timeout_s.unwrap_or(set.hang_timeout_s);
        set.cache_limit_gb = cache_limit_gb.unwrap_or(set.cache_limit_gb);
        set.upload_interval_s = upload_interval_s.unwrap_or(set.upload_interval_s);
    }
}

/// `4 threads, its own tags`.
impl fmt::Display for SlaveEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = SlaveSettings::default();
        self.apply_to(&mut set);
        let words: Vec<String> = self.settings().map(|setting| setting.in_words(&set)).collect();
        f.write_str(&words.join(", "))
    }
}

impl SlaveSetting {
    fn in_words(self, set: &SlaveSettings) -> String {
        let words = match self {
            Self::Name => set.name.as_ref().map(|name| format!("name {name:?}")),
            Self::Tags => set.tags.as_ref().map(|tags| match tags.is_empty() {
                true => "no tags".into(),
                false => format!("tags {}", Vec::from_iter(tags.iter().map(String::as_str)).join(", ")),
            }),
            Self::Threads => set.threads.map(|threads| format!("{threads} threads")),
            Self::HangTimeoutS => set.hang_timeout_s.map(|seconds| format!("hang timeout {seconds} s")),
            Self::CacheLimitGb => set.cache_limit_gb.map(|gigabytes| format!("cache limit {gigabytes} GB")),
            Self::UploadIntervalS => set.upload_interval_s.map(|seconds| format!("upload interval {seconds} s")),
        };
        let own = match self {
            Self::Name => "its own name",
            Self::Tags => "its own tags",
            Self::Threads => "its own number of threads",
            Self::HangTimeoutS => "its own hang timeout",
            Self::CacheLimitGb => "its own cache limit",
            Self::UploadIntervalS => "its own upload interval",
        };
        words.unwrap_or_else(|| own.into())
    }
}

impl Slave {
    /// What it was started with.
    pub fn own(&self) -> SlaveSettings {
        SlaveSettings {
            name: Some(self.own_name.clone()),
            tags: Some(self.info.tags.clone()),
            threads: Some(self.info.threads),
            hang_timeout_s: self.info.hang_timeout_s,
            cache_limit_gb: self.info.cache_limit_gb,
            upload_interval_s: Some(self.info.upload_interval_s),
        }
    }

    /// As shown in lists.
    pub fn name(&self) -> &str {
        self.set.name.as_ref().unwrap_or(&self.own_name)
    }

    /// Words jobs can ask for.
    pub fn tags(&self) -> &BTreeSet<String> {
        self.set.tags.as_ref().unwrap_or(&self.info.tags)
    }

    /// How long a share of a frame shall take it.
    pub fn upload_interval_s(&self) -> u32 {
        self.set.upload_interval_s.unwrap_or(self.info.upload_interval_s)
    }

    /// What it is to be told.
    pub fn update(&self) -> SettingsUpdate {
        SettingsUpdate { edits: self.edits.count, settings: self.set.clone() }
    }

    /// What is not in use as it shall be, by what the slave says of itself; when it says nothing, all that is set.
    pub fn pending(&self, report: Option<&SlaveReport>) -> Vec<SlaveSetting> {
        match report {
            _ if self.edits.count == 0 => vec![],
            Some(report) => self.set.over(&self.own()).differing(&report.in_use),
            None => self.set.differing(&SlaveSettings::default()),
        }
    }

    /// Takes an edit over.
    pub(crate) fn edit(&mut self, edit: &SlaveEdit) {
        self.edits.note(edit.settings());
        edit.apply_to(&mut self.set);
    }
}

/// `seen`: the number of the last edit known to whoever edits; None: whatever happened meanwhile.
pub(crate) fn edit(farm: &Farm, id: SlaveId, edit: SlaveEdit, seen: Option<u32>) -> Result<Decision, Refusal> {
    let slave = farm.slaves.get(&id).ok_or(Refusal::UnknownSlave(id))?;
    if let Some(newer) = slave.edits.newer_than(seen) {
        let words = newer.into_iter().map(|setting| setting.in_words(&slave.set)).collect();
        return Err(edited_meanwhile(format!("slave {id} ({})", slave.name()), words));
    }
    let edit = edit.new_in(&slave.set);
    if edit == SlaveEdit::default() {
        return Decision::new(vec![], Reply::Edited(slave.edits.count));
    }
    let mut set = slave.set.clone();
    edit.apply_to(&mut set);
    set.check().map_err(|why| Refusal::BadSetting(why.to_owned()))?;
    Decision::new(vec![Event::SlaveEdited { slave: id, edit: Box::new(edit) }], Reply::Edited(slave.edits.count + 1))
}
