//! The files a job needs: its manifest, whether all pieces of it are here, and the list of files
//! for people.

use crate::{blocking::blocking, error::MasterError};
use netrender_core::{
    decide::Refusal,
    files::{
        manifest::{Asset, MAX_MANIFEST_BYTES, Manifest},
        recipe::{self, MAX_PIECES},
    },
    model::digest::Digest,
    wire::{FileView, FilesView},
};
use netrender_store::{
    blobs::BlobStore,
    pieces::{PieceError, PieceStore},
};
use std::{collections::HashSet, io, sync::Arc};

/// Bytes that a file's list of pieces has for each of them.
const PIECE_ENTRY: u32 = 36;

/// Reads manifests and looks for the pieces they name.
#[derive(Clone)]
pub struct JobFiles {
    blobs: BlobStore,
    pieces: Arc<PieceStore>,
}

impl JobFiles {
    pub fn new(blobs: BlobStore, pieces: Arc<PieceStore>) -> Self {
        Self { blobs, pieces }
    }

    /// Fails unless the manifest is safe and every file is here whole and as long as it claims.
    /// Makes all of it durable.
    pub async fn check(&self, manifest: Digest) -> Result<(), MasterError> {
        let files = self.clone();
        blocking(move || files.check_files(manifest)).await?
    }

    /// Part of the list of files: at most `limit` of them after the first `skip`, and figures of
    /// all.
    pub async fn list(&self, manifest: Digest, skip: usize, limit: usize) -> Result<FilesView, MasterError> {
        let files = self.clone();
        blocking(move || files.list_files(manifest, skip, limit)).await?
    }

    fn check_files(&self, manifest: Digest) -> Result<(), MasterError> {
        let manifest = read_manifest(&self.blobs, manifest)?;
        let mut absent = 0;
        let mut seen = HashSet::new();
        for asset in manifest.assets.iter().filter(|asset| asset.pieces > 0) {
            if seen.insert((asset.digest, asset.bytes, asset.pieces)) {
                absent += self.check_asset(asset)?;
            }
        }
        if absent > 0 {
            return Err(MasterError::MissingPieces(absent));
        }
        Ok(self.pieces.commit()?)
    }

    /// The number of the file's pieces that are not here.
    fn check_asset(&self, asset: &Asset) -> Result<usize, MasterError> {
        let lies = |why: &str| invalid(&format!("{:?} is not what it claims: {why}", asset.source));
        let Some(size) = self.pieces.size(&asset.digest)? else { return Ok(1) };
        if asset.pieces == 1 {
            let is_whole = u64::from(size) == asset.bytes;
            return if is_whole { Ok(0) } else { Err(lies(&format!("it has {size} bytes, not {}", asset.bytes))) };
        }
        if size > MAX_PIECES * PIECE_ENTRY {
            return Err(lies("its list of pieces is too long"));
        }
        let Some(record) = self.pieces.get(&asset.digest)? else { return Ok(1) };
        let list = record.open().map_err(|error| lies(&error.to_string()))?;
        let mut absent = 0;
        for piece in recipe::decode(&list, asset.pieces, asset.bytes).map_err(|error| lies(&error.to_string()))? {
            match self.pieces.size(&piece.digest)? {
                None => absent += 1,
                Some(size) if size != piece.bytes => return Err(lies("a piece has another size")),
                Some(_) => {}
            }
        }
        Ok(absent)
    }

    fn list_files(&self, manifest: Digest, skip: usize, limit: usize) -> Result<FilesView, MasterError> {
        let manifest = read_manifest(&self.blobs, manifest)?;
        let missing = manifest.assets.iter().map(|asset| self.missing_pieces(asset));
        let missing = missing.collect::<Result<Vec<_>, _>>()?;
        let all = manifest.assets.iter().zip(&missing);
        let view = |(asset, missing): (&Asset, &usize)| FileView {
            path: asset.source.clone(),
            bytes: asset.bytes,
            kind: kind(&manifest, asset).to_owned(),
            missing_pieces: *missing,
        };
        Ok(FilesView {
            files: all.skip(skip).take(limit).map(view).collect(),
            total: manifest.assets.len(),
            bytes: manifest.assets.iter().map(|asset| asset.bytes).fold(0, u64::saturating_add),
            missing: missing.iter().filter(|missing| **missing > 0).count(),
        })
    }

