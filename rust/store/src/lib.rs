//! Content-addressed storage on a disk: whole files ([`blobs`]) and pieces of files ([`pieces`]),
//! and how pieces are compressed ([`zstandard`]). No network.

pub mod blobs;
pub mod disk;
pub mod pieces;
pub mod zstandard;
