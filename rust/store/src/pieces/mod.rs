//! Pieces: runs of files' bytes, by digest. `record` is the format in which they travel between
//! client, master and slaves; `store` is how the master keeps them. Cutting files is the client's
//! business, putting them together the slave's.

mod record;
mod store;

pub use record::{MAX_RECORD_BYTES, Record, RecordError, Records};
pub use store::{PieceError, PieceStore};
