//! stub until merged
use std::{collections::BTreeSet, path::PathBuf, pin::Pin, sync::Arc};
/// Finds a master.
pub trait Finder: Send + Sync {
    /// address
    fn find(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>>;
}
/// o
#[allow(missing_docs)]
#[derive(Clone)]
pub struct SlaveOptions {
    pub data: PathBuf,
    pub blender: PathBuf,
    pub master: Option<String>,
    pub name: String,
    pub threads: u32,
    pub tags: BTreeSet<String>,
    pub console: bool,
}
/// s
pub struct Slave;
/// s
#[derive(serde::Serialize)]
#[allow(missing_docs)]
pub struct SlaveSnapshot {
    pub name: String,
    pub blender: String,
}
/// e
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct SlaveError;
#[allow(missing_docs)]
impl Slave {
    pub async fn start(_o: SlaveOptions, _f: Arc<dyn Finder>) -> Result<Slave, SlaveError> {
        Err(SlaveError)
    }
    pub fn snapshot(&self) -> SlaveSnapshot {
        SlaveSnapshot { name: String::new(), blender: String::new() }
    }
    pub async fn stop(self) {}
}
