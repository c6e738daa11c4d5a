//! Options from other sources than the command line: environment variables under their former
//! names, and a TOML file with keys as on the command line, at its top for every verb or in a table
//! named after one. The command line comes first, then the environment, then the file.

use super::arguments::Arguments;
use clap::{Arg, Command, CommandFactory};
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
};

/// Prefixes of variables that belong to one kind of command. Formerly all variables began with
/// `NETRENDER_` alone, so that one could mean several things.
const PREFIXES: [&str; 3] = ["NETRENDER_MASTER_", "NETRENDER_SLAVE_", "NETRENDER_JOB_"];

/// A command line with options from all sources.
pub struct Completed {
    /// Words of the command line.
    pub words: Vec<OsString>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// Adds options to a command line that are set by other sources only. `variable` looks up the
/// environment.
pub fn complete(given: Vec<OsString>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Completed, String> {
    let command = Arguments::command();
    let named = |word: &OsString| command.get_subcommands().find(|verb| OsStr::new(verb.get_name()) == word);
    let Some((at, verb)) = given.iter().enumerate().find_map(|(at, word)| Some((at, named(word)?))) else {
        return Ok(Completed { words: given, warnings: Vec::new() });
    };
    let path = value_of(&given, "--config").or_else(|| variable("NETRENDER_CONFIG"));
    let mut sources =
        Sources { command: &command, verb, given: &given, variable, added: Vec::new(), warnings: Vec::new() };
    sources.add_former_variables();
    if let Some(path) = path {
        sources.add_file(&path)?;
    }
    let Sources { added, warnings, .. } = sources;
    let mut words = given;
    words.splice(at + 1..at + 1, added);
    Ok(Completed { words, warnings })
}

struct Sources<'a> {
    command: &'a Command,
    verb: &'a Command,
    given: &'a [OsString],
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    added: Vec<OsString>,
    warnings: Vec<String>,
}

impl<'a> Sources<'a> {
    /// Adds options whose variable is set under its former name only.
    fn add_former_variables(&mut self) {
        let (command, verb) = (self.command, self.verb);
        for arg in command.get_arguments().chain(verb.get_arguments()) {
            let Some((now, former)) = variable_of(arg).and_then(|now| Some((now, former_name(now)?))) else { continue };
            let Some(value) = (self.variable)(&former).filter(|value| !value.is_empty()) else { continue };
            let word = word(arg, &value);
            if self.is_set(arg) || word.is_none() {
                continue;
            }
            if is_dangerous(verb, arg) {
                self.warnings.push(format!(
                    "{former} is ignored: for a master it would remove all jobs. Set {now} if you mean that"
                ));
            } else {
                self.warnings.push(format!("{former} is called {now} now; the old name still works"));
                self.added.extend(word);
            }
        }
    }

    /// Adds options of a configuration file.
    fn add_file(&mut self, path: &OsStr) -> Result<(), String> {
        let shown = path.to_string_lossy();
        let failed = |error: &dyn std::fmt::Display| format!("the configuration {shown}: {error}");
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let file: toml::Table = text.parse().map_err(|error| failed(&error))?;
        let own = file.get(self.verb.get_name()).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for (key, value) in &file {
            if value.is_table() && self.command.find_subcommand(key).is_some() || own.contains_key(key) {
                continue;
            }
            self.add_top_key(key, value, &shown)?;
        }
        for (key, value) in &own {
            let Some(arg) = self.option(self.verb, key) else {
                let verb = self.verb.get_name();
                return Err(format!("the configuration {shown} has an unknown key {key:?} for {verb}"));
            };
            self.add_key(arg, key, value, &shown)?;
        }
        Ok(())
    }

