//! Everything that slaves and clients need to reach a master: its HTTP interface as functions
//! ([`api`]), repeating calls ([`retry`]), finding masters on the network ([`discovery`]), and
//! small facts about this machine.

pub mod api;
pub mod discovery;
pub mod events;
pub mod folders;
pub mod retry;

/// Returns 128 random bits as 32 hexadecimal digits, for ids and keys that must be unique and hard
/// to guess.
pub fn random_hex() -> String {
    let mut bytes = [0u8; 16];
    // Every supported system has a source of randomness. Without one, continuing would not be safe.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name of this machine, for people.
pub fn machine_name() -> String {
    hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|_| "netrender".into())
}
