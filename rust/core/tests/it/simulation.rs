//! Farms that live long: worlds of hundreds of random steps each, drawn from seeds, with the steps
//! of `histories`. `NETRENDER_SIMULATION_STEPS` sets the number of all steps,
//! `NETRENDER_SIMULATION_SEED` the first seed.

use crate::{
    env::Env,
    histories::{Slaves, Step, finish, play, step},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, available_parallelism},
};

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

/// Runs the worlds in parallel, one on each processor.
#[test]
fn a_farm_stays_sound_for_millions_of_steps() {
    let steps = number("NETRENDER_SIMULATION_STEPS", STEPS);
    let first = number("NETRENDER_SIMULATION_SEED", 1);
    let worlds = steps.div_ceil(STEPS_PER_WORLD);
    let next = AtomicU64::new(0);
    let run = || {
        loop {
            let world = next.fetch_add(1, Ordering::Relaxed);
            if world >= worlds {
                return;
            }
            let (seed, steps) = (first + world, STEPS_PER_WORLD.min(steps - world * STEPS_PER_WORLD));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| live(seed, steps))) {
                next.store(worlds, Ordering::Relaxed);
                eprintln!(
                    "broken with seed {seed}: NETRENDER_SIMULATION_SEED={seed} NETRENDER_SIMULATION_STEPS={steps} does it again"
                );
                resume_unwind(panic);
            }
        }
    };
    let processors = available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..processors).for_each(|_| _ = scope.spawn(run)));
    println!("{steps} steps in {worlds} worlds, seeds {first} to {}: sound after every step", first + worlds - 1);
}
