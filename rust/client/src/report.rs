//! Report on what a job would send: its files, their sizes, and what was found. A job with findings
//! that make the picture wrong is refused with its report unless the artist sends it anyway.

use netrender_core::{
    model::verdict::{self, Finding, Severity, Verdict},
    printable::printable,
};
use serde::Serialize;
use std::fmt::{self, Write};

/// Number of findings that an error message lists.
const SHOWN: usize = 10;
/// Number of findings that a panel lists.
const PANEL: usize = 100;
/// Number of largest files that a report lists.
pub const LARGEST: usize = 5;

/// A file with its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// Path on this machine.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Kind of findings, as a heading above them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heading {
    /// The kind, for programs.
    pub kind: String,
    /// Severity of these findings.
    pub severity: Severity,
    /// The kind, for people.
    pub heading: String,
    /// Number of findings below it.
    pub count: usize,
}

/// A finding as a row of a list: the add-on's panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Kind, for programs.
    pub kind: String,
    /// File, folder or datablock; may be empty.
    pub path: String,
    /// Datablock that uses it, where the explanation does not name it.
    pub user: String,
    /// Explanation and advice.
    pub why: String,
}

impl From<&Finding> for Row {
    fn from(finding: &Finding) -> Self {
        let Finding { kind, subject, message, hint, .. } = finding;
        let why = if hint.is_empty() { message.clone() } else { format!("{message} ({hint})") };
        Self { kind: kind.clone(), path: subject.clone(), user: String::new(), why }
    }
}

/// Report on what a job would send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Verdict that follows from the findings.
    pub verdict: Verdict,
    /// Findings, grouped by kind, the gravest first. The snapshot of a transfer lists the first
    /// hundred of them.
    pub findings: Vec<Finding>,
    /// The kinds among all findings, in the same order.
    pub headings: Vec<Heading>,
    /// Number of findings that make the picture wrong.
    pub problem_count: usize,
    /// The findings that make the picture wrong, as rows.
    pub problems: Vec<Row>,
    /// The other findings, as rows.
    pub notes: Vec<Row>,
    /// Number of files, including the .blend.
    pub files: usize,
    /// Size of all files together.
    pub bytes: u64,
    /// Largest files, the largest first.
    pub largest: Vec<FileSize>,
}

impl Report {
    /// Takes the findings and draws the verdict.
    pub fn judge(&mut self, findings: Vec<Finding>) {
        let findings: Vec<Finding> = findings.into_iter().map(Finding::with_hint).collect();
        let groups = verdict::groups(&findings);
        let heading = |group: &verdict::Group<'_>| Heading {
            kind: group.kind.to_owned(),
            severity: group.severity,
            heading: verdict::heading(group.kind),
            count: group.findings.len(),
        };
        self.verdict = Verdict::of(&findings);
        self.headings = groups.iter().map(heading).collect();
        self.problem_count = findings.iter().filter(|finding| finding.severity == Severity::Wrong).count();
        let rows = |is_problem: bool| {
            let rows = groups.iter().filter(move |group| (group.severity == Severity::Wrong) == is_problem);
            rows.flat_map(|group| &group.findings).map(|finding| Row::from(*finding)).collect()
        };
        (self.problems, self.notes) = (rows(true), rows(false));
        self.findings = groups.into_iter().flat_map(|group| group.findings).cloned().collect();
    }

    /// A copy with bounded lists, cheap enough to be copied again and again.
    pub fn short(&self) -> Self {
        let mut short = self.clone();
        short.findings.truncate(PANEL);
        short.problems.truncate(PANEL);
        short.notes.truncate(PANEL);
        short
    }

    /// True if the job can't be sent even if the artist insists.
    pub fn is_final(&self) -> bool {
        self.findings.iter().any(Finding::is_final)
    }

    /// The findings by kind, each kind with its advice. At most `most` of each kind are named.
    pub fn in_words(&self, at_least: Severity, most: usize) -> String {
        let mut words = String::new();
        for group in verdict::groups(&self.findings) {
            if group.severity < at_least {
                continue;
            }
            let count = group.findings.len();
            let (mark, heading) = (group.severity.in_words(), verdict::heading(group.kind));
            // Writing to a text can't fail.
            let _ = write!(words, "\n{mark}: {heading}");
            if count > 1 {
                let _ = write!(words, " ({count})");
            }
            let mut hint = "";
            for finding in group.findings.iter().take(most) {
                if finding.hint != hint && !hint.is_empty() {
                    let _ = write!(words, "\n    -> {}", printable(hint));
                }
                hint = &finding.hint;
                let _ = write!(words, "\n  {}", finding.in_words());
            }
            if count > most {
                let _ = write!(words, "\n  and {} more", count - most);
            }
            if !hint.is_empty() {
                let _ = write!(words, "\n    -> {}", printable(hint));
            }
        }
        words
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problem_count;
        write!(f, "{count} {} would go wrong, so nothing was sent:", if count == 1 { "thing" } else { "things" })?;
        f.write_str(&self.in_words(Severity::Wrong, SHOWN).replace('\n', "\n  "))?;
        f.write_str(if self.is_final() { "\nMend that and send again" } else { "\nMend that, or send anyway" })
    }
}

/// A size in bytes, for people.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_by_kind_with_what_to_do() {
        let missing = |path: &str| Finding::new("missing", Severity::Wrong, path, "No such file");
        let mut report = Report::default();
        report.judge(vec![
            Finding::note("frames are rendered whole"),
            missing("/t/a\u{1b}[31m.png"),
            Finding::new("cache", Severity::MayDiffer, "Cube", "holds 3 of 9 frames"),
            missing("/t/b.png"),
        ]);
        assert_eq!((report.verdict, report.problem_count, report.is_final()), (Verdict::Wrong, 2, false));
        let order: Vec<_> = report.findings.iter().map(|finding| finding.kind.as_str()).collect();
        assert_eq!(order, ["missing", "missing", "cache", "note"]);
        assert_eq!(report.headings.iter().map(|one| one.count).collect::<Vec<_>>(), [2, 1, 1]);
        let words = report.to_string();
        for part in ["2 things", "wrong: Missing files (2)", r"/t/a\u{1b}[31m.png: No such file", "-> put", "anyway"] {
            assert!(words.contains(part), "{part:?} in {words}");
        }
        assert_eq!(words.matches("->").count(), 1, "one advice for all of a kind: {words}");
        assert!(!words.contains("holds 3"), "only what would go wrong: {words}");
        report.judge(vec![Finding::new("no_camera", Severity::Wrong, "Scene", "no camera")]);
        assert!(report.is_final() && !report.to_string().contains("anyway"));
    }
}
