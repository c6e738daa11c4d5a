//! Verdict on a scene before it is sent: whether the farm would draw the artist's picture. Findings
//! of tracer and client have one form, which command line, panel and HTTP interface share.

use crate::printable::printable;
use serde::{Deserialize, Serialize};

/// Most findings that travel with a job; the rest is counted in the last one.
pub const MAX_WARNINGS: usize = 50;
/// Most characters of each text of a finding that travels with a job.
const MAX_TEXT: usize = 1000;
/// Most characters of a kind.
const MAX_KIND: usize = 40;

/// Findings of a job that can't be sent even if the artist insists: nobody could render it.
const FINAL: [&str; 2] = ["refused", "no_camera"];

/// Weight of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// Frames may differ from those that the artist's own Blender renders.
    MayDiffer,
    /// The picture would be wrong, or there would be none.
    Wrong,
}

impl Severity {
    /// Word in front of findings of this severity.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::MayDiffer => "may differ",
            Self::Info => "note",
        }
    }
}

/// Something to know before a job is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Kind in `snake_case`, for programs and for grouping.
    pub kind: String,
    /// Weight.
    #[serde(default)]
    pub severity: Severity,
    /// File, folder or datablock that it is about; may be empty.
    #[serde(default, rename = "where")]
    pub subject: String,
    /// Explanation in words.
    #[serde(default)]
    pub message: String,
    /// Advice on what to do.
    #[serde(default)]
    pub hint: String,
}

impl Finding {
    /// A finding with the usual advice for its kind.
    pub fn new(kind: &str, severity: Severity, subject: impl Into<String>, message: impl Into<String>) -> Self {
        let hint = usual_hint(kind).to_owned();
        Self { kind: kind.to_owned(), severity, subject: subject.into(), message: message.into(), hint }
    }

    /// A finding worth knowing about no file in particular.
    pub fn note(message: impl Into<String>) -> Self {
        Self::new("note", Severity::Info, "", message)
    }

    /// The finding with the usual advice for its kind if it has none.
    #[must_use]
    pub fn with_hint(mut self) -> Self {
        if self.hint.is_empty() {
            usual_hint(&self.kind).clone_into(&mut self.hint);
        }
        self
    }

    /// The finding in one line, without its advice.
    pub fn in_words(&self) -> String {
        let Self { subject, message, .. } = self;
        match (subject.is_empty(), message.is_empty()) {
            (true, _) => printable(message).into_owned(),
            (false, true) => printable(subject).into_owned(),
            (false, false) => format!("{}: {}", printable(subject), printable(message)),
        }
    }

    /// True if the job can't be sent even if the artist insists.
    pub fn is_final(&self) -> bool {
        self.severity == Severity::Wrong && FINAL.contains(&self.kind.as_str())
    }

    /// Refuses texts that are longer than any of ours. They come from the network.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.kind.is_empty() || self.kind.len() > MAX_KIND || !self.kind.chars().all(is_word) {
            return Err("the kind of a warning is a word of at most 40 small letters, digits and underlines");
        }
        if [&self.subject, &self.message, &self.hint].into_iter().any(|text| text.chars().count() > MAX_TEXT) {
            return Err("the texts of a warning have at most 1000 characters each");
        }
        Ok(())
    }

    fn shortened(&self) -> Self {
        let short = |text: &str| match text.char_indices().nth(MAX_TEXT - 1) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        let kind: String = self.kind.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let kind =
            if kind.is_empty() { "note".into() } else { kind.to_ascii_lowercase().chars().take(MAX_KIND).collect() };
        Self {
            kind,
            severity: self.severity,
            subject: short(&self.subject),
            message: short(&self.message),
            hint: short(&self.hint),
        }
    }
}

/// Verdict on a scene.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The farm draws what the artist's Blender draws.
    #[default]
    Ok,
    /// Frames may differ from those that the artist's own Blender renders.
    MayDiffer,
    /// The picture would be wrong, or there would be none: refused unless sent anyway.
    Wrong,
}

impl Verdict {
    /// The verdict for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::MayDiffer => "may differ",
            Self::Wrong => "wrong",
        }
    }

    /// The verdict that follows from findings.
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.severity).max() {
            None | Some(Severity::Info) => Self::Ok,
            Some(Severity::MayDiffer) => Self::MayDiffer,
            Some(Severity::Wrong) => Self::Wrong,
        }
    }
}

/// Findings of one kind and severity, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Kind of all of them.
    pub kind: &'a str,
    /// Severity of all of them.
    pub severity: Severity,
    /// The findings in their order.
    pub findings: Vec<&'a Finding>,
}

/// Groups findings by kind, the gravest first and otherwise in their order.
pub fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in findings {
        let same = |group: &&mut Group<'_>| group.kind == finding.kind && group.severity == finding.severity;
        match groups.iter_mut().find(same) {
            Some(group) => group.findings.push(finding),
            None => {
                let Finding { kind, severity, .. } = finding;
                groups.push(Group { kind, severity: *severity, findings: vec![finding] });
            }
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.severity));
    groups
}