    /// Adds a key at the top of a configuration file, unless it is another verb's: one file serves
    /// master and slave.
    fn add_top_key(&mut self, key: &str, value: &toml::Value, file: &str) -> Result<(), String> {
        let all: Vec<&Arg> = self.command.get_subcommands().filter_map(|verb| self.option(verb, key)).collect();
        if all.is_empty() {
            return Err(format!("the configuration {file} has an unknown key {key:?}"));
        }
        let Some(arg) = self.option(self.verb, key) else { return Ok(()) };
        let variables: BTreeSet<&str> = all.into_iter().filter_map(variable_of).collect();
        if variable_of(arg).is_none() && !variables.is_empty() {
            // Another verb's: an option that is not in the environment changes something that is
            // there already.
            return Ok(());
        }
        if variables.len() <= 1 || self.is_set(arg) {
            return self.add_key(arg, key, value, file);
        }
        let verb = self.verb.get_name();
        if is_dangerous(self.verb, arg) {
            if value.as_bool() != Some(false) {
                self.warnings.push(format!(
                    "{key} at the top of {file} is ignored: for a master it would remove all jobs. Put it into [{verb}] if \
                     you mean that"
                ));
            }
            return Ok(());
        }
        self.warnings
            .push(format!("{key} at the top of {file} has another meaning for other commands: put it into [{verb}]"));
        self.add_key(arg, key, value, file)
    }

    fn add_key(&mut self, arg: &Arg, key: &str, value: &toml::Value, file: &str) -> Result<(), String> {
        if self.is_set(arg) {
            return Ok(());
        }
        let text = |value: &toml::Value| match value {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Float(number) => Some(number.to_string()),
            _ => None,
        };
        let wrong = || format!("the configuration {file}: {key} has a value of a kind that is not expected");
        match value {
            toml::Value::Boolean(true) => self.added.push(long_of(arg)),
            toml::Value::Boolean(false) => {}
            toml::Value::Array(list) => {
                let list: Option<Vec<String>> = list.iter().map(text).collect();
                self.added.push(with_value(arg, list.ok_or_else(wrong)?.join(",").as_ref()));
            }
            value => self.added.push(with_value(arg, text(value).ok_or_else(wrong)?.as_ref())),
        }
        Ok(())
    }

