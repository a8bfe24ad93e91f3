//! Groups in virtual time: scenarios as scripts with transcripts, and a seeded simulation.

mod commits;
mod joining;
mod leaving;
mod rebalancing;
mod restarting;
mod simulation;
mod statics;
mod world;

use expect_test::Expect;

use world::World;

/// Runs a script and compares what happened. The words are explained in `world.rs`.
fn check(script: &str, expected: Expect) {
    check_with(|_| {}, script, expected);
}

/// The same with other settings.
fn check_with(change: impl FnOnce(&mut super::Settings), script: &str, expected: Expect) {
    let mut settings = crate::config::Config::default().groups;
    change(&mut settings);
    let mut world = World::new(settings);
    world.run(script);
    expected.assert_eq(&world.transcript());
}
