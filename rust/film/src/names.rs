//! The meaning of channel names in Blender: layer, pass, view and channel. Blender writes
//! `Layer.Pass.Channel`; with a view `Layer.Pass.view.Channel` in a file of one part, or the view
//! as the part's attribute; and plain images as `R`, `G`, `B`, `A`. Names are read from the right,
//! as Blender does (source/blender/imbuf/intern/openexr/openexr_api.cpp), because layers' names may
//! hold dots. No pixels here.

use crate::layout::{Layout, PartLayout};

/// Pass that holds a layer's colour.
pub(crate) const COMBINED: &str = "Combined";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelPath {
    pub(crate) layer: String,
    pub(crate) pass: String,
    pub(crate) view: Option<String>,
    pub(crate) channel: String,
}

/// Paths of all channels, in the order of parts and channels.
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
    // A view's name may hold dots, too; of two that fit, the longer one is meant.
    let without = |view: &String| {
        let before = rest.strip_suffix(view.as_str())?;
        before.strip_suffix('.').or(before.is_empty().then_some(""))
    };
    let named = views.iter().filter(|view| without(view).is_some()).max_by_key(|view| view.len());
    let (rest, view) = match (part_view, named) {
        (Some(view), _) => (rest, Some(view)),
        (None, Some(view)) => (without(view).unwrap_or(rest), Some(view.as_str())),
        // The first view's name is left out of channel names.
        (None, None) => (rest, views.first().map(String::as_str)),
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

/// A part's name without its view's name, if anything meaningful is left; Blender 5.0 appends
/// `-view` to it.
fn part_name(part: &PartLayout) -> Option<&str> {
    let name = part.header.name.as_str();
    let name = match &part.header.view {
        Some(view) if name == view => "",
        Some(view) => name.strip_suffix(view.as_str()).and_then(|name| name.strip_suffix('-')).unwrap_or(name),
        None => name,
    };
    // A dot makes it "Layer.Pass"; anything else is the free name of a plain picture.
    name.contains('.').then_some(name)
}
