//! The check of a master's folder: the log replays to a sound farm, and every file the farm refers
//! to is there and has the digest that its name says. Reads everything; changes nothing.

use crate::ledger::{
    blob_refs::{blobs_of_job, kept_jobs},
    data_folder::{DataFolder, FolderError, OpenFolder},
    store::Store,
};
use netrender_core::{
    files::{manifest::Manifest, recipe},
    model::{digest::Digest, farm::Farm, task::TaskState},
};
use netrender_store::{
    blobs::{BlobStore, digest_of_file},
    pieces::PieceStore,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// Findings of a check.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// Jobs that are not deleted.
    pub jobs: usize,
    /// Frames of these jobs that are done.
    pub frames_done: usize,
    /// Blobs (pictures, previews, logs, lists of files) that were read and are right.
    pub files_right: usize,
    /// Pieces of the jobs' files that were read and are right.
    pub pieces_right: usize,
    /// Everything that is wrong, in words.
    pub problems: Vec<String>,
    /// Blobs that no job refers to: of uploads that broke off, of slaves that never came back.
    pub unneeded_files: usize,
    /// Bytes of the blobs that no job refers to.
    pub unneeded_bytes: u64,
}

/// Checks the folder of a master that is not running.
pub fn check(data: &Path) -> Result<Findings, FolderError> {
    let folder = DataFolder::new(data);
    if !folder.has_database() {
        return Err(folder.unusable(&"it holds no farm.db, so no master has worked in it"));
    }
    let OpenFolder { lock: _lock, mut store, blobs, pieces } = folder.open()?;
    let mut findings = Findings::default();
    findings.problems.extend(store.integrity()?);
    let (farm, _) = Store::load(&mut store)?;
    findings.problems.extend(farm.check_invariants().err());
    check_jobs(&farm, &blobs, &pieces, &mut findings);
    Ok(findings)
}

fn check_jobs(farm: &Farm, blobs: &BlobStore, pieces: &PieceStore, findings: &mut Findings) {
    let mut proved = BTreeMap::new();
    let mut proved_pieces = BTreeMap::new();
    for job in kept_jobs(farm) {
        findings.jobs += 1;
        let manifest = job.spec.manifest;
        match prove(blobs, &manifest, &mut proved) {
            None => match read_manifest(blobs, &manifest) {
                Ok(manifest) => {
                    check_assets(&format!("job {}", job.id), &manifest, pieces, &mut proved_pieces, findings)
                }
                Err(why) => findings.problems.push(format!("job {}: its list of files can't be read: {why}", job.id)),
            },
            Some(why) => findings.problems.push(format!("job {}: its list of files: {why}", job.id)),
        }
        for (frame, task) in &job.tasks {
            let mut files = Vec::new();
            if let TaskState::Done { result, .. } = &task.state {
                findings.frames_done += 1;
                files.extend([("picture", Some(result.film)), ("preview", result.preview), ("log", result.log)]);
                files.extend(result.outputs.iter().map(|output| ("file of a File Output node", Some(output.digest))));
            }
            if let Some(merged) = task.merged() {
                files.extend([("film of its samples", Some(merged.result.film)), ("view transform", merged.view)]);
            }
            for (what, digest) in files {
                if let Some(why) = digest.and_then(|digest| prove(blobs, &digest, &mut proved)) {
                    findings.problems.push(format!("job {}, frame {frame}: its {what}: {why}", job.id));
                }
            }
        }
    }
    findings.files_right = proved.values().filter(|why| why.is_none()).count();
    findings.pieces_right = proved_pieces.values().filter(|why| why.is_none()).count();
    let needed: HashSet<Digest> = farm.jobs.values().flat_map(blobs_of_job).collect();
    match blobs.all() {
        Ok(all) => {
            let unneeded: Vec<Digest> = all.into_iter().filter(|digest| !needed.contains(digest)).collect();
            findings.unneeded_files = unneeded.len();
            findings.unneeded_bytes = unneeded.iter().filter_map(|digest| blobs.size(digest)).sum();
        }
        Err(error) => findings.problems.push(format!("the folder of files can't be read: {error}")),
    }
}

/// The reason why a blob is not right, or `None` if it is. Each is read once.
fn prove(blobs: &BlobStore, digest: &Digest, proved: &mut BTreeMap<Digest, Option<String>>) -> Option<String> {
    let look = || match digest_of_file(&blobs.path(digest)) {
        Ok(found) if found == *digest => None,
        Ok(_) => Some(format!("{digest} is damaged")),
        Err(error) => Some(format!("{digest} can't be read: {error}")),
    };
    proved.entry(*digest).or_insert_with(look).clone()
}

fn read_manifest(blobs: &BlobStore, digest: &Digest) -> Result<Manifest, String> {
    let text = std::fs::read(blobs.path(digest)).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

fn check_assets(
    job: &str,
    manifest: &Manifest,
    pieces: &PieceStore,
    proved: &mut BTreeMap<Digest, Option<String>>,
    findings: &mut Findings,
) {
    for asset in manifest.assets.iter().filter(|asset| asset.pieces > 0) {
        let mut wrong = prove_piece(pieces, &asset.digest, proved);
        if asset.pieces > 1 && wrong.is_none() {
            wrong = match pieces.get(&asset.digest) {
                Ok(Some(record)) => match record.open().map(|list| recipe::decode(&list, asset.pieces, asset.bytes)) {
                    Ok(Ok(list)) => list.iter().find_map(|piece| prove_piece(pieces, &piece.digest, proved)),
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(error) => Some(error.to_string()),
                },
                _ => Some("its list of pieces can't be read".into()),
            };
        }
        if let Some(why) = wrong {
            findings.problems.push(format!("{job}: {}: {why}: send the scene again", asset.source));
        }
    }
}

fn prove_piece(pieces: &PieceStore, digest: &Digest, proved: &mut BTreeMap<Digest, Option<String>>) -> Option<String> {
    let look = || match pieces.look(digest) {
        Ok(None) => None,
        Ok(Some(why)) => Some(why),
        Err(error) => Some(error.to_string()),
    };
    proved.entry(*digest).or_insert_with(look).clone()
}
