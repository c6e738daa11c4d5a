//! Options from a TOML file: keys as on the command line, at the top for every verb or in a table named after one.
//! The command line comes first, then the environment, then the file.

use super::arguments::Arguments;
use clap::CommandFactory;
use std::ffi::{OsStr, OsString};

/// The arguments with those of the file added where nothing nearer speaks.
pub fn with_config(given: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let Some(path) = value_of(&given, "--config").or_else(|| std::env::var_os("NETRENDER_CONFIG")) else {
        return Ok(given);
    };
    let shown = path.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("the configuration {shown}: {error}"))?;
    let file: toml::Table = text.parse().map_err(|error| format!("the configuration {shown}: {error}"))?;
    let command = Arguments::command();
    let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let Some(at) = given.iter().position(|word| verbs.iter().any(|verb| word == OsStr::new(verb))) else {
        return Ok(given);
    };
    let verb = given[at].to_string_lossy().into_owned();
    let own = file.get(&verb).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let mut added = Vec::new();
    for (key, value) in &file {
        match value {
            toml::Value::Table(_) if verbs.contains(&key.as_str()) => {}
            _ if own.contains_key(key) => {}
            // A key of another verb at the top is no mistake: one file serves master and slave.
            _ => match known(&command, &verb, key) {
                true => added.extend(words(key, value, &given, &shown)?),
                false if verbs.iter().any(|other| known(&command, other, key)) => {}
                false => return Err(format!("the configuration {shown} has an unknown key {key:?}")),
            },
        }
    }
    for (key, value) in &own {
        if !known(&command, &verb, key) {
            return Err(format!("the configuration {shown} has an unknown key {key:?} for {verb}"));
        }
        added.extend(words(key, value, &given, &shown)?);
    }
    let mut all = given;
    all.splice(at + 1..at + 1, added);
    Ok(all)
}

fn known(command: &clap::Command, verb: &str, key: &str) -> bool {
    let long = key.replace('_', "-");
    let has = |command: &clap::Command| command.get_arguments().any(|one| one.get_long() == Some(&long));
    has(command) || command.find_subcommand(verb).is_some_and(has)
}

fn words(key: &str, value: &toml::Value, given: &[OsString], file: &str) -> Result<Vec<OsString>, String> {
    let long = format!("--{}", key.replace('_', "-"));
    let variable = format!("NETRENDER_{}", key.replace('-', "_").to_uppercase());
    let said = given.iter().any(|word| {
        let word = word.to_string_lossy();
        word == long.as_str() || word.starts_with(&format!("{long}="))
    });
    if said || std::env::var_os(variable).is_some() {
        return Ok(vec![]);
    }
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        _ => None,
    };
    let wrong = || format!("the configuration {file}: {key} has a value of a kind that is not expected");
    Ok(match value {
        toml::Value::Boolean(true) => vec![long.into()],
        toml::Value::Boolean(false) => vec![],
        toml::Value::Array(list) => {
            let list: Option<Vec<String>> = list.iter().map(text).collect();
            vec![format!("{long}={}", list.ok_or_else(wrong)?.join(",")).into()]
        }
        value => vec![format!("{long}={}", text(value).ok_or_else(wrong)?).into()],
    })
}

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

    fn with(text: &str, given: &[&str]) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut given: Vec<OsString> = given.iter().map(Into::into).collect();
        given.push("--config".into());
        given.push(file.path().into());
        let mut all: Vec<String> =
            with_config(given)?.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
        all.truncate(all.len() - 2);
        Ok(all)
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = "threads = 4\n[slave]\ntags = [\"gpu\", \"fast\"]\n";
        assert_eq!(with(file, &["slave"]).unwrap(), ["slave", "--threads=4", "--tags=gpu,fast"]);
        assert_eq!(with(file, &["slave", "--threads", "2"]).unwrap(), ["slave", "--tags=gpu,fast", "--threads", "2"]);
        assert_eq!(with(file, &["master"]).unwrap(), ["master"]);
    }

    #[test]
    fn a_slip_in_the_file_is_named() {
        assert!(with("thread = 4", &["slave"]).unwrap_err().contains("\"thread\""));
        assert!(with("= 4", &["slave"]).is_err());
    }
}
