//! Words for states and times. Each state has one adjective, one class and one shape, so that it survives grey print.

use std::time::Duration;

use model::Timestamp;
use model::resource::State;

/// How a state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// The word.
    pub word: &'static str,
    /// Its class in the style sheet.
    pub class: &'static str,
    /// The drawing of its shape in a box of 16 × 16.
    pub shape: &'static str,
}

const DISC: &str = "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z";
const RING: &str = "M8 2v2.5A3.5 3.5 0 1 0 11.5 8H14A6 6 0 1 1 8 2z";
const TRIANGLE: &str = "M8 2l6.5 12h-13z";
const OCTAGON: &str = "M5.5 2h5L14 5.500v5L10.500 14h-5L2 10.500v-5z";
const DASH: &str = "M3 6.500h10v3H3z";

/// The word for a resource's state.
pub(crate) fn status(state: State) -> Status {
    let (word, class, shape) = match state {
        State::Provisioning => ("Provisioning", "info", RING),
        State::Ready => ("Running", "ok", DISC),
        State::Degraded => ("Degraded", "warn", TRIANGLE),
        State::Deprovisioning => ("Removing", "info", RING),
        State::Gone => ("Removed", "idle", DASH),
        State::Failed => ("Held", "bad", OCTAGON),
    };
    Status { word, class, shape }
}

/// A point in time with its zone, to the second.
pub(crate) fn time(at: Timestamp) -> String {
    let text = at.rfc3339();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(clock)) => format!("{day} {clock} UTC"),
        _ => text,
    }
}

/// A span in its two largest units.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_name_their_zone_and_spans_their_units() {
        assert_eq!(time(Timestamp(1_795_500_563_123)), "2026-11-24 06:09:23 UTC");
        let shown = [41, 200, 7_260, 187_200].map(|s| span(Duration::from_secs(s)));
        assert_eq!(shown, ["41 s", "3 min 20 s", "2 h 1 min", "2 d 4 h"]);
    }

    #[test]
    fn every_state_has_a_word_and_a_shape_of_its_own_within_its_class() {
        use State::{Degraded, Deprovisioning, Failed, Gone, Provisioning, Ready};
        let all = [Provisioning, Ready, Degraded, Deprovisioning, Gone, Failed].map(status);
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(one.word, other.word);
                assert!(one.shape != other.shape || one.class == other.class);
            }
        }
    }
}
