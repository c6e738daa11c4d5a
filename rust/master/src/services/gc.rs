//! Garbage collection: removes the files of deleted jobs, and blobs that were sent or replaced and
//! are not needed.
//!
//! A deleted job stays in the log as `Deleted` until its files are removed, so after a crash in
//! between they are removed by the next start.

use super::job_files;
use crate::{
    blocking::blocking,
    error::MasterError,
    ledger::{
        blob_refs::{blobs_of_job, kept_jobs},
        farm_handle::FarmHandle,
    },
};
use netrender_core::{
    decide::Command,
    model::{
        digest::Digest,
        farm::Farm,
        ids::JobId,
        job::{Job, JobState},
    },
};
use netrender_store::{blobs::BlobStore, pieces::PieceStore};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, OwnedRwLockReadGuard, RwLock};

/// Age after which a blob or piece that no job refers to is garbage: a job refers to what was sent
/// for it within moments. A killed master leaves such blobs, a client that sends no job after its
/// pieces leaves those.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Time between two looks for abandoned pieces, for which the lists of all jobs are read.
const PIECES_PERIOD: Duration = Duration::from_secs(24 * 3600);
/// Time between two looks for garbage when no job is deleted, and when some files could not be
/// removed: an antivirus program may have had one open.
const PERIOD: Duration = Duration::from_secs(3600);
const RETRY: Duration = Duration::from_secs(60);

/// The garbage collector, and the gate between it and those who are about to refer to files.
pub struct Gc {
    farm: FarmHandle,
    blobs: BlobStore,
    pieces: Arc<PieceStore>,
    /// Read: files that exist stay. Write: files are removed.
    gate: RwLock<()>,
    /// Read: blobs may be about to become garbage, and are collected before the guard goes.
    unsettled: Arc<RwLock<()>>,
    deleted: Notify,
}

impl Gc {
    pub fn new(farm: FarmHandle, blobs: BlobStore, pieces: Arc<PieceStore>) -> Self {
        let (gate, unsettled, deleted) = (RwLock::default(), Arc::default(), Notify::default());
        Self { farm, blobs, pieces, gate, unsettled, deleted }
    }

    /// Runs `work` while nothing is collected, so that files it finds still exist when the farm
    /// refers to them. `work` also returns the blobs that may be without use now; those that the
    /// farm does not refer to are collected in the background.
    pub async fn transact<T>(self: &Arc<Self>, work: impl Future<Output = (T, Vec<Digest>)>) -> T {
        let unsettled = self.unsettled.clone().read_owned().await;
        let paused = self.gate.read().await;
        let (value, unneeded) = work.await;
        drop(paused);
        self.collect_later(unneeded, unsettled);
        value
    }

    /// Collects these blobs in the background, except those that the farm refers to.
    pub async fn discard(self: &Arc<Self>, blobs: Vec<Digest>) {
        let unsettled = self.unsettled.clone().read_owned().await;
        self.collect_later(blobs, unsettled);
    }

    fn collect_later(self: &Arc<Self>, blobs: Vec<Digest>, unsettled: OwnedRwLockReadGuard<()>) {
        if blobs.is_empty() {
            return;
        }
        let gc = self.clone();
        tokio::spawn(async move {
            gc.collect(blobs).await;
            drop(unsettled);
        });
    }

    /// Waits until every transaction has ended and what it left is collected.
    pub async fn settle(&self) {
        drop(self.unsettled.write().await);
    }

    /// Starts the collection of deleted jobs.
    pub fn wake(&self) {
        self.deleted.notify_one();
    }

