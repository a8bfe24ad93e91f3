//! Kafka's properties format: `key=value` lines, `#` and `!` comments, nothing else that Java allows (no escapes, no
//! continuation lines), since a setting that needs them is more likely a mistake. Inside a value `${env:NAME}` stands
//! for an environment variable, as with Kafka's provider of that name: the address of the machine that a container
//! lands on is known to nobody before it does.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

/// Settings whose value is a path, relative to the file that names it.
const PATHS: [&str; 3] = ["log.dirs", "ssl.keystore.location", "ssl.truststore.location"];

/// Parses the text of a properties file; `folder` is what relative paths are relative to, `environment` looks variables
/// up.
///
/// # Errors
/// Names the first line that cannot be used.
pub fn parse(
    text: &str,
    folder: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let mut config = Config { auto_create_topics: true, ..Config::default() };
    let mut seen = std::collections::BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(ConfigError::Line {
                line: line_number,
                problem: format!("`{line}` is not `key=value`"),
            });
        };
        let (key, value) = (key.trim(), value.trim());
        if let Some(first) = seen.insert(key.to_owned(), line_number) {
            return Err(ConfigError::Line {
                line: line_number,
                problem: format!("`{key}` was set on line {first} already"),
            });
        }
        let value = expand(value, &environment).map_err(|problem| ConfigError::Line {
            line: line_number,
            problem: format!("`{key}`: {problem}"),
        })?;
        let value = if PATHS.contains(&key) { absolute(&value, folder) } else { value };
        config
            .set(key, &value)
            .map_err(|error| ConfigError::Line { line: line_number, problem: error.to_string() })?;
    }
    for required in ["node.id", "log.dirs", "listeners"] {
        if !config.given.contains_key(required) {
            return Err(ConfigError::Together(format!("`{required}` must be set")));
        }
    }
    Ok(config)
}

/// Puts environment variables in.
fn expand(value: &str, environment: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${env:") {
        let (name, after) = after.split_once('}').ok_or("a `${env:` is not closed by `}`")?;
        let found = environment(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
        expanded.push_str(before);
        expanded.push_str(&found);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn absolute(value: &str, folder: &Path) -> String {
    let path = PathBuf::from(value);
    if value.is_empty() || path.is_absolute() {
        return value.to_owned();
    }
    folder.join(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Protocol;

    /// No environment but one variable.
    fn parse(text: &str, folder: &Path) -> Result<Config, ConfigError> {
        super::parse(text, folder, |name| (name == "HOST_IP").then(|| "10.0.0.7".to_owned()))
    }

    #[test]
    fn variables_are_put_in_once_and_missing_ones_are_named() {
        let advertised =
            "listeners=PLAINTEXT://:9092\nnode.id=1\nlog.dirs=/x\nadvertised.listeners=PLAINTEXT://";
        let config = parse(&format!("{advertised}${{env:HOST_IP}}:30001\n"), Path::new("/")).expect("good");
        assert_eq!((config.advertised[0].host.as_str(), config.advertised[0].port), ("10.0.0.7", 30_001));
        let error = parse(&format!("{advertised}${{env:HOST}}:1\n"), Path::new("/")).expect_err("not set");
        assert_eq!(
            error.to_string(),
            "line 4: `advertised.listeners`: the environment variable HOST is not set"
        );
        parse(&format!("{advertised}${{env:HOST_IP:1\n"), Path::new("/")).expect_err("not closed");
    }

    const GOOD: &str =
        "# a broker\nnode.id=3\nlog.dirs=data\nlisteners=PLAINTEXT://127.0.0.1:0\n\nnum.partitions = 4\n";

    #[test]
    fn reads_settings_and_resolves_paths_against_the_file() {
        let config = parse(GOOD, Path::new("/etc/penstock")).expect("good file");
        assert_eq!(config.node_id, 3);
        assert_eq!(config.num_partitions, 4);
        assert_eq!(config.data_dir, PathBuf::from("/etc/penstock/data"));
        assert_eq!(config.listeners[0].protocol, Protocol::Plaintext);
        config.validate().expect("consistent");
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = parse(&format!("{GOOD}num.partition=4\n"), Path::new("/")).expect_err("typo");
        assert_eq!(error.to_string(), "line 7: unknown setting `num.partition`");
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_with_its_line() {
        let error = parse(&format!("{GOOD}message.max.bytes=big\n"), Path::new("/")).expect_err("no number");
        assert!(error.to_string().starts_with("line 7: `message.max.bytes` cannot be `big`"), "{error}");
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let error = parse(&format!("{GOOD}node.id=4\n"), Path::new("/")).expect_err("twice");
        assert_eq!(error.to_string(), "line 7: `node.id` was set on line 2 already");
    }

    #[test]
    fn of_the_settings_of_retention_the_finest_counts_in_any_order() {
        for lines in
            ["log.retention.ms=7\nlog.retention.hours=2\n", "log.retention.hours=2\nlog.retention.ms=7\n"]
        {
            let config = parse(&format!("{GOOD}{lines}"), Path::new("/")).expect("good file");
            assert_eq!(config.topic_defaults.retention_ms, 7, "{lines}");
        }
        let rolled =
            parse(&format!("{GOOD}log.roll.ms=9\nlog.roll.hours=2\n"), Path::new("/")).expect("good file");
        assert_eq!(rolled.topic_defaults.segment_ms, 9);
        let coarse = format!("{GOOD}log.retention.minutes=3\nlog.retention.hours=2\n");
        let config = parse(&coarse, Path::new("/")).expect("good file");
        assert_eq!(config.topic_defaults.retention_ms, 180_000);
    }

    #[test]
    fn what_must_be_given_is_asked_for() {
        let error = parse("node.id=1\nlog.dirs=x\n", Path::new("/")).expect_err("no listener");
        assert_eq!(error.to_string(), "`listeners` must be set");
    }

    #[test]
    fn a_tls_listener_needs_a_key() {
        let config =
            parse("node.id=1\nlog.dirs=x\nlisteners=SSL://127.0.0.1:0\n", Path::new("/")).expect("parses");
        assert!(config.validate().expect_err("no key").to_string().contains("ssl.keystore.location"));
    }
}
