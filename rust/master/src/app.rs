//! The handles that every HTTP handler has.

use super::{
    error::MasterError,
    ledger::{data_folder::DataFolder, farm_handle::FarmHandle},
    services::{
        archive::Archive,
        blob_reader::BlobReader,
        change_feed::ChangeFeed,
        figures::Figures,
        frames::Frames,
        gc::Gc,
        intake::Intake,
        job_files::JobFiles,
        jobs::Jobs,
        merge::{Merging, pictures::UnfinishedPictures},
        pass_cache::PassCache,
        results::Results,
        slave_logs::SlaveLogs,
        slaves::Slaves,
    },
};
use netrender_core::wire::MasterInfo;
use netrender_store::{blobs::BlobStore, pieces::PieceStore};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// The services of a master.
#[derive(Clone)]
pub struct App {
    pub info: Arc<MasterInfo>,
    pub folder: DataFolder,
    pub farm: FarmHandle,
    pub archive: Archive,
    pub feed: Arc<ChangeFeed>,
    pub figures: Arc<Figures>,
    pub frames: Frames,
    pub gc: Arc<Gc>,
    pub intake: Intake,
    pub job_files: JobFiles,
    pub jobs: Jobs,
    pub passes: Arc<PassCache>,
    pub reader: BlobReader,
    pub results: Results,
    pub slaves: Slaves,
    pub unfinished: Arc<UnfinishedPictures>,
}

impl App {
    /// Starts the services that work in the background; must be called in a runtime.
    pub fn start(
        info: Arc<MasterInfo>,
        folder: DataFolder,
        farm: FarmHandle,
        blobs: BlobStore,
        pieces: PieceStore,
        slave_timeout: Duration,
    ) -> (Self, Vec<JoinHandle<()>>) {
        let pieces = Arc::new(pieces);
        let gc = Arc::new(Gc::new(farm.clone(), blobs.clone(), pieces.clone()));
        let logs: Arc<SlaveLogs> = Arc::default();
        let unfinished: Arc<UnfinishedPictures> = Arc::default();
        let (feed, publisher) = ChangeFeed::new(&farm);
        let intake = Intake::new(folder.clone(), blobs.clone(), pieces.clone());
        let job_files = JobFiles::new(blobs.clone(), pieces);
        let reader = BlobReader::new(farm.clone(), blobs.clone());
        let merging = Merging::new(farm.clone(), blobs.clone(), gc.clone(), unfinished.clone());
        let tasks = vec![
            tokio::spawn(gc.clone().run()),
            tokio::spawn(merging.run()),
            tokio::spawn(publisher.run()),
            tokio::spawn(intake.clone().run()),
            tokio::spawn(farm.clone().watch_for_silence(slave_timeout)),
        ];
        let app = Self {
            archive: Archive::new(farm.clone(), blobs.clone(), reader.clone()),
            feed,
            figures: Arc::new(Figures::new(farm.clone(), folder.clone())),
            frames: Frames::new(farm.clone(), blobs.clone(), logs.clone()),
            gc: gc.clone(),
            intake,
            jobs: Jobs::new(farm.clone(), job_files.clone(), gc.clone()),
            job_files,
            passes: Arc::new(PassCache::new(blobs.clone())),
            reader,
            results: Results::new(farm.clone(), blobs, gc),
            slaves: Slaves::new(farm.clone(), logs, info.clone(), slave_timeout),
            unfinished,
            info,
            folder,
            farm,
        };
        (app, tasks)
    }

    /// The master's description of itself, with the room on its disk.
    pub async fn info(&self) -> Result<MasterInfo, MasterError> {
        let (folder, info) = (self.folder.clone(), (*self.info).clone());
        super::blocking::blocking(move || MasterInfo { free_bytes: folder.free_bytes(), ..info }).await
    }
}
