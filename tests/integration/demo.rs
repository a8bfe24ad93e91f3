//! `penstock demo`: a year of flights through Kafka by somebody else's client, with the broker killed in the
//! middle. The command compares its sums with the file itself and fails when they differ.

use crate::platform::{Platform, shown};

#[test]
fn the_demo_counts_what_the_file_counts() {
    let platform = Platform::up();
    // The kill is part of the demo.
    platform.world.allow("broker");
    let output = platform.penstock(&["demo"]).output().expect("penstock starts");
    assert!(output.status.success(), "{}", shown(&output));
    let said = shown(&output);
    assert!(said.contains("336776") || said.contains("336 776") || said.contains("336,776"), "{said}");
}
