//! The farm's decisions, driven as a whole.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod chronicle;
mod control;
mod env;
mod histories;
mod rules;
mod sharing;
#[allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a long run is steered from outside"
)]
mod simulation;
mod stories;
