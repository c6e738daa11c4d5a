//! A farm that lives for long: worlds of thousands of steps each, drawn from a seed, with everything that
//! `histories` can do to it. `NETRENDER_SIMULATION_STEPS` and `NETRENDER_SIMULATION_SEED` say how many and from where.

use crate::{
    env::Env,
    histories::{Slaves, Step, finish, play, step},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const STEPS: u64 = 5_000_000;
const STEPS_PER_WORLD: u64 = 500;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn live(seed: u64, steps: u64) {
    let bytes = (u128::from(seed) + 1).to_le_bytes();
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::XorShift, &bytes));
    let strategy = step();
    let (mut env, mut slaves) = (Env::new(), Slaves::default());
    for _ in 0..steps {
        let next: Step = strategy.new_tree(&mut runner).unwrap().current();
        play(&mut env, &mut slaves, next);
    }
    finish(&mut env);
}

#[test]
fn a_farm_stays_sound_for_millions_of_steps() {
    let steps = number("NETRENDER_SIMULATION_STEPS", STEPS);
    let first = number("NETRENDER_SIMULATION_SEED", 1);
    let worlds = steps.div_ceil(STEPS_PER_WORLD);
    for seed in first..first + worlds {
        let steps = STEPS_PER_WORLD.min(steps - (seed - first) * STEPS_PER_WORLD);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| live(seed, steps))) {
            eprintln!(
                "broken with seed {seed}: NETRENDER_SIMULATION_SEED={seed} NETRENDER_SIMULATION_STEPS={steps} does it again"
            );
            resume_unwind(panic);
        }
    }
    println!("{steps} steps in {worlds} worlds, seeds {first} to {}: sound after every step", first + worlds - 1);
}
