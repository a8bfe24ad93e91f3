//! Plays every scenario file and hundreds of seeds.

use std::time::Duration;

use agent::Dispatch;
use agent::clock::System;
use expect_test::expect_file;
use futures_util::StreamExt;
use model::BrokerId;

use crate::scenario::{CLUSTER, Scenario, Want, files, play, wanted};
use crate::{InMemory, Simulation, random};

/// Beside each `NAME.txt` lies `NAME.transcript`: what happened when it was played here. A change of it is read in
/// review; `UPDATE_EXPECT=1` writes it.
#[test]
fn every_scenario_goes_as_it_says_and_as_it_went_before() {
    let scenarios = files().unwrap();
    assert!(scenarios.len() >= 12, "the scenario files are not where they should be");
    for (name, path) in scenarios {
        let scenario = Scenario::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut simulation = Simulation::default();
        if let Err(failure) = play(&scenario, CLUSTER, &mut simulation) {
            panic!("{name}: {failure}\n{}", simulation.transcript());
        }
        assert!(simulation.world.violations().is_empty(), "{name}: {:#?}", simulation.world.violations());
        expect_file![path.with_extension("transcript")].assert_eq(simulation.transcript());
    }
}

#[test]
fn no_seed_breaks_a_rule_and_every_seed_arrives() {
    for seed in 0..200 {
        if let Err(wrong) = random::play(seed) {
            panic!("{wrong}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_course() {
    for seed in [1, 7, 42] {
        assert_eq!(random::play(seed).unwrap(), random::play(seed).unwrap());
    }
}

/// The real driver, board and fleet over the fake world.
#[tokio::test]
async fn the_fake_world_serves_both_seams() {
    let dispatch = InMemory::new(System);
    let intent = wanted(None, CLUSTER, &Want::Create(3));
    dispatch.publish(&intent).await.unwrap();
    let mut statuses = Box::pin(dispatch.statuses());
    let mut reached = async |restarts: u32| {
        loop {
            let status = statuses.next().await.unwrap();
            if status.has_reached(intent.generation) && status.brokers[1].restarts == restarts {
                return;
            }
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, reached(0)).await.expect("three brokers");
    dispatch.worlds.meddle(CLUSTER, |world| world.kill(BrokerId(1)));
    tokio::time::timeout(patience, reached(1)).await.expect("the killed broker again");
    dispatch.stop().await;
}