    /// Collects the files of deleted jobs until the farm's thread ends.
    pub async fn run(self: Arc<Self>) {
        // Not at the start, when there is enough to read.
        let mut look_at_pieces = Instant::now() + PERIOD;
        loop {
            self.sweep().await;
            if Instant::now() >= look_at_pieces {
                look_at_pieces = Instant::now() + PIECES_PERIOD;
                match self.sweep_pieces(ABANDONED).await {
                    Ok(0) => {}
                    Ok(pieces) => tracing::info!(pieces, "no job was sent for them"),
                    Err(error) => tracing::warn!("abandoned pieces stay on the disk: {error}"),
                }
            }
            let deleted = |farm: &Farm| {
                let deleted = farm.jobs.values().filter(|job| job.state == JobState::Deleted);
                deleted.map(|job| job.id).collect::<Vec<_>>()
            };
            let Ok(jobs) = self.farm.read(deleted).await else { return };
            let mut period = PERIOD;
            for job in jobs {
                match self.remove(job).await {
                    Ok(()) => tracing::info!(%job, "deleted"),
                    Err(error) => {
                        period = RETRY;
                        tracing::error!(%job, "its files can't be removed yet: {error}");
                    }
                }
            }
            let pieces = self.pieces.clone();
            match blocking(move || pieces.compact()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(bytes)) => tracing::info!(bytes, "given back to the disk"),
                Ok(Err(error)) => tracing::error!("packs can't be compacted yet: {error}"),
                Err(_) => return,
            }
            let _ = tokio::time::timeout(period, self.deleted.notified()).await;
        }
    }

    /// Collects old blobs that a killed master was about to collect.
    async fn sweep(&self) {
        let blobs = self.blobs.clone();
        match blocking(move || blobs.older_than(ABANDONED)).await {
            Ok(Ok(old)) => self.collect(old).await,
            Ok(Err(error)) => tracing::warn!("the folder of files can't be read: {error}"),
            Err(_) => {}
        }
    }

    /// Collects pieces that no job needs and that came longer ago than `age`. Returns their number.
    /// A client that relied on one is told that it is missing, and sends it again.
    async fn sweep_pieces(&self, age: Duration) -> Result<usize, MasterError> {
        let lists = |farm: &Farm| farm.jobs.values().map(|job| job.spec.manifest).collect::<HashSet<_>>();
        let known = self.farm.read(lists).await?;
        let (blobs, pieces, read) = (self.blobs.clone(), self.pieces.clone(), known.clone());
        // The long part comes before the gate is closed.
        let mut unneeded = blocking(move || {
            // Eight bytes each, because there may be millions. Where two pieces have them in common,
            // one may stay for the other.
            let mut old = HashSet::new();
            pieces.each_older_than(age, |digest| _ = old.insert(start_of(&digest)))?;
            for list in read {
                job_files::each_piece(&blobs, &pieces, list, |digest| _ = old.remove(&start_of(&digest)))?;
            }
            let mut unneeded = HashSet::new();
            if !old.is_empty() {
                let mut take = |digest| old.contains(&start_of(&digest)).then(|| unneeded.insert(digest));
                pieces.each_older_than(age, |digest| _ = take(digest))?;
            }
            Ok::<_, MasterError>(unneeded)
        })
        .await??;
        if unneeded.is_empty() {
            return Ok(0);
        }

        let _closed = self.gate.write().await;
        let new = self.farm.read(move |farm| &lists(farm) - &known).await?;
        let (blobs, pieces) = (self.blobs.clone(), self.pieces.clone());
        blocking(move || {
            for list in new {
                job_files::each_piece(&blobs, &pieces, list, |digest| _ = unneeded.remove(&digest))?;
            }
            pieces.forget(&unneeded.iter().copied().collect::<Vec<_>>())?;
            Ok::<_, MasterError>(unneeded.len())
        })
        .await?
    }

    /// Removes the files that only this job needs, and then the job.
    async fn remove(&self, id: JobId) -> Result<(), MasterError> {
        let lists = move |farm: &Farm| {
            let others: HashSet<Digest> = kept_jobs(farm).map(|job| job.spec.manifest).collect();
            (farm.jobs.get(&id).map(|job| job.spec.manifest), others)
        };
        let (Some(own), others) = self.farm.read(lists).await? else { return Ok(()) };
        let (blobs, pieces) = (self.blobs.clone(), self.pieces.clone());
        let known = others.clone();
        // The long part comes before the gate is closed.
        let mut unneeded = blocking(move || {
            let mut unneeded = HashSet::new();
            if !known.contains(&own) {
                job_files::each_piece(&blobs, &pieces, own, |digest| _ = unneeded.insert(digest))?;
                for other in known {
                    job_files::each_piece(&blobs, &pieces, other, |digest| _ = unneeded.remove(&digest))?;
                }
            }
            Ok::<_, MasterError>(unneeded)
        })
        .await??;

        let _closed = self.gate.write().await;
        let needed = move |farm: &Farm| {
            let mut unneeded = farm.jobs.get(&id).map(blobs_of_job).unwrap_or_default();
            remove_referred(farm, &mut unneeded);
            let new = kept_jobs(farm).map(|job| job.spec.manifest).filter(|list| !others.contains(list));
            (unneeded, new.collect::<Vec<Digest>>())
        };
        let (unneeded_blobs, new_lists) = self.farm.read(needed).await?;
        let (blobs, pieces) = (self.blobs.clone(), self.pieces.clone());
        blocking(move || {
            for new in new_lists {
                job_files::each_piece(&blobs, &pieces, new, |digest| _ = unneeded.remove(&digest))?;
            }
            pieces.forget(&unneeded.into_iter().collect::<Vec<_>>())?;
            for digest in unneeded_blobs {
                blobs.remove(&digest)?;
            }
            Ok::<_, MasterError>(())
        })
        .await??;
        self.farm.command(Command::Forget(id)).await.map(drop)
    }

    /// Removes these blobs, except those that the farm refers to.
    async fn collect(&self, blobs: Vec<Digest>) {
        let mut unneeded = HashSet::from_iter(blobs);
        let _closed = self.gate.write().await;
        let needed = move |farm: &Farm| {
            remove_referred(farm, &mut unneeded);
            unneeded
        };
        let Ok(unneeded) = self.farm.read(needed).await else { return };
        let blobs = self.blobs.clone();
        let removed = blocking(move || unneeded.iter().try_for_each(|digest| blobs.remove(digest))).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!("blobs without use stay on the disk: {error}");
        }
    }
}