/// The findings that stay with a job and are shown at its frames: all that may make a frame differ,
/// the gravest first, bounded in number and length.
pub fn warnings(findings: &[Finding]) -> Vec<Finding> {
    let mut grave: Vec<&Finding> = findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
    grave.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut kept: Vec<Finding> = grave.iter().take(MAX_WARNINGS).map(|finding| finding.shortened()).collect();
    if grave.len() > MAX_WARNINGS {
        kept.truncate(MAX_WARNINGS - 1);
        let rest = format!("{} more were found when the job was sent", grave.len() - kept.len());
        kept.push(Finding::new("note", Severity::MayDiffer, "", rest));
    }
    kept
}

/// Heading of a kind of findings, for people. A kind of a newer tracer is its own heading.
pub fn heading(kind: &str) -> String {
    let known = match kind {
        "missing" => "Missing files",
        "unreadable" => "Files that can't be read",
        "unsaved_image" => "Painted images that are not saved",
        "collision" => "Names that are one name on other systems",
        "odd_size" => "Files of an odd size",
        "scripts" => "Python in the scene",
        "outside" => "Files outside the scene's folder",
        "note" => "Worth knowing",
        "simulation" => "Simulations that are not baked",
        "newer_file" => "Files of a newer Blender",
        "unknown_node" => "Nodes that this Blender does not know",
        "library" => "Libraries",
        "color_config" => "Colour configuration",
        "nested_files" => "Files that other files name",
        "engine" => "Render engine",
        "sequencer" => "Sequencer",
        "output_files" => "File Output nodes",
        "no_camera" => "No camera",
        "display" => "Drawing without a display",
        "refused" => "Refused by the farm",
        "path" => "Paths in plain texts",
        "cache" => "Caches",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

/// Advice for a kind of findings, for those that bring none.
fn usual_hint(kind: &str) -> &'static str {
    match kind {
        "missing" => "put the files back, or choose others in File > External Data > Find Missing Files",
        "unreadable" => "make them readable for you, and plain files",
        "unsaved_image" => "save them with Image > Save, or pack them into the .blend",
        "collision" => "rename one of each two",
        "odd_size" => "wait until they are complete, or take them out of the scene",
        "scripts" => "bake what Python moves, or let the farm run it: netrender master --allow-scripts",
        "no_camera" => "add a camera, or make one the scene's active camera",
        "library" => "open and save the libraries with the Blender that sends the job, or put them back",
        "newer_file" | "unknown_node" => "send the scene with the Blender that it was saved with",
        "simulation" => "bake it, so that every frame is the same whoever renders it",
        "refused" => "change it and send again",
        "nested_files" | "path" => "add the files by hand: panel Files, or --add",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: &str, severity: Severity) -> Finding {
        Finding::new(kind, severity, "a", "b")
    }

    #[test]
    fn the_gravest_finding_is_the_verdict() {
        use Severity::*;
        let verdict = |all: &[Severity]| Verdict::of(&all.iter().map(|one| finding("note", *one)).collect::<Vec<_>>());
        assert_eq!(verdict(&[]), Verdict::Ok);
        assert_eq!(verdict(&[Info, Info]), Verdict::Ok);
        assert_eq!(verdict(&[Info, MayDiffer]), Verdict::MayDiffer);
        assert_eq!(verdict(&[Wrong, MayDiffer, Info]), Verdict::Wrong);
    }

    #[test]
    fn a_finding_travels_as_five_plain_texts() {
        let json = serde_json::to_value(finding("missing", Severity::Wrong)).unwrap();
        let mut words: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        words.sort();
        assert_eq!(words, ["hint", "kind", "message", "severity", "where"]);
        assert_eq!((json["severity"].as_str(), json["where"].as_str()), (Some("wrong"), Some("a")));
        let short: Finding = serde_json::from_str(r#"{"kind": "missing", "severity": "wrong"}"#).unwrap();
        assert!(!short.with_hint().hint.is_empty());
    }

    #[test]
    fn groups_are_by_kind_and_the_gravest_first() {
        let all = [
            finding("note", Severity::Info),
            finding("missing", Severity::Wrong),
            finding("cache", Severity::MayDiffer),
            finding("missing", Severity::Wrong),
        ];
        let seen: Vec<_> = groups(&all).into_iter().map(|group| (group.kind, group.findings.len())).collect();
        assert_eq!(seen, [("missing", 2), ("cache", 1), ("note", 1)]);
    }

    #[test]
    fn what_travels_with_a_job_is_bounded_and_always_accepted() {
        let long = Finding::new("Ünusual kind!", Severity::MayDiffer, "ü".repeat(5000), "b".repeat(5000));
        let mut all = vec![long; 200];
        all.push(finding("missing", Severity::Wrong));
        all.push(finding("note", Severity::Info));
        let kept = warnings(&all);
        assert_eq!((kept.len(), kept[0].kind.as_str()), (MAX_WARNINGS, "missing"));
        assert!(kept[MAX_WARNINGS - 1].message.starts_with("152 more"), "{:?}", kept[MAX_WARNINGS - 1]);
        assert!(kept.iter().all(|one| one.check().is_ok()));
        assert!(long_one().check().is_err() && finding("a b", Severity::Info).check().is_err());
    }

    fn long_one() -> Finding {
        Finding::new("note", Severity::MayDiffer, "", "x".repeat(MAX_TEXT + 1))
    }
}