    /// The number of a file's pieces that are not here; 1 if their list is not.
    fn missing_pieces(&self, asset: &Asset) -> Result<usize, PieceError> {
        if asset.pieces == 0 {
            return Ok(0);
        }
        if asset.pieces == 1 {
            return Ok(usize::from(self.pieces.size(&asset.digest)?.is_none()));
        }
        let Some(record) = self.pieces.get(&asset.digest)? else { return Ok(1) };
        let list = record.open().ok().and_then(|list| recipe::decode(&list, asset.pieces, asset.bytes).ok());
        let Some(list) = list else { return Ok(1) };
        let digests: Vec<_> = list.into_iter().map(|piece| piece.digest).collect();
        Ok(self.pieces.missing(&digests)?.into_iter().filter(|missing| *missing).count())
    }
}

/// Calls `each` for every piece of a job's files and for their lists of pieces. A list that is gone
/// or damaged has none.
///
/// # Errors
/// Those of the disk. A list that can't be read just now may name any piece, so none may be taken
/// for unneeded.
pub fn each_piece(
    blobs: &BlobStore,
    pieces: &PieceStore,
    manifest: Digest,
    mut each: impl FnMut(Digest),
) -> Result<(), MasterError> {
    let text = match std::fs::read(blobs.path(&manifest)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            tracing::error!(%manifest, "the list of a job's files can't be read: {error}");
            return Err(MasterError::Disk);
        }
        Ok(text) => text,
    };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { return Ok(()) };
    for asset in manifest.assets.iter().filter(|asset| asset.pieces > 0) {
        each(asset.digest);
        if asset.pieces > 1
            && let Some(record) = pieces.get(&asset.digest)?
            && let Ok(list) = record.open()
            && let Ok(list) = recipe::decode(&list, asset.pieces, asset.bytes)
        {
            list.iter().for_each(|piece| each(piece.digest));
        }
    }
    Ok(())
}

/// Reads a manifest and checks that it is safe.
fn read_manifest(blobs: &BlobStore, digest: Digest) -> Result<Manifest, MasterError> {
    let Some(bytes) = blobs.size(&digest) else { return Err(MasterError::MissingPieces(1)) };
    if bytes > MAX_MANIFEST_BYTES {
        return Err(invalid(&format!("it has {bytes} bytes")));
    }
    let text = std::fs::read(blobs.path(&digest)).map_err(|error| invalid(&error.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| invalid(&error.to_string()))?;
    manifest.check().map_err(Refusal::BadManifest)?;
    Ok(manifest)
}

fn invalid(why: &str) -> MasterError {
    MasterError::Invalid(format!("the job's list of files can't be used: {why}"))
}

/// The kind of a file by its name alone. Its content is Blender's business.
fn kind(manifest: &Manifest, asset: &Asset) -> &'static str {
    if asset.place == manifest.blend {
        return "scene";
    }
    let name = asset.place.rsplit('/').next().unwrap_or_default().to_lowercase();
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "blend" => "library",
        "png" | "jpg" | "jpeg" | "exr" | "hdr" | "tif" | "tiff" | "tga" | "bmp" | "webp" | "psd" | "dds" | "jp2"
        | "cin" | "dpx" | "sgi" | "rgb" => "image",
        "mp4" | "mov" | "avi" | "mkv" | "webm" | "mpg" | "mpeg" | "ogv" | "m4v" => "movie",
        "wav" | "mp3" | "flac" | "ogg" | "aac" | "aif" | "aiff" | "m4a" => "sound",
        "ttf" | "otf" | "ttc" | "pfb" | "woff" | "woff2" => "font",
        "vdb" => "volume",
        "abc" | "usd" | "usda" | "usdc" | "usdz" | "obj" | "ply" | "stl" => "geometry",
        "bphys" | "pc2" | "mdd" | "uni" | "blob" | "bobj" => "cache",
        "py" | "osl" | "oso" => "script",
        _ => "other",
    }
}
