//! The outer shape of the repository: what lies at its top, and how long a file may be.

use std::path::Path;

use anyhow::bail;

use crate::run;

/// What the top level may hold; a new name there is a decision, not an accident.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".rustfmt.toml",
    ".sqlx",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "charts",
    "crates",
    "deploy",
    "migrations",
    "openapi",
    "tests",
];

/// A Rust file beyond this holds more than one subject. Most are far below; the longest tables are not code
/// that one reads from top to bottom, and generated files are not read at all.
const LONGEST_FILE_LINES: usize = 800;

/// Files that a program wrote.
const GENERATED: &[&str] = &["crates/protocol/src/generated/"];

/// Fails with every file that does not fit. Looks at what git tracks, so that local leftovers do not count.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "-z"]);
    let tracked = run::output(&mut git)?;
    let mut wrong = Vec::new();
    for file in tracked.split('\0').filter(|file| !file.is_empty()) {
        wrong.extend(wrong_place(file));
        if file.ends_with(".rs") && !GENERATED.iter().any(|folder| file.starts_with(folder)) {
            // A file that is tracked but deleted in the work tree has no length.
            let lines = std::fs::read_to_string(root.join(file)).map_or(0, |text| text.lines().count());
            wrong.extend(too_long(file, lines));
        }
    }
    wrong.dedup();
    if !wrong.is_empty() {
        bail!("the repository's shape:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn wrong_place(file: &str) -> Option<String> {
    let top = file.split('/').next().unwrap_or(file);
    (!TOP_LEVEL.contains(&top))
        .then(|| format!("{top}: not a name of the top level (crates/xtask/src/shape.rs)"))
}

fn too_long(file: &str, lines: usize) -> Option<String> {
    (lines > LONGEST_FILE_LINES)
        .then(|| format!("{file}: {lines} lines; beyond {LONGEST_FILE_LINES} it wants splitting by subject"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_places_and_short_files_are_fine() {
        assert_eq!(wrong_place("crates/model/src/lib.rs"), None);
        assert_eq!(wrong_place("README.md"), None);
        assert_eq!(too_long("crates/model/src/lib.rs", LONGEST_FILE_LINES), None);
    }

    #[test]
    fn other_places_and_long_files_are_named() {
        assert!(wrong_place("scripts/fix.sh").is_some_and(|said| said.starts_with("scripts:")));
        assert!(too_long("a.rs", LONGEST_FILE_LINES + 1).is_some_and(|said| said.contains("801 lines")));
    }
}
