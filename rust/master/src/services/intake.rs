//! Intake of files: blobs and pieces as they arrive, refused when the disk is nearly full.

use crate::{blocking::blocking, error::MasterError, ledger::data_folder::DataFolder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use netrender_core::model::digest::Digest;
use netrender_store::{
    blobs::BlobStore,
    pieces::{PieceStore, Record},
};
use std::{fmt::Display, sync::Arc, time::Duration};

/// Largest blob taken: a 16K film with a hundred channels.
const MAX_BLOB: u64 = 64 << 30;
/// Received bytes after which the room on the disk is looked at again.
const LOOK_EVERY: u64 = 1 << 20;
/// Time between two commits of received pieces.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// Takes blobs and pieces.
#[derive(Clone)]
pub struct Intake {
    folder: DataFolder,
    blobs: BlobStore,
    pieces: Arc<PieceStore>,
}

impl Intake {
    pub fn new(folder: DataFolder, blobs: BlobStore, pieces: Arc<PieceStore>) -> Self {
        Self { folder, blobs, pieces }
    }

    /// Begins to take files. Refuses when the disk is nearly full.
    pub fn room(&self) -> Result<Room, MasterError> {
        self.folder.check_room()?;
        Ok(Room { folder: self.folder.clone(), unseen: 0 })
    }

    /// The blobs of these that are not here.
    pub async fn missing_blobs(&self, digests: Vec<Digest>) -> Result<Vec<Digest>, MasterError> {
        let blobs = self.blobs.clone();
        blocking(move || digests.into_iter().filter(|digest| !blobs.has(digest)).collect()).await
    }

    /// For each of these pieces whether it is missing, in the same order.
    pub async fn missing_pieces(&self, digests: Vec<Digest>) -> Result<Vec<bool>, MasterError> {
        let pieces = self.pieces.clone();
        Ok(blocking(move || pieces.missing(&digests)).await??)
    }

    /// Takes a blob and makes it durable. Returns false if it was here already.
    pub async fn take_blob<E: Display>(
        &self,
        digest: Digest,
        mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<bool, MasterError> {
        if self.blobs.has(&digest) {
            return Ok(false);
        }
        let mut room = self.room()?;
        let mut incoming = self.blobs.incoming()?;
        while let Some(bytes) = bytes.next().await {
            let bytes = bytes.map_err(|error| MasterError::Invalid(format!("the upload broke off: {error}")))?;
            if incoming.bytes() + bytes.len() as u64 > MAX_BLOB {
                return Err(MasterError::Invalid(format!("a blob may have at most {MAX_BLOB} bytes")));
            }
            room.take(bytes.len() as u64)?;
            incoming = blocking(move || incoming.write(&bytes).map(|()| incoming)).await??;
        }
        blocking(move || incoming.finish(Some(digest))).await??;
        Ok(true)
    }

    /// Takes a piece. It is durable after the next commit.
    pub async fn take_piece(&self, record: Record) -> Result<(), MasterError> {
        let pieces = self.pieces.clone();
        Ok(blocking(move || pieces.put(&record)).await??)
    }

    /// A piece, or `None` if it is not here.
    pub async fn piece(&self, digest: Digest) -> Result<Option<Record>, MasterError> {
        let pieces = self.pieces.clone();
        Ok(blocking(move || pieces.get(&digest)).await??)
    }

    /// Commits received pieces while more arrive: a crash costs little, and a submission has little
    /// left to wait for. Ends with the runtime.
    pub async fn run(self) {
        let mut clock = tokio::time::interval(COMMIT_EVERY);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let pieces = self.pieces.clone();
            if let Ok(Err(error)) = blocking(move || pieces.commit()).await {
                tracing::error!("received files are not durable yet: {error}");
            }
        }
    }
}

/// The room on the disk while an upload goes on, which may have any length.
pub struct Room {
    folder: DataFolder,
    /// Bytes received since the disk was looked at.
    unseen: u64,
}

impl Room {
    /// Counts received bytes. Refuses when the disk is nearly full.
    pub fn take(&mut self, bytes: u64) -> Result<(), MasterError> {
        self.unseen += bytes;
        if self.unseen >= LOOK_EVERY {
            self.unseen = 0;
            self.folder.check_room()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_farm::TestFarm;
    use futures_util::stream;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_blob_is_taken_only_if_its_bytes_have_the_digest() {
        let house = TestFarm::new();
        let intake = Intake::new(house.folder.clone(), house.blobs.clone(), house.pieces.clone());
        let digest = Digest(*blake3::hash(b"half and half").as_bytes());
        let send = |parts: [&'static str; 2]| {
            stream::iter(parts.map(|part| Ok::<_, Infallible>(Bytes::from_static(part.as_bytes()))))
        };
        let damaged = intake.take_blob(digest, send(["half and ", "hall"])).await;
        assert!(matches!(damaged, Err(MasterError::WrongDigest(_))), "{damaged:?}");
        assert_eq!(intake.missing_blobs(vec![digest]).await.unwrap(), [digest]);
        assert!(intake.take_blob(digest, send(["half and ", "half"])).await.unwrap());
        assert!(!intake.take_blob(digest, send(["not ", "read"])).await.unwrap(), "it is here already");
        assert!(intake.missing_blobs(vec![digest]).await.unwrap().is_empty());
    }
}
