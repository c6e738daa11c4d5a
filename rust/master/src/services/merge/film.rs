//! The work of a merge: films of parts in, one film and its preview out. Blocks.

use super::shared_frame::SharedFrame;
use netrender_core::model::{
    cut::{Span, Unit},
    digest::Digest,
};
use netrender_film::{
    Film, FilmError, ViewTransform,
    merge::{self, Coverage, FrameSpec, MergeError, MergedFilm, Merger, Output},
    preview_jpeg,
};
use netrender_store::blobs::{BlobStore, digest_of_file};
use std::path::PathBuf;
use tempfile::TempPath;

/// Quality of JPEG previews, of 100.
const PREVIEW_QUALITY: u8 = 90;
/// Parts in one merge; more are first merged in groups of so many.
const AT_ONCE: usize = 200;

/// Purpose of a merge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A look at what is there.
    Preview,
    /// The frame's film.
    Final,
}

/// Merges what is there of a frame. Returns the film, in a temporary file, and its JPEG preview.
pub fn merge(
    blobs: &BlobStore,
    frame: &SharedFrame,
    purpose: Purpose,
) -> Result<(TempPath, Option<Vec<u8>>), MergeError> {
    if purpose == Purpose::Final {
        prove_before(blobs, frame)?;
    }
    let (film, merged) = merge_films(blobs, frame, purpose)?;
    let jpeg = merged.beauty.and_then(|beauty| preview(blobs, frame, &beauty));
    Ok((film, jpeg))
}

/// Proves the film that was merged before. Parts are minutes old, but it may have lain on the disk
/// for months.
fn prove_before(blobs: &BlobStore, frame: &SharedFrame) -> Result<(), MergeError> {
    let Some(before) = &frame.before else { return Ok(()) };
    let film = before.result.film;
    match digest_of_file(&blobs.path(&film)) {
        Ok(found) if found == film => Ok(()),
        _ => {
            // A damaged file must not be taken for the one that is made again.
            if let Err(error) = blobs.quarantine(&film) {
                tracing::error!(%film, "{error}");
            }
            let reason = FilmError::Damaged("it changed on the disk".into()).into();
            Err(MergeError::Part { unit: merge_unit(frame.spec.unit()), part: coverage(&before.spans), reason })
        }
    }
}

fn merge_unit(unit: Unit) -> merge::Unit {
    match unit {
        Unit::Samples => merge::Unit::Samples,
        Unit::Lines => merge::Unit::Lines,
    }
}

/// The farm's spans in the form of the merger, which knows nothing of the farm.
pub fn coverage(spans: &[Span]) -> Coverage {
    let each = spans.iter().map(|span| merge::Span { start: span.start, count: span.count });
    // The farm's own spans do not overlap.
    each.fold(Coverage::default(), |all, span| all.join(&Coverage::from(span)).unwrap_or(all))
}

fn merge_films(blobs: &BlobStore, frame: &SharedFrame, purpose: Purpose) -> Result<(TempPath, MergedFilm), MergeError> {
    let Some(plan) = &frame.spec.cut else { return Err(MergeError::Impossible("the job is not split".into())) };
    let picture = netrender_film::Expect { width: frame.spec.width, height: frame.spec.height };
    let mut expect = match plan.unit {
        Unit::Samples => FrameSpec::new(picture, frame.units),
        Unit::Lines => FrameSpec::tiles(picture, plan.overlap),
    };
    expect.layers.clone_from(&plan.layers);
    expect.is_subset = plan.is_subset;
    expect.can_grow = plan.can_grow_to >= frame.units;
    expect.frame = Some(frame.frame.0);
    let scratch = tempfile::tempdir_in(blobs.incoming_dir()).map_err(MergeError::Write)?;
    let before = frame.before.iter().map(|before| (blobs.path(&before.result.film), coverage(&before.spans)));
    let parts = frame.parts.iter().map(|part| (blobs.path(&part.result.film), coverage(&[part.share])));
    let mut films: Vec<(PathBuf, Coverage)> = before.chain(parts).collect();
    let output = Output { wants_beauty: true, ..Output::default() };
    let add = |films: &[(PathBuf, Coverage)]| {
        let mut merger = Merger::new(expect.clone())?;
        for (path, coverage) in films {
            merger.add(path, coverage.clone())?;
        }
        Ok::<_, MergeError>(merger)
    };
    while films.len() > AT_ONCE {
        let some: Vec<_> = films.drain(..AT_ONCE).collect();
        let sum = scratch.path().join(format!("{}.exr", films.len()));
        let merged = add(&some)?.sum(&sum, &output)?;
        films.push((sum, merged.coverage));
    }
    let merger = add(&films)?;
    let film = tempfile::Builder::new().suffix(".exr").tempfile_in(blobs.incoming_dir()).map_err(MergeError::Write)?;
    let film = film.into_temp_path();
    let merged = if purpose == Purpose::Final && merger.coverage().gaps(frame.units).is_empty() {
        merger.finish(&film, &output)?
    } else {
        // It is unfinished, or it was stopped: the film says which samples it has.
        merger.sum(&film, &output)?
    };
    Ok((film, merged))
}

fn preview(blobs: &BlobStore, frame: &SharedFrame, film: &Film) -> Option<Vec<u8>> {
    let views = frame.before.iter().map(|before| before.view).chain(frame.parts.iter().map(|part| part.view));
    let table = views.flatten().next().map(|view: Digest| blobs.path(&view));
    let view = table.and_then(|table| ViewTransform::from_png(&table).ok()).unwrap_or_else(ViewTransform::srgb);
    preview_jpeg(film, &view, PREVIEW_QUALITY)
        .inspect_err(|error| tracing::warn!(job = %frame.job, frame = %frame.frame, "no preview: {error}"))
        .ok()
}
