//! Passes of films as pictures. Decoded passes are kept, so that another exposure needs no second
//! reading of the film. Films are read by `netrender_film` alone.

use crate::{blocking::blocking, error::MasterError};
use netrender_core::{model::digest::Digest, wire::PassView};
use netrender_film::{Choice, Expect, FilmError, PassHeader, Picture};
use netrender_store::blobs::BlobStore;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::Semaphore;

/// Bytes of decoded pictures that are kept.
const KEPT_BYTES: usize = 128 << 20;
/// Films decoded at a time. Each takes the memory of a block of lines and of the picture.
const AT_ONCE: usize = 2;
/// Quality of JPEGs, of 100.
const QUALITY: u8 = 90;

/// The decoded passes.
pub struct PassCache {
    blobs: BlobStore,
    kept: Mutex<VecDeque<(PassKey, Arc<Picture>)>>,
    readers: Semaphore,
}

/// A pass of a film at some width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassKey {
    pub film: Digest,
    /// `None`: the film's own picture.
    pub choice: Option<Choice>,
    /// Width of the picture, in pixels.
    pub width: u32,
}

/// A format of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    Png,
    Jpeg,
}

impl PassCache {
    pub fn new(blobs: BlobStore) -> Self {
        Self { blobs, kept: Mutex::default(), readers: Semaphore::new(AT_ONCE) }
    }

    /// The passes of a film.
    pub async fn passes(&self, film: Digest, expect: Expect) -> Result<Vec<PassView>, MasterError> {
        let path = self.blobs.path(&film);
        let passes = blocking(move || netrender_film::passes(&path, &expect)).await?.map_err(unreadable)?;
        let view = |PassHeader { layer, view, pass, channels }| PassView { layer, pass, view, channels };
        Ok(passes.into_iter().map(view).collect())
    }

    /// A pass as a picture, `exposure` stops brighter.
    pub async fn image(
        self: &Arc<Self>,
        key: PassKey,
        expect: Expect,
        exposure: f32,
        format: ImageFormat,
    ) -> Result<Vec<u8>, MasterError> {
        let _turn = self.readers.acquire().await.map_err(|_| MasterError::Stopping)?;
        let cache = self.clone();
        let image = blocking(move || {
            let picture = cache.picture(key, &expect)?;
            match format {
                ImageFormat::Png => picture.png(exposure),
                ImageFormat::Jpeg => picture.jpeg(exposure, QUALITY),
            }
        });
        image.await?.map_err(unreadable)
    }

    fn picture(&self, key: PassKey, expect: &Expect) -> Result<Arc<Picture>, FilmError> {
        if let Some(picture) = self.get(&key) {
            return Ok(picture);
        }
        let path = self.blobs.path(&key.film);
        let picture = Arc::new(netrender_film::picture(&path, expect, key.choice.as_ref(), key.width)?);
        self.put(key, picture.clone());
        Ok(picture)
    }

    fn get(&self, key: &PassKey) -> Option<Arc<Picture>> {
        let mut kept = self.kept.lock();
        let at = kept.iter().position(|(one, _)| one == key)?;
        let found = kept.remove(at)?;
        kept.push_back(found);
        kept.back().map(|(_, picture)| picture.clone())
    }

    /// Keeps a picture, and drops the least recently used over the limit.
    fn put(&self, key: PassKey, picture: Arc<Picture>) {
        let mut kept = self.kept.lock();
        kept.push_back((key, picture));
        let mut bytes: usize = kept.iter().map(|(_, picture)| picture.bytes()).sum();
        while bytes > KEPT_BYTES
            && let Some((_, oldest)) = kept.pop_front()
        {
            bytes -= oldest.bytes();
        }
    }
}

fn unreadable(error: FilmError) -> MasterError {
    match error {
        FilmError::NoSuchPass { .. } => MasterError::NotThere(error.to_string()),
        error => MasterError::BadPicture(error.to_string()),
    }
}
