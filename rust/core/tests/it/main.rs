//! The farm's decisions, driven as a whole.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod env;
mod histories;
mod stories;
