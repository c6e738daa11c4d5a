//! Files of a job: their names and places, and their pieces.

pub mod manifest;
pub mod recipe;
