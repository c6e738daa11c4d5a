//! A frame's pixels as Blender means them: layers, passes, views, channels. Plain data, and the
//! choice of the pass that is the picture. Reading is in `read.rs`, showing in `preview.rs`.

use crate::layout::Layout;
use crate::names::{self, COMBINED, ChannelPath};

/// Layer of the compositor's result, in files that have one.
const COMPOSITE: &str = "Composite";

/// A frame's rendered pixels, scene linear.
#[derive(Clone, Debug, PartialEq)]
pub struct Film {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Layers in the order of the file.
    pub layers: Vec<Layer>,
}

/// The passes of one view layer, or of the compositor.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name, such as `ViewLayer`; empty for plain images.
    pub name: String,
    /// Passes in the order of the file; one for each stereo view.
    pub passes: Vec<Pass>,
}

/// One image of a layer, such as colour, depth or normals.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Name, such as `Combined` or `CryptoObject00`.
    pub name: String,
    /// Name of the stereo view (eye or camera), in films of several views.
    pub view: Option<String>,
    /// Channels in the order of the file, which is mostly alphabetical.
    pub channels: Vec<Channel>,
}

/// One number for each pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Name, such as `R` or `Z`.
    pub name: String,
    /// `width * height` numbers, row by row, the top row first. Halfs and integers are converted;
    /// floats keep their bits, which Cryptomatte needs.
    pub values: Vec<f32>,
}

impl Film {
    /// The pass to show: the compositor's if there is one, else the first layer's. Of several
    /// views, the first.
    pub fn beauty(&self) -> Option<&Pass> {
        self.beauty_of_layer().map(|(_, pass)| pass)
    }

    /// [`Film::beauty`] and the layer it is in.
    pub(crate) fn beauty_of_layer(&self) -> Option<(&Layer, &Pass)> {
        let combined = |layer: &'_ Layer| layer.passes.iter().position(Pass::is_picture);
        let composite = self.layers.iter().find(|layer| layer.name == COMPOSITE && combined(layer).is_some());
        let layer = composite.or_else(|| self.layers.iter().find(|layer| combined(layer).is_some()))?;
        Some((layer, layer.passes.iter().find(|pass| pass.is_picture())?))
    }

    /// The layers and passes of a file, with channels that have no pixels.
    pub(crate) fn outline(layout: &Layout) -> Self {
        Self::assemble(0, 0, names::paths(layout).map(|path| (path, Vec::new())))
    }

    /// Sorts channels into passes and layers, in the order of their first appearance.
    pub(crate) fn assemble(width: u32, height: u32, planes: impl Iterator<Item = (ChannelPath, Vec<f32>)>) -> Self {
        let mut film = Self { width, height, layers: Vec::new() };
        for (path, values) in planes {
            let layer = match film.layers.iter().position(|layer| layer.name == path.layer) {
                Some(at) => &mut film.layers[at],
                None => film.layers.push_mut(Layer { name: path.layer, passes: Vec::new() }),
            };
            let at = layer.passes.iter().position(|pass| pass.name == path.pass && pass.view == path.view);
            let pass = match at {
                Some(at) => &mut layer.passes[at],
                None => layer.passes.push_mut(Pass { name: path.pass, view: path.view, channels: Vec::new() }),
            };
            pass.channels.push(Channel { name: path.channel, values });
        }
        film
    }
}

impl Pass {
    /// The channel of that name, if the pass has it.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// True if the pass is a layer's colour and has the channels to show it.
    pub(crate) fn is_picture(&self) -> bool {
        self.name == COMBINED && self.colour().is_some()
    }

    /// Red, green and blue; for grey pictures the luminance three times.
    pub(crate) fn colour(&self) -> Option<[&Channel; 3]> {
        match (self.channel("R"), self.channel("G"), self.channel("B")) {
            (Some(red), Some(green), Some(blue)) => Some([red, green, blue]),
            _ => self.channel("Y").map(|grey| [grey; 3]),
        }
    }
}
