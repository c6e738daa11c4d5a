//! Settings of a slave: one table from which the types, their checks and their wording are made.
//!
//! A slave starts with settings of its own. The master can override each of them until the override
//! is cleared; overrides are kept by the slave's key, so that its next start receives them again.
//! The command line, the native module, the panel, the page and the HTTP interface take ranges,
//! defaults and help from [`SlaveSetting::info`].

use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeSet, fmt};

/// Range, unit, default and wording of one setting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SettingInfo {
    /// Key of the setting in JSON.
    pub setting: SlaveSetting,
    /// Name for people, in lower case.
    pub label: &'static str,
    /// Meaning for people, one or two sentences.
    pub help: &'static str,
    /// Unit of a number; empty for a count or a text.
    pub unit: &'static str,
    /// Smallest number allowed, fewest characters of a text, or fewest tags.
    pub min: f64,
    /// Largest number allowed, most characters of a text, or most tags.
    pub max: f64,
    /// Value unless the slave's owner chooses another; `None` where the machine itself gives it.
    pub default: Option<f64>,
    /// Error for a value out of range.
    pub limits: &'static str,
}

impl SettingInfo {
    /// True if `number` is within the range. A value that is not a number is not.
    pub fn allows(&self, number: f64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

/// The machine gives the value.
const NONE: Option<f64> = None;
/// Characters of a tag at most.
const LONGEST_TAG: usize = 200;

/// Operations that the table needs of a setting's type.
trait Value: PartialEq + Clone {
    /// The quantity that the range bounds: the number itself, characters of a text, or the number
    /// of tags.
    fn size(&self) -> f64;

    /// True if every part of the value is acceptable, its size aside.
    fn is_sound(&self) -> bool {
        true
    }

    /// True if the value is another than `used`, which travelled as text.
    fn differs(&self, used: &Self) -> bool {
        self != used
    }

    /// The value of a default in the table.
    fn from_default(default: f64) -> Option<Self> {
        let _ = default;
        None
    }

    /// The value in front of people; `words` holds `{}` where it goes.
    fn in_words(&self, words: &str) -> String;
}

impl Value for String {
    fn size(&self) -> f64 {
        self.chars().count() as f64
    }

    fn is_sound(&self) -> bool {
        !self.trim().is_empty()
    }

    fn in_words(&self, words: &str) -> String {
        words.replacen("{}", &format!("{self:?}"), 1)
    }
}

impl Value for BTreeSet<String> {
    fn size(&self) -> f64 {
        self.len() as f64
    }

    fn is_sound(&self) -> bool {
        self.iter().all(|tag| !tag.trim().is_empty() && tag.chars().count() <= LONGEST_TAG)
    }

    fn in_words(&self, words: &str) -> String {
        match self.is_empty() {
            true => "no tags".into(),
            false => words.replacen("{}", &Vec::from_iter(self.iter().map(String::as_str)).join(", "), 1),
        }
    }
}

impl Value for u32 {
    fn from_default(default: f64) -> Option<Self> {
        Some(default as Self)
    }

    fn size(&self) -> f64 {
        f64::from(*self)
    }

    fn in_words(&self, words: &str) -> String {
        words.replacen("{}", &self.to_string(), 1)
    }
}

impl Value for f64 {
    fn from_default(default: f64) -> Option<Self> {
        Some(default)
    }

    fn size(&self) -> f64 {
        *self
    }

    /// The last digit may change when a number travels as text.
    fn differs(&self, used: &Self) -> bool {
        (self - used).abs() > 1e-9 * self.abs()
    }

    fn in_words(&self, words: &str) -> String {
        words.replacen("{}", &self.to_string(), 1)
    }
}

/// The key is present, whether its value is null or not.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

macro_rules! slave_settings {
    ($($field:ident $setting:ident: $type:ty {
        label: $label:literal,
        help: $help:literal,
        unit: $unit:literal,
        words: $words:literal,
        $(range: $min:tt to $max:tt,)?
        $(length: $fewest:tt to $most:tt,)?
        default: $default:expr,
        limits: $limits:literal,
    })+) => {
        /// Values of a slave's settings, some or all of them.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct SlaveSettings {
            $(
                #[doc = $help]
                #[serde(default)]
                pub $field: Option<$type>,
            )+
        }

        /// Change of a slave's overrides. An absent key keeps the override, null clears it.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct SlaveEdit {
            $(
                #[doc = $limits]
                #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
                #[cfg_attr(feature = "schema", schema(
                    value_type = Option<$type>,
                    $(minimum = $min, maximum = $max,)?
                ))]
                pub $field: Option<Option<$type>>,
            )+
        }

        /// One of a slave's settings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum SlaveSetting {
            $(
                #[doc = concat!("[`SlaveSettings::", stringify!($field), "`].")]
                $setting,
            )+
        }

        impl SlaveSetting {
            /// Every setting, in the order in which people see them.
            pub const ALL: &[Self] = &[$(Self::$setting),+];

            /// Range, unit, default and wording.
            pub const fn info(self) -> SettingInfo {
                match self {
                    $(Self::$setting => SettingInfo {
                        setting: self,
                        label: $label,
                        help: $help,
                        unit: $unit,
                        min: ($($min)? $($fewest)?) as f64,
                        max: ($($max)? $($most)?) as f64,
                        default: $default,
                        limits: $limits,
                    },)+
                }
            }

            /// The setting's value in `set`, in words.
            pub(crate) fn in_words(self, set: &SlaveSettings) -> String {
                let words = match self {
                    $(Self::$setting => set.$field.as_ref().map(|value| value.in_words($words)),)+
                };
                words.unwrap_or_else(|| format!("its own {}", self.info().label))
            }
        }

        impl SlaveSettings {
            /// Settings of a slave whose owner chose none; those that the machine gives are absent.
            pub fn defaults() -> Self {
                Self { $($field: $default.and_then(Value::from_default),)+ }
            }

            /// These settings, completed by `rest`.
            #[must_use]
            pub fn over(&self, rest: &Self) -> Self {
                Self { $($field: self.$field.clone().or_else(|| rest.$field.clone()),)+ }
            }

            /// Settings that have a value here and another one, or none, in `used`.
            pub fn differing(&self, used: &Self) -> Vec<SlaveSetting> {
                let mut differing = vec![];
                $(
                    let differs = |value: &$type| used.$field.as_ref().is_none_or(|used| value.differs(used));
                    if self.$field.as_ref().is_some_and(differs) {
                        differing.push(SlaveSetting::$setting);
                    }
                )+
                differing
            }

            /// Refuses a value out of its range.
            ///
            /// # Errors
            ///
            /// A sentence that names the setting and its range.
            pub fn check(&self) -> Result<(), &'static str> {
                $(
                    let info = SlaveSetting::$setting.info();
                    let is_good = |value: &$type| info.allows(value.size()) && value.is_sound();
                    if !self.$field.as_ref().is_none_or(is_good) {
                        return Err(info.limits);
                    }
                )+
                Ok(())
            }
        }

        impl SlaveEdit {
            /// The edit without what holds already.
            pub(crate) fn new_in(self, set: &SlaveSettings) -> Self {
                Self { $($field: self.$field.filter(|new| *new != set.$field),)+ }
            }

            /// Settings that the edit changes.
            pub(crate) fn settings(&self) -> impl Iterator<Item = SlaveSetting> {
                let changed = [$(self.$field.is_some().then_some(SlaveSetting::$setting)),+];
                changed.into_iter().flatten()
            }

            pub(crate) fn apply_to(&self, set: &mut SlaveSettings) {
                $(
                    if let Some(value) = &self.$field {
                        set.$field = value.clone();
                    }
                )+
            }
        }
    };
}

