//! A frame's pixels as Blender means them: layers, passes, views, channels. Plain data, and the one question everybody
//! asks of it: which of all these is the picture. Reading is in `read.rs`, showing in `preview.rs`.

use crate::names::{COMBINED, ChannelPath};

/// The compositor's result, in files which have one.
const COMPOSITE: &str = "Composite";

/// A frame's pixels, linear, as rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Film {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// In the order of the file.
    pub layers: Vec<Layer>,
}

/// What one view layer rendered, or the compositor.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Such as `ViewLayer`; empty for plain images.
    pub name: String,
    /// In the order of the file; one for each view.
    pub passes: Vec<Pass>,
}

/// One picture of a layer: colour, depth, normals.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Such as `Combined` or `CryptoObject00`.
    pub name: String,
    /// Which eye or camera, in films of several views.
    pub view: Option<String>,
    /// In the order of the file, which is mostly the alphabet's.
    pub channels: Vec<Channel>,
}

/// One number for each pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Such as `R` or `Z`.
    pub name: String,
    /// `width * height` of them, row by row, the top row first. Halfs and integers are converted; floats keep their
    /// bits, which Cryptomatte needs.
    pub samples: Vec<f32>,
}

impl Film {
    /// The picture to look at: the compositor's if there is one, else the first layer's. Of several views, the first.
    pub fn beauty(&self) -> Option<&Pass> {
        self.beauty_of_layer().map(|(_, pass)| pass)
    }

    /// The same, and whose it is.
    pub(crate) fn beauty_of_layer(&self) -> Option<(&Layer, &Pass)> {
        let combined = |layer: &'_ Layer| layer.passes.iter().position(Pass::is_picture);
        let composite = self.layers.iter().find(|layer| layer.name == COMPOSITE && combined(layer).is_some());
        let layer = composite.or_else(|| self.layers.iter().find(|layer| combined(layer).is_some()))?;
        Some((layer, layer.passes.iter().find(|pass| pass.is_picture())?))
    }

    /// Sorts channels into passes and layers, in the order of their first appearance.
    pub(crate) fn assemble(width: u32, height: u32, planes: impl Iterator<Item = (ChannelPath, Vec<f32>)>) -> Self {
        let mut film = Self { width, height, layers: Vec::new() };
        for (path, samples) in planes {
            let layer = match film.layers.iter().position(|layer| layer.name == path.layer) {
                Some(at) => &mut film.layers[at],
                None => film.layers.push_mut(Layer { name: path.layer, passes: Vec::new() }),
            };
            let at = layer.passes.iter().position(|pass| pass.name == path.pass && pass.view == path.view);
            let pass = match at {
                Some(at) => &mut layer.passes[at],
                None => layer.passes.push_mut(Pass { name: path.pass, view: path.view, channels: Vec::new() }),
            };
            pass.channels.push(Channel { name: path.channel, samples });
        }
        film
    }
}

impl Pass {
    /// The channel of that name, if the pass has it.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// Whether it is the colour of a layer, with enough channels to show.
    pub(crate) fn is_picture(&self) -> bool {
        self.name == COMBINED && self.colour().is_some()
    }

    /// Red, green and blue; thrice the luminance for grey pictures.
    pub(crate) fn colour(&self) -> Option<[&Channel; 3]> {
        match (self.channel("R"), self.channel("G"), self.channel("B")) {
            (Some(red), Some(green), Some(blue)) => Some([red, green, blue]),
            _ => self.channel("Y").map(|grey| [grey; 3]),
        }
    }
}
