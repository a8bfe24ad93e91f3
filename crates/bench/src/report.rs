//! Figures of several rounds as a table: minimum, median and maximum for each contender, and the ratio of the medians.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    /// A throughput.
    Higher,
    /// A cost or a latency.
    Lower,
}

impl Better {
    fn holds(self, value: f64, goal: f64) -> bool {
        match self {
            Better::Higher => value >= goal,
            Better::Lower => value <= goal,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Better::Higher => "≥",
            Better::Lower => "≤",
        }
    }
}

/// One row of the table: what is measured, and what we want of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    /// What it is, with its conditions.
    pub name: &'static str,
    /// Unit of the values.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What we want of it.
    pub goal: Goal,
}

/// A goal is a bound from below where higher is better, and from above where lower is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// The row is there to explain another one.
    None,
    /// Ours divided by Apache Kafka's.
    Ratio(f64),
    /// Our own value.
    Value(f64),
}

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Our broker.
    Ours,
    /// Apache Kafka.
    Kafka,
}

/// All values so far, in the order in which the metrics first appeared.
#[derive(Default)]
pub(crate) struct Report {
    metrics: Vec<Metric>,
    values: BTreeMap<(usize, Side), Vec<f64>>,
}

impl Report {
    /// Adds one value of one round.
    pub(crate) fn add(&mut self, metric: Metric, side: Side, value: f64) {
        let row = self.metrics.iter().position(|known| known.name == metric.name).unwrap_or_else(|| {
            self.metrics.push(metric);
            self.metrics.len() - 1
        });
        self.values.entry((row, side)).or_default().push(value);
    }

    /// The table in Markdown, so that it can be pasted where figures are kept.
    pub(crate) fn table(&self) -> String {
        let mut out = String::from(
            "| what | unit | ours: min / median / max | Kafka: min / median / max | ratio | goal | met |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for (row, metric) in self.metrics.iter().enumerate() {
            let ours = self.values.get(&(row, Side::Ours)).map(|values| Spread::of(values));
            let kafka = self.values.get(&(row, Side::Kafka)).map(|values| Spread::of(values));
            let ratio = match (&ours, &kafka) {
                (Some(ours), Some(kafka)) if kafka.median > 0.0 => Some(ours.median / kafka.median),
                _ => None,
            };
            let met = match metric.goal {
                Goal::None => None,
                Goal::Ratio(goal) => ratio.map(|ratio| metric.better.holds(ratio, goal)),
                Goal::Value(goal) => ours.as_ref().map(|ours| metric.better.holds(ours.median, goal)),
            };
            let shown = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |s| s.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                metric.name,
                metric.unit,
                shown(ours),
                shown(kafka),
                ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{} ×", figure(ratio))),
                match metric.goal {
                    Goal::None => "–".to_owned(),
                    Goal::Ratio(goal) => format!("{} {goal} ×", metric.better.sign()),
                    Goal::Value(goal) => format!("{} {goal} {}", metric.better.sign(), metric.unit),
                },
                match met {
                    Some(true) => "yes",
                    Some(false) => "**no**",
                    None => "–",
                },
            );
        }
        out
    }
}

struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    /// Of at least one value.
    fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Spread { min: sorted[0], median, max: sorted[sorted.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / **{}** / {}", figure(self.min), figure(self.median), figure(self.max))
    }
}

/// Three significant figures are all that a shared machine gives.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Metric = Metric { name: "cpu", unit: "s/GB", better: Better::Lower, goal: Goal::Ratio(0.33) };

    #[test]
    fn a_row_has_the_ratio_of_the_medians_and_says_whether_the_goal_is_met() {
        let mut report = Report::default();
        for (ours, kafka) in [(0.5, 1.5), (0.3, 1.6), (0.4, 1.4)] {
            report.add(CPU, Side::Ours, ours);
            report.add(CPU, Side::Kafka, kafka);
        }
        let row = report.table().lines().nth(2).map(str::to_owned);
        let expected =
            "| cpu | s/GB | 0.300 / **0.400** / 0.500 | 1.40 / **1.50** / 1.60 | 0.267 × | ≤ 0.33 × | yes |";
        assert_eq!(row.as_deref(), Some(expected));
    }

    #[test]
    fn one_side_alone_has_no_ratio_but_may_meet_a_goal_of_its_own() {
        let mut report = Report::default();
        report.add(CPU, Side::Ours, 2.0);
        let memory = Metric { name: "memory", unit: "MB", better: Better::Lower, goal: Goal::Value(8.0) };
        report.add(memory, Side::Ours, 9.0);
        let table = report.table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows[0], "| cpu | s/GB | 2.00 / **2.00** / 2.00 | – | – | ≤ 0.33 × | – |");
        assert_eq!(rows[1], "| memory | MB | 9.00 / **9.00** / 9.00 | – | – | ≤ 8 MB | **no** |");
    }
}
