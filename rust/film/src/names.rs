//! What channel names mean to Blender: layer, pass, view and channel. Blender writes `Layer.Pass.Channel`, with a view
//! `Layer.Pass.view.Channel` in one part or the view as the part's attribute, and plain images as `R`, `G`, `B`, `A`.
//! Read from the right, as Blender does (source/blender/imbuf/intern/openexr/openexr_api.cpp), for layers' names may
//! hold dots. Nothing here touches pixels.

use crate::film::{Film, Pass};
use crate::header::{Layout, PartLayout};

/// The pass every picture is in.
pub(crate) const COMBINED: &str = "Combined";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelPath {
    pub(crate) layer: String,
    pub(crate) pass: String,
    pub(crate) view: Option<String>,
    pub(crate) channel: String,
}

/// The paths of all channels, in the order of parts and channels.
pub(crate) fn paths(layout: &Layout) -> impl Iterator<Item = ChannelPath> {
    layout
        .parts
        .iter()
        .flat_map(|part| part.header.channels.iter().map(|channel| path(&channel.name, part, &layout.views)))
}

fn path(name: &str, part: &PartLayout, views: &[String]) -> ChannelPath {
    let part_view = part.header.view.as_deref();
    let full = match part_name(part) {
        Some(prefix) if !name.contains('.') => format!("{prefix}.{name}"),
        _ => name.to_owned(),
    };
    let (rest, channel) = full.rsplit_once('.').unwrap_or(("", &full));
    let (rest, view) = match (part_view, rest.rsplit_once('.').unwrap_or(("", rest))) {
        (Some(view), _) => (rest, Some(view)),
        (None, (before, last)) if views.iter().any(|view| view == last) => (before, Some(last)),
        // The first view is the one whose name is left out.
        (None, _) => (rest, views.first().map(String::as_str)),
    };
    let (layer, pass) = match rest.rsplit_once('.') {
        Some((layer, pass)) => (layer, pass),
        None if !rest.is_empty() => ("", rest),
        None => match channel {
            "R" | "G" | "B" | "A" | "Y" => ("", COMBINED),
            "Z" => ("", "Depth"),
            other => ("", other),
        },
    };
    ChannelPath { layer: layer.into(), pass: pass.into(), view: view.map(Into::into), channel: channel.into() }
}

/// A part's name where it says more than its view; Blender 5.0 appends `-view` to it.
fn part_name(part: &PartLayout) -> Option<&str> {
    let name = part.header.name.as_str();
    let name = match &part.header.view {
        Some(view) if name == view => "",
        Some(view) => name.strip_suffix(view.as_str()).and_then(|name| name.strip_suffix('-')).unwrap_or(name),
        None => name,
    };
    // A dot makes it "Layer.Pass"; anything else is a name somebody gave to a plain picture.
    name.contains('.').then_some(name)
}

/// Whether any layer has a picture.
pub(crate) fn has_colour(layout: &Layout) -> bool {
    let planes = paths(layout).map(|path| (path, Vec::new()));
    let film = Film::assemble(0, 0, planes);
    film.layers.iter().flat_map(|layer| &layer.passes).any(Pass::is_picture)
}
