//! Several tests at the same time: most of them spend their time waiting.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;

use super::result::TestResult;

/// Runs `work` on each item, on so many threads. The first error stops each thread at its next item.
pub(super) fn run<T: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> anyhow::Result<Vec<TestResult>> + Sync,
) -> anyhow::Result<Vec<TestResult>> {
    let waiting = Mutex::new(VecDeque::from(items));
    // Both locks are held for one operation on a collection, which leaves it whole.
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let results = Mutex::new(Vec::new());
    let until_empty = || -> anyhow::Result<()> {
        while let Some(item) = next() {
            let done = work(item).inspect_err(|_| {
                waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
            })?;
            results.lock().unwrap_or_else(PoisonError::into_inner).extend(done);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(until_empty)).collect();
        let ended = started.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("a thread that runs tests panicked")))
        });
        ended.collect::<Vec<_>>().into_iter().collect::<anyhow::Result<()>>()
    })?;
    Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::super::result::Outcome;
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_an_error_is_handed_on() {
        let pass = |name: &str| {
            let (name, why) = (name.to_owned(), String::new());
            vec![TestResult { name, outcome: Outcome::Passed, why }]
        };
        let mut names: Vec<String> = run(vec!["a", "b", "c"], 2, |name| Ok(pass(name)))
            .expect("no errors")
            .into_iter()
            .map(|result| result.name)
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
        let failed = run(vec!["a", "b"], 1, |name| anyhow::bail!("no {name}"));
        assert_eq!(failed.expect_err("an error").to_string(), "no a");
    }
}
