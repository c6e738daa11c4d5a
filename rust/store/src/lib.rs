//! Content-addressed storage on a disk: whole files ([`blobs`]) and pieces of files ([`pieces`]),
//! how pieces are compressed ([`zstandard`]), and the working folder around them
//! ([`private_folder`]). No network.

pub mod blobs;
pub mod disk;
pub mod pieces;
pub mod private_folder;
pub mod zstandard;
