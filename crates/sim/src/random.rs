//! Courses of events from a seed, and what must hold in each of them.
//!
//! A course is trouble for some minutes and then calm. In all of it nothing may happen that must never happen (the
//! world judges that), and every decision must pass `planner::verify` (the machine sees to that). In the calm the
//! newest intent must be reached: nothing may wait for ever.

use std::time::Duration;

use model::observed::Exit;
use model::{BrokerId, Lifecycle};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::scenario::{CLUSTER, Disturbance, Stage, Want, wanted};
use crate::simulation::{Fate, Simulation};
use crate::world::Behaviour;

/// Time without trouble in which everything must be as it is wanted: the longest pause between two tries of anything
/// (five minutes), twice, and a rolling restart.
const CALM: Duration = Duration::from_secs(15 * 60);

/// Plays the course of a seed; returns the transcript, or with it what went wrong.
pub fn play(seed: u64) -> Result<String, String> {
    let mut simulation = Simulation::default();
    match course(&mut simulation, seed) {
        Ok(()) => Ok(simulation.transcript().to_owned()),
        Err(wrong) => Err(format!("seed {seed}: {wrong}\n{}", simulation.transcript())),
    }
}

fn course(simulation: &mut Simulation, seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let brokers = rng.random_range(1..=4);
    let mut intent = wanted(None, CLUSTER, &Want::Create(brokers));
    simulation.publish(intent.clone());
    for _ in 0..rng.random_range(5..40) {
        if rng.random_bool(0.3) {
            intent = wanted(Some(&intent), CLUSTER, &want(&mut rng));
            simulation.write(&format!("> {:?} {}", intent.lifecycle, intent.generation));
            simulation.publish(intent.clone());
        } else {
            let disturbance = disturbance(&mut rng, brokers);
            simulation.write(&format!("> {disturbance:?}"));
            simulation.disturb(&disturbance);
        }
        // Mostly one thing upon another, sometimes long after.
        let longest_ms = if rng.random_bool(0.8) { 2_000 } else { 120_000 };
        simulation.pass(Duration::from_millis(rng.random_range(0..longest_ms)), |_| false);
        judge(simulation)?;
    }
    let end = if rng.random_bool(0.3) { Lifecycle::Remove } else { Lifecycle::Run };
    intent = wanted(Some(&intent), CLUSTER, &Want::Lifecycle(end));
    calm(simulation, brokers);
    simulation.write(&format!("> calm, {end:?} {}", intent.generation));
    simulation.publish(intent.clone());
    let reached = simulation.pass(CALM, |status| status.has_reached(intent.generation));
    judge(simulation)?;
    match reached {
        true => Ok(()),
        false => Err("it did not get where it was to go".to_owned()),
    }
}

fn judge(simulation: &Simulation) -> Result<(), String> {
    match simulation.world.violations() {
        [] => Ok(()),
        violations => Err(violations.join("\n")),
    }
}

/// From now on every broker starts well, and nothing is hidden, lost or refused.
fn calm(simulation: &mut Simulation, brokers: i32) {
    for broker in (0..brokers).map(BrokerId) {
        simulation.world.behave(broker, Behaviour::default());
        simulation.world.silence(broker, Duration::ZERO);
        simulation.world.hide(Some(broker), Duration::ZERO);
        simulation.world.fail(broker, Duration::ZERO);
    }
    simulation.world.hide(None, Duration::ZERO);
    simulation.world.releases.clear();
    simulation.forget_fates();
}

fn want(rng: &mut StdRng) -> Want {
    match rng.random_range(0..10) {
        0..4 => Want::Change,
        4 => Want::Release(rng.random_range(1..4).to_string()),
        5 => Want::Lifecycle(Lifecycle::Pause),
        6 => Want::Lifecycle(Lifecycle::Stop),
        _ => Want::Lifecycle(Lifecycle::Run),
    }
}

fn disturbance(rng: &mut StdRng, brokers: i32) -> Disturbance {
    let broker = BrokerId(rng.random_range(0..brokers));
    let span = Duration::from_millis(rng.random_range(1..20_000));
    match rng.random_range(0..16) {
        0..4 => Disturbance::Kill(broker),
        4..7 => Disturbance::Behave(broker, behaviour(rng)),
        7..9 => Disturbance::RestartAgent,
        9 => Disturbance::Silence(broker, span),
        10 => Disturbance::Hide(rng.random_bool(0.7).then_some(broker), span),
        11 => Disturbance::Stale(span),
        12 => Disturbance::Fate(Fate::Lost),
        13 => Disturbance::Fate(if rng.random_bool(0.5) { Fate::Repeated } else { Fate::Unanswered }),
        14 => Disturbance::Fail(broker, span),
        _ => Disturbance::Installed((1..rng.random_range(2..4)).map(|release| release.to_string()).collect()),
    }
}

fn behaviour(rng: &mut StdRng) -> Behaviour {
    let mut up_to = |longest_ms: u64| Duration::from_millis(rng.random_range(1..longest_ms));
    let (starts_in, recovers_for, lives) = (up_to(2_000), up_to(90_000), up_to(5_000));
    let well = Behaviour::default();
    match rng.random_range(0..6) {
        0 => Behaviour { starts_in, ..well },
        1 | 2 => Behaviour { starts_in, recovers_for, ..well },
        3 => {
            let exit = Exit::Crashed { said: "exit status 101".to_owned() };
            Behaviour { ends: Some((lives, exit)), ..well }
        }
        4 => {
            let exit = Exit::BadConfiguration { said: "cannot listen on 127.0.0.1:9092".to_owned() };
            Behaviour { ends: Some((lives, exit)), ..well }
        }
        _ => well,
    }
}
