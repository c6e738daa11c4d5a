//! Tests of the farm as a whole: commands go in, events and answers come out.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod behaviour;
mod chronicle;
mod control;
mod env;
mod histories;
mod old_files;
mod policy;
mod sharing;
#[allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a long run is steered from outside"
)]
mod simulation;
mod simulations;
