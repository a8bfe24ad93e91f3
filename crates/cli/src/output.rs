//! Where words go: data to standard output, talk to standard error. The only file that writes to either.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::arguments::Form;
use crate::failure::Failure;

/// The two streams and what was asked of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    form: Form,
    quiet: bool,
    /// Whether lines on standard error may be redrawn.
    redraws: bool,
}

impl Output {
    pub(crate) fn new(form: Form, quiet: bool) -> Output {
        let plain = std::env::var_os("ACCESSIBLE").is_some()
            || std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Output { form, quiet, redraws: std::io::stderr().is_terminal() && !plain }
    }

    /// Whether standard output is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Whether progress may redraw its line.
    pub(crate) fn redraws(&self) -> bool {
        self.redraws && !self.quiet
    }

    /// Prints data: one JSON document, or the text that `text` makes of it.
    pub(crate) fn data<T: Serialize>(
        &self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let mut printed = match self.form {
            Form::Json => {
                serde_json::to_string_pretty(data).map_err(|error| Failure::internal(error.into()))?
            }
            Form::Text => text(data),
        };
        if !printed.is_empty() && !printed.ends_with('\n') {
            printed.push('\n');
        }
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(printed.as_bytes()).and_then(|()| stdout.flush()) {
            // Whoever reads has enough, as `head` does.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                Err(Failure::internal(anyhow::Error::new(error).context("cannot write the answer")))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Says something to a person.
    pub(crate) fn say(&self, words: &str) {
        if !self.quiet {
            self.complain(&format!("{words}\n"));
        }
    }

    /// Replaces the line at hand, where that is possible.
    pub(crate) fn redraw(&self, line: &str) {
        if self.redraws() {
            self.complain(&format!("\r\x1b[2K{line}"));
        }
    }

    /// Writes to standard error whatever was asked for: errors are not talk.
    pub(crate) fn complain(&self, words: &str) {
        // Nobody is left to tell if this fails.
        let _ = std::io::stderr().lock().write_all(words.as_bytes());
    }
}

/// Columns under heads, as wide as their widest cell, without borders. Numbers go to the right.
pub(crate) fn table<const COLUMNS: usize>(heads: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let heads = heads.map(str::to_owned);
    let lines = || std::iter::once(&heads).chain(rows);
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| lines().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let numeric: [bool; COLUMNS] = std::array::from_fn(|column| {
        !rows.is_empty() && rows.iter().all(|row| row[column].chars().all(|c| c.is_ascii_digit()))
    });
    let mut text = String::new();
    for line in lines() {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if numeric[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["orders".to_owned(), "8".to_owned()], ["a".to_owned(), "32".to_owned()]];
        assert_eq!(table(["NAME", "P"], &rows), "NAME     P\norders   8\na       32\n");
        assert_eq!(table::<1>(["NAME"], &[]), "NAME\n");
    }
}
