//! All of the farm's I/O: the master's and the slave's services, the client, discovery, and the command line.
//!
//! `master` and `slave` never import each other; they share `netrender_core::wire`, [`blobs`] and [`api`].

pub mod api;
pub mod blender;
pub mod blobs;
pub mod cli;
pub mod client;
pub mod discovery;
mod disk;
mod folders;
pub mod master;
pub mod pieces;
pub mod slave;

/// 128 random bits as text: ids and keys that must not be guessed or met twice.
fn random_hex() -> String {
    let mut bytes = [0u8; 16];
    // Every supported system has a source of randomness; without one there is no safe way on.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The machine's name, for people.
fn machine_name() -> String {
    hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|_| "netrender".into())
}
