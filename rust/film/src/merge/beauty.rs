//! The picture of the merged film, kept in memory as its lines pass by, so that a preview needs no second reading. Showing it
//! is in `preview.rs`.

use super::stripe::{Block, Work};
use crate::film::{Channel, Film, Layer, Pass};
use crate::names;
use std::sync::{Mutex, PoisonError};

/// The picture of the merged film, kept as it passes by.
pub(super) struct Beauty {
    width: usize,
    height: usize,
    layer: String,
    pass: String,
    view: Option<String>,
    /// Names, and places in the plan.
    channels: Vec<(String, usize)>,
    planes: Mutex<Vec<Vec<f32>>>,
}

impl Beauty {
    pub(super) fn new(work: &Work) -> Option<Self> {
        let layout = &work.parts[0].layout;
        // A film of one pixel, in which each channel has its own number as its value.
        let numbered = names::paths(layout).enumerate().map(|(at, path)| (path, vec![at as f32]));
        let film = Film::assemble(1, 1, numbered);
        let pass = film.beauty()?;
        let layer = film.layers.iter().find(|layer| layer.passes.iter().any(|found| std::ptr::eq(found, pass)))?;
        let channels: Vec<_> =
            pass.channels.iter().map(|channel| (channel.name.clone(), channel.samples[0] as usize)).collect();
        Some(Self {
            width: work.width,
            height: work.height,
            layer: layer.name.clone(),
            pass: pass.name.clone(),
            view: pass.view.clone(),
            planes: Mutex::new(vec![vec![0.0; work.width * work.height]; channels.len()]),
            channels,
        })
    }

    pub(super) fn keep(&self, work: &Work, blocks: &[Block]) {
        let mut planes = self.planes.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, at), plane) in self.channels.iter().zip(planes.iter_mut()) {
            work.read_back(&work.plan.channels[*at], blocks, plane);
        }
    }

    pub(super) fn into_film(self) -> Film {
        let planes = self.planes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let channels =
            self.channels.into_iter().zip(planes).map(|((name, _), samples)| Channel { name, samples }).collect();
        let pass = Pass { name: self.pass, view: self.view, channels };
        Film {
            width: self.width as u32,
            height: self.height as u32,
            layers: vec![Layer { name: self.layer, passes: vec![pass] }],
        }
    }
}
