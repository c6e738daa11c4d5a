//! The farm's decisions, driven as a whole.

mod env;
mod histories;
mod stories;
