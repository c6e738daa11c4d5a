//! Messages between master, slaves and clients: JSON over HTTP.
//!
//! **Invariant:** an older peer still understands them. Fields are added with a default; what an
//! older peer would misunderstand raises [`PROTOCOL`].

mod detail;
mod feed;
mod jobs;
mod master;
mod slaves;
mod words;
mod work;

pub use detail::*;
pub use feed::*;
pub use jobs::*;
pub use master::*;
pub use slaves::*;
pub use words::*;
pub use work::*;
