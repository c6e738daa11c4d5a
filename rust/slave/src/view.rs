//! The view transform that previews are made with.

use netrender_film::ViewTransform;
use std::{path::Path, sync::LazyLock};

/// A job's view transform, read when its first preview needs it.
pub type View = LazyLock<ViewTransform, Box<dyn FnOnce() -> ViewTransform + Send>>;

/// The view transform that the worker baked into the file `table`, or plain sRGB if there is none.
pub fn view(table: Option<String>) -> View {
    LazyLock::new(Box::new(move || {
        let Some(path) = table else { return ViewTransform::srgb() };
        ViewTransform::from_png(Path::new(&path)).unwrap_or_else(|error| {
            tracing::warn!(%error, "the view transform's table can't be read");
            ViewTransform::srgb()
        })
    }))
}