    /// The option of a verb that a key names.
    fn option(&self, verb: &'a Command, key: &str) -> Option<&'a Arg> {
        let long = key.replace('_', "-");
        self.command.get_arguments().chain(verb.get_arguments()).find(|arg| arg.get_long() == Some(&long))
    }

    /// True if the command line or the environment sets this option.
    fn is_set(&self, arg: &Arg) -> bool {
        let long = long_of(arg);
        let with_value = with_value(arg, "".as_ref());
        let is_word =
            |word: &OsString| *word == long || word.as_encoded_bytes().starts_with(with_value.as_encoded_bytes());
        self.given.iter().chain(&self.added).any(is_word)
            || variable_of(arg).is_some_and(|name| (self.variable)(name).is_some())
    }
}

/// Name of the variable that sets an option.
fn variable_of(arg: &Arg) -> Option<&str> {
    arg.get_env().and_then(OsStr::to_str)
}

/// Name of a variable before it got the prefix of its kind of command.
fn former_name(name: &str) -> Option<String> {
    PREFIXES.iter().find_map(|prefix| Some(format!("NETRENDER_{}", name.strip_prefix(prefix)?)))
}

/// True if an option must not be set by a name that could mean another command: a variable for a
/// slave must not remove a master's jobs.
fn is_dangerous(verb: &Command, arg: &Arg) -> bool {
    verb.get_name() == "master" && arg.get_long() == Some("clear-on-exit")
}

/// The word that sets an option to the value of a variable; `None` for a flag that is false.
fn word(arg: &Arg, value: &OsStr) -> Option<OsString> {
    match value.to_str() {
        Some("true") if !arg.get_action().takes_values() => Some(long_of(arg)),
        Some("false") if !arg.get_action().takes_values() => None,
        // The value of a flag that is neither is refused by the parser.
        _ => Some(with_value(arg, value)),
    }
}

fn long_of(arg: &Arg) -> OsString {
    format!("--{}", arg.get_long().unwrap_or_default()).into()
}

fn with_value(arg: &Arg, value: &OsStr) -> OsString {
    let mut word = long_of(arg);
    word.push("=");
    word.push(value);
    word
}

/// Value of an option on the command line.
fn value_of(given: &[OsString], long: &str) -> Option<OsString> {
    let mut words = given.iter();
    while let Some(word) = words.next() {
        if word == long {
            return words.next().cloned();
        }
        if let Some(value) = word.to_string_lossy().strip_prefix(&format!("{long}=")) {
            return Some(value.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Completes a command line; returns the added words and the warnings.
    fn completed(file: Option<&str>, variables: &[(&str, &str)], given: &[&str]) -> Result<(String, String), String> {
        let mut words: Vec<OsString> = given.iter().map(Into::into).collect();
        let config = tempfile::NamedTempFile::new().unwrap();
        if let Some(text) = file {
            std::fs::write(config.path(), text).unwrap();
            words.extend(["--config".into(), config.path().into()]);
        }
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let Completed { words, warnings } = complete(words, &variable)?;
        let end = words.len() - if file.is_some() { 2 } else { 0 };
        let words: Vec<_> = words[..end].iter().map(|word| word.to_string_lossy()).collect();
        Ok((words.join(" "), warnings.join("\n").replace(&*config.path().to_string_lossy(), "FILE")))
    }

    fn from_file(file: &str, given: &[&str]) -> (String, String) {
        completed(Some(file), &[], given).unwrap()
    }

    fn from_variables(variables: &[(&str, &str)], given: &[&str]) -> (String, String) {
        completed(None, variables, given).unwrap()
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = "threads = 4\n[slave]\ntags = [\"gpu\", \"fast\"]\n";
        assert_eq!(from_file(file, &["slave"]).0, "slave --threads=4 --tags=gpu,fast");
        assert_eq!(from_file(file, &["slave", "--threads", "2"]).0, "slave --tags=gpu,fast --threads 2");
        assert_eq!(from_file(file, &["master"]).0, "master");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let file = Some("[slave]\nthreads = 4\nname = \"file\"\n");
        let now = completed(file, &[("NETRENDER_SLAVE_THREADS", "2")], &["slave"]).unwrap();
        assert_eq!(now.0, "slave --name=file", "clap reads the variable itself");
        let former = completed(file, &[("NETRENDER_NAME", "former")], &["slave"]).unwrap();
        assert_eq!(former.0, "slave --name=former --threads=4");
    }

    #[test]
    fn a_slip_in_the_file_is_named() {
        assert!(completed(Some("thread = 4"), &[], &["slave"]).unwrap_err().contains("\"thread\""));
        assert!(completed(Some("= 4"), &[], &["slave"]).is_err());
    }

    #[test]
    fn former_names_of_variables_work_with_a_warning() {
        let variables = [("NETRENDER_NAME", "left"), ("NETRENDER_TAGS", "gpu,big"), ("NETRENDER_DATA", "/srv")];
        let (words, warnings) = from_variables(&variables, &["slave"]);
        assert_eq!(words, "slave --data=/srv --name=left --tags=gpu,big");
        assert!(warnings.contains("NETRENDER_NAME is called NETRENDER_SLAVE_NAME now"), "{warnings}");
        let (words, warnings) = from_variables(&variables, &["master"]);
        assert_eq!(words, "master --data=/srv --name=left");
        assert!(warnings.contains("NETRENDER_DATA is called NETRENDER_MASTER_DATA now"), "{warnings}");
        let (words, warnings) = from_variables(&variables, &["submit", "a.blend"]);
        assert_eq!(words, "submit --name=left --tags=gpu,big a.blend");
        assert!(warnings.contains("NETRENDER_TAGS is called NETRENDER_JOB_TAGS now"), "{warnings}");
        assert_eq!(from_variables(&[("NETRENDER_CONSOLE", "false")], &["slave"]), ("slave".into(), String::new()));
        assert_eq!(from_variables(&[("NETRENDER_CONSOLE", "true")], &["slave"]).0, "slave --console");
    }

    #[test]
    fn a_former_name_yields_to_the_new_one_and_to_the_command_line() {
        let both = [("NETRENDER_NAME", "old"), ("NETRENDER_SLAVE_NAME", "new")];
        assert_eq!(from_variables(&both, &["slave"]), ("slave".into(), String::new()));
        assert_eq!(from_variables(&both[..1], &["slave", "--name=line"]), ("slave --name=line".into(), String::new()));
    }

    #[test]
    fn a_variable_for_a_slave_never_clears_a_master() {
        let variables = [("NETRENDER_CLEAR_ON_EXIT", "true")];
        let (words, warnings) = from_variables(&variables, &["master"]);
        assert_eq!(words, "master");
        assert!(warnings.contains("ignored") && warnings.contains("NETRENDER_MASTER_CLEAR_ON_EXIT"), "{warnings}");
        assert_eq!(from_variables(&variables, &["slave"]).0, "slave --clear-on-exit");
        let slaves_own = [("NETRENDER_SLAVE_CLEAR_ON_EXIT", "true")];
        assert_eq!(from_variables(&slaves_own, &["master"]), ("master".into(), String::new()));
    }

    #[test]
    fn a_key_at_the_top_that_means_several_things_is_warned_of_and_never_clears_a_master() {
        let (words, warnings) = from_file("clear-on-exit = true\nname = \"a\"\n", &["master"]);
        assert_eq!(words, "master --name=a");
        assert!(warnings.contains("clear-on-exit at the top of FILE is ignored"), "{warnings}");
        assert!(warnings.contains("name at the top of FILE has another meaning"), "{warnings}");
        assert_eq!(from_file("clear-on-exit = true", &["slave"]).0, "slave --clear-on-exit");
        let own = "[master]\nclear-on-exit = true\nname = \"a\"\n";
        assert_eq!(from_file(own, &["master"]), ("master --clear-on-exit --name=a".into(), String::new()));
    }

    #[test]
    fn a_key_for_jobs_that_are_sent_changes_none_that_are_there() {
        let file = "priority = 80\nname = \"a\"\nframes = \"1-10\"\n";
        assert_eq!(from_file(file, &["set", "7", "--chunk", "2"]).0, "set 7 --chunk 2");
        assert_eq!(from_file(file, &["requeue", "7"]).0, "requeue 7");
        let (submit, warnings) = from_file(file, &["submit", "a.blend"]);
        assert_eq!(submit, "submit --frames=1-10 --name=a --priority=80 a.blend");
        assert_eq!(warnings.lines().count(), 1, "only name has several meanings: {warnings}");
    }

    #[test]
    fn every_variable_has_one_meaning() {
        let command = Arguments::command();
        let mut options: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for arg in command.get_subcommands().flat_map(Command::get_arguments) {
            if let Some(name) = variable_of(arg) {
                options.entry(name.into()).or_default().insert(arg.get_help().unwrap().to_string());
            }
        }
        for name in options.keys() {
            assert!(former_name(name).is_none_or(|former| !options.contains_key(&former)), "{name}");
        }
        // The same folder of a master in two sentences; whatever else two verbs share, a frame list
        // above all, means the same.
        let shared: Vec<_> =
            options.iter().filter(|(_, helps)| helps.len() > 1).map(|(name, _)| name.as_str()).collect();
        let known = ["NETRENDER_BLENDER", "NETRENDER_FRAMES", "NETRENDER_MASTER_DATA", "NETRENDER_OUTPUT"];
        assert_eq!(shared, known);
    }
}