slave_settings! {
    name Name: String {
        label: "name",
        help: "Name shown in lists of slaves",
        unit: "",
        words: "name {}",
        length: 1 to 200,
        default: NONE,
        limits: "a slave's name has 1 to 200 characters",
    }
    tags Tags: BTreeSet<String> {
        label: "tags",
        help: "Words that jobs may ask for",
        unit: "",
        words: "tags {}",
        length: 0 to 100,
        default: NONE,
        limits: "a slave has at most 100 tags of 1 to 200 characters each",
    }
    threads Threads: u32 {
        label: "number of threads",
        help: "Threads rendering may use",
        unit: "",
        words: "{} threads",
        range: 1 to 1024, // Blender's own limit
        default: NONE,
        limits: "a slave renders with 1 to 1024 threads",
    }
    hang_timeout_s HangTimeoutS: f64 {
        label: "hang timeout",
        help: "A rendering Blender that prints nothing and uses no processor time for this long is killed \
               and the frame tried again. 0: never",
        unit: "s",
        words: "hang timeout {} s",
        range: 0 to 604800,
        default: Some(600.0),
        limits: "the hang timeout is 0 (wait for ever) to 604800 seconds (a week)",
    }
    cache_limit_gb CacheLimitGb: f64 {
        label: "cache limit",
        help: "How much disk the files kept for jobs may take; the least recently used go first",
        unit: "GB",
        words: "cache limit {} GB",
        range: 0 to 1000000,
        default: Some(50.0),
        limits: "the cache limit is 0 to 1000000 GB",
    }
    upload_interval_s UploadIntervalS: u32 {
        label: "upload interval",
        help: "How long samples of a frame that slaves render together may take before they are sent: a crash \
               costs no more",
        unit: "s",
        words: "upload interval {} s",
        range: 1 to 3600,
        default: Some(8.0),
        limits: "the upload interval is 1 to 3600 seconds",
    }
}

/// Overrides of a slave as they are sent to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SettingsUpdate {
    /// Number of the last edit that is included.
    pub edits: u32,
    /// Overrides; for an absent one the slave uses its own value.
    pub settings: SlaveSettings,
}

/// Settings in use, as the slave itself reports them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlaveReport {
    /// Effective values of all settings.
    #[serde(default)]
    pub in_use: SlaveSettings,
    /// Size of the files kept for jobs, in bytes.
    #[serde(default)]
    pub cache_bytes: u64,
}

/// The changed values in words, such as `4 threads, its own tags`.
impl fmt::Display for SlaveEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = SlaveSettings::default();
        self.apply_to(&mut set);
        let words: Vec<String> = self.settings().map(|setting| setting.in_words(&set)).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_says_its_numbers() {
        for setting in SlaveSetting::ALL {
            let info = setting.info();
            for bound in [info.min, info.max].into_iter().filter(|bound| *bound > 0.0) {
                assert!(info.limits.contains(&bound.to_string()), "{setting:?}: {bound} is not in {:?}", info.limits);
            }
            assert!(info.default.is_none_or(|default| info.allows(default)), "{setting:?}: its default is refused");
        }
    }

    #[test]
    fn bounds_belong_to_the_range() {
        let threads = |threads| SlaveSettings { threads: Some(threads), ..SlaveSettings::default() }.check();
        assert_eq!((threads(1), threads(1024)), (Ok(()), Ok(())));
        assert!(threads(0).is_err() && threads(1025).is_err());
        let hang = |hang| SlaveSettings { hang_timeout_s: Some(hang), ..SlaveSettings::default() }.check();
        assert_eq!((hang(0.0), hang(604_800.0)), (Ok(()), Ok(())));
        assert!(hang(-0.1).is_err() && hang(f64::NAN).is_err() && hang(f64::INFINITY).is_err());
    }
}
