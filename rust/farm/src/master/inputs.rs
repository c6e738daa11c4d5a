//! The files a job needs, as a list for people: where they are on the artist's machine, how large, of what kind, and
//! whether the master has them whole.

use super::{
    error::MasterError,
    http::{App, Asked, At, OfJob, blocking},
    intake::read_manifest,
};
use crate::pieces::{PieceError, PieceStore};
use axum::{Json, extract::State};
use netrender_core::{
    manifest::{Asset, Manifest},
    recipe,
    wire::{FileView, FilesView},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Files in one answer when nothing is said, and at most.
const FILES: usize = 1_000;
const MAX_FILES: usize = 10_000;

/// What part of the list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// How many files come before.
    #[serde(default)]
    skip: usize,
    /// How many at most; 1,000 without it.
    limit: Option<usize>,
}

/// The files a job needs, and what of them is missing.
#[utoipa::path(
    get, path = "/jobs/{job}/files", tag = "jobs",
    params(OfJob, Part),
    responses((status = OK, body = FilesView)),
)]
pub(super) async fn files(
    State(app): State<App>,
    At(OfJob { job }): At<OfJob>,
    Asked(Part { skip, limit }): Asked<Part>,
) -> Result<Json<FilesView>, MasterError> {
    let digest = app.owner.job(job, |_, job| job.spec.manifest).await?;
    let limit = limit.unwrap_or(FILES).min(MAX_FILES);
    let list = blocking(move || {
        let manifest = read_manifest(&app.blobs, digest)?;
        let missing = manifest.assets.iter().map(|asset| missing_pieces(&app.pieces, asset));
        let missing = missing.collect::<Result<Vec<_>, _>>()?;
        let all = manifest.assets.iter().zip(&missing);
        let view = |(asset, missing): (&Asset, &usize)| FileView {
            path: asset.source.clone(),
            bytes: asset.bytes,
            kind: kind(&manifest, asset).to_owned(),
            missing_pieces: *missing,
        };
        Ok::<_, MasterError>(FilesView {
            files: all.skip(skip).take(limit).map(view).collect(),
            total: manifest.assets.len(),
            bytes: manifest.assets.iter().map(|asset| asset.bytes).fold(0, u64::saturating_add),
            missing: missing.iter().filter(|missing| **missing > 0).count(),
        })
    });
    list.await?.map(Json)
}

/// How many pieces of a file are not here. Without the list of them it is that list.
fn missing_pieces(pieces: &PieceStore, asset: &Asset) -> Result<usize, PieceError> {
    if asset.pieces == 0 {
        return Ok(0);
    }
    if asset.pieces == 1 {
        return Ok(usize::from(pieces.size(&asset.digest)?.is_none()));
    }
    let Some(record) = pieces.get(&asset.digest)? else { return Ok(1) };
    let Some(list) = record.open().ok().and_then(|list| recipe::decode(&list, asset.pieces, asset.bytes).ok()) else {
        return Ok(1);
    };
    let digests: Vec<_> = list.into_iter().map(|piece| piece.digest).collect();
    Ok(pieces.missing(&digests)?.into_iter().filter(|missing| *missing).count())
}

/// By the name alone: what is inside is Blender's business.
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