/// The first eight bytes of a digest.
fn start_of(digest: &Digest) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = digest.0;
    [a, b, c, d, e, f, g, h]
}

fn remove_referred(farm: &Farm, blobs: &mut HashSet<Digest>) {
    let referred = kept_jobs(farm).flat_map(|job: &Job| blobs_of_job(job));
    referred.for_each(|digest| _ = blobs.remove(&digest));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_farm::{TestFarm, spec};
    use bytes::Bytes;
    use netrender_core::files::recipe::Piece;
    use netrender_store::pieces::Record;
    use serde_json::json;

    /// Stores a piece.
    fn piece(house: &TestFarm, content: &'static [u8]) -> Digest {
        let digest = Digest(*blake3::hash(content).as_bytes());
        let piece = Piece { digest, bytes: u32::try_from(content.len()).unwrap() };
        house.pieces.put(&Record::plain(piece, Bytes::from_static(content))).unwrap();
        house.pieces.commit().unwrap();
        digest
    }

    /// A manifest of one file of one piece.
    fn manifest(house: &TestFarm, name: &str, piece: Digest) -> Digest {
        let asset = json!({ "source": name, "place": name, "digest": piece, "bytes": 3, "pieces": 1 });
        let text = json!({ "version": 2, "blend": name, "assets": [asset], "paths": [] }).to_string();
        house.blobs.put(text.as_bytes()).unwrap()
    }

    async fn submit(house: &TestFarm, manifest: Digest) {
        house.farm.command(Command::Submit(Box::new(spec("1", manifest)))).await.unwrap();
    }

    fn missing(house: &TestFarm, pieces: [Digest; 2]) -> Vec<bool> {
        house.pieces.missing(&pieces).unwrap()
    }

    #[tokio::test]
    async fn pieces_after_which_no_job_was_sent_go_after_a_while() {
        let house = TestFarm::new();
        let pieces = [piece(&house, b"one"), piece(&house, b"two")];
        submit(&house, manifest(&house, "a.blend", pieces[0])).await;
        assert_eq!(house.gc.sweep_pieces(ABANDONED).await.unwrap(), 0, "the job may still come");
        assert_eq!(house.gc.sweep_pieces(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(missing(&house, pieces), [false, true]);
    }

    #[tokio::test]
    async fn while_a_list_of_files_cannot_be_read_no_piece_is_taken_for_unneeded() {
        let house = TestFarm::new();
        let shared = piece(&house, b"one");
        let other = piece(&house, b"two");
        let (own, list) = (manifest(&house, "a.blend", shared), manifest(&house, "b.blend", shared));
        submit(&house, own).await;
        submit(&house, list).await;
        let (path, aside) = (house.blobs.path(&list), house.blobs.path(&list).with_extension("aside"));
        std::fs::rename(&path, &aside).unwrap();
        std::fs::create_dir(&path).unwrap();

        house.farm.command(Command::Delete(JobId(1))).await.unwrap();
        assert!(house.gc.remove(JobId(1)).await.is_err());
        assert!(house.gc.sweep_pieces(Duration::ZERO).await.is_err());
        assert_eq!(missing(&house, [shared, other]), [false, false]);

        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        house.gc.remove(JobId(1)).await.unwrap();
        house.gc.sweep_pieces(Duration::ZERO).await.unwrap();
        assert_eq!(missing(&house, [shared, other]), [false, true]);
    }
}
