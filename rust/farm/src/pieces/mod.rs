//! Runs of files' bytes, by digest: what travels between client, master and slaves ([`record`]) and how the master keeps
//! it ([`store`]). How files are cut is the client's business, how they are put together the slave's.

mod record;
mod store;

pub use record::{MAX_RECORD_BYTES, Record, RecordError, Records};
pub use store::{PieceError, PieceStore};
