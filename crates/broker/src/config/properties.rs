//! Kafka's properties format: `key=value` lines, `#` and `!` comments, nothing else that Java allows (no escapes, no
//! continuation lines), since a setting that needs them is more likely a mistake.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

/// Settings whose value is a path, relative to the file that names it.
const PATHS: [&str; 3] = ["log.dirs", "ssl.keystore.location", "ssl.truststore.location"];

/// Parses the text of a properties file; `folder` is what relative paths are relative to.
///
/// # Errors
/// Names the first line that cannot be used.
pub fn parse(text: &str, folder: &Path) -> Result<Config, ConfigError> {
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
        let value = if PATHS.contains(&key) { absolute(value, folder) } else { value.to_owned() };
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
