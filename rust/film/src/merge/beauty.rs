//! The beauty of the merged film, kept in memory while its lines are merged, so that a preview
//! needs no second reading. Showing it is in `preview.rs`.

use super::stripe::{Block, MergeSetup};
use crate::film::{Channel, Film, Layer, Pass};
use crate::names;
use parking_lot::Mutex;

/// The beauty of the merged film, filled block by block.
pub(super) struct Beauty {
    width: usize,
    height: usize,
    layer: String,
    pass: String,
    view: Option<String>,
    /// Names of the channels, and their indices in the plan.
    channels: Vec<(String, usize)>,
    planes: Mutex<Vec<Vec<f32>>>,
}

impl Beauty {
    pub(super) fn new(setup: &MergeSetup) -> Option<Self> {
        let layout = &setup.parts[0].layout;
        // A film of one pixel in which each channel's value is its own index.
        let numbered = names::paths(layout).enumerate().map(|(at, path)| (path, vec![at as f32]));
        let film = Film::assemble(1, 1, numbered);
        let pass = film.beauty()?;
        let layer = film.layers.iter().find(|layer| layer.passes.iter().any(|found| std::ptr::eq(found, pass)))?;
        let channels: Vec<_> =
            pass.channels.iter().map(|channel| (channel.name.clone(), channel.values[0] as usize)).collect();
        Some(Self {
            width: setup.width,
            height: setup.height,
            layer: layer.name.clone(),
            pass: pass.name.clone(),
            view: pass.view.clone(),
            planes: Mutex::new(vec![vec![0.0; setup.width * setup.height]; channels.len()]),
            channels,
        })
    }

    pub(super) fn keep(&self, setup: &MergeSetup, blocks: &[Block]) {
        let mut planes = self.planes.lock();
        for ((_, at), plane) in self.channels.iter().zip(planes.iter_mut()) {
            setup.read_back(&setup.plan.channels[*at], blocks, plane);
        }
    }

    pub(super) fn into_film(self) -> Film {
        let planes = self.planes.into_inner();
        let channels =
            self.channels.into_iter().zip(planes).map(|((name, _), values)| Channel { name, values }).collect();
        let pass = Pass { name: self.pass, view: self.view, channels };
        Film {
            width: self.width as u32,
            height: self.height as u32,
            layers: vec![Layer { name: self.layer, passes: vec![pass] }],
        }
    }
}
