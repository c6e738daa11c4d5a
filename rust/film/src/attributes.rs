//! A film's header as raw attributes: for copying it into another film, and for its texts.
//! `header.rs` has checked it before; this module only finds the attributes again.

use crate::error::FilmError;
use crate::layout::Layout;
use crate::source::read_at;
use std::collections::BTreeMap;
use std::fs::File;

/// Attribute of a sum: the samples it holds.
pub(crate) const SAMPLES: &str = "netrender.samples";
/// Attribute of a sum of tiles: the lines it holds.
pub(crate) const LINES: &str = "netrender.lines";
const STRING: &str = "string";

/// All headers of a file.
pub(crate) struct Attributes {
    /// The magic number and the version with its flags.
    start: [u8; 8],
    parts: Vec<Vec<Attribute>>,
}

struct Attribute {
    name: Vec<u8>,
    kind: Vec<u8>,
    value: Vec<u8>,
}

impl Attributes {
    pub(crate) fn read(file: &File, layout: &Layout) -> Result<Self, FilmError> {
        let mut bytes = vec![0; layout.header_bytes as usize];
        read_at(file, &mut bytes, 0)?;
        // `header.rs` found the header well-formed a moment ago.
        Self::parse(&bytes, layout).ok_or_else(|| FilmError::damaged("it changed while it was read"))
    }

    fn parse(bytes: &[u8], layout: &Layout) -> Option<Self> {
        let (start, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut parts = Vec::new();
        for _ in &layout.parts {
            let mut attributes = Vec::new();
            loop {
                let name = text(&mut rest)?;
                if name.is_empty() {
                    break;
                }
                let kind = text(&mut rest)?.to_vec();
                let (size, after) = rest.split_first_chunk::<4>()?;
                let (value, after) = after.split_at_checked(u32::from_le_bytes(*size) as usize)?;
                rest = after;
                attributes.push(Attribute { name: name.to_vec(), kind, value: value.to_vec() });
            }
            parts.push(attributes);
        }
        Some(Self { start: *start, parts })
    }

    /// The value of an attribute of the file's part `part`.
    pub(crate) fn value(&self, part: usize, name: &str) -> Option<&[u8]> {
        self.parts.get(part)?.iter().find(|found| found.name == name.as_bytes()).map(|found| found.value.as_slice())
    }

    /// The text of an attribute, from the first part that has it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let found = self.parts.iter().flatten().find(|found| found.name == name.as_bytes())?;
        (found.kind == STRING.as_bytes()).then(|| String::from_utf8_lossy(&found.value).into_owned())
    }

    /// All texts by name, each from the first part that has it.
    pub(crate) fn texts(&self) -> BTreeMap<String, String> {
        let texts = self.parts.iter().flatten().filter(|found| found.kind == STRING.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        texts.rev().map(|found| (text(&found.name), text(&found.value))).collect()
    }

    /// Changes the attribute's value in all parts that have it.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        for attribute in self.parts.iter_mut().flatten().filter(|found| found.name == name.as_bytes()) {
            attribute.value = value.to_vec();
        }
    }

    /// Changes the attribute's value in all parts that have it, to one value for each part.
    pub(crate) fn set_each(&mut self, name: &str, values: impl Iterator<Item = Vec<u8>>) {
        for (part, value) in self.parts.iter_mut().zip(values) {
            for attribute in part.iter_mut().filter(|found| found.name == name.as_bytes()) {
                attribute.value.clone_from(&value);
            }
        }
    }

    /// Sets a text in the first part and removes it from the others; `None` removes it everywhere.
    pub(crate) fn set_text(&mut self, name: &str, text: Option<String>) {
        for part in &mut self.parts {
            part.retain(|found| found.name != name.as_bytes());
        }
        if let (Some(part), Some(text)) = (self.parts.first_mut(), text) {
            part.push(Attribute { name: name.into(), kind: STRING.into(), value: text.into_bytes() });
        }
    }

    /// Sets the picture's size; its first line becomes 0.
    pub(crate) fn set_size(&mut self, width: u32, height: u32) {
        let corners = [0, 0, width.saturating_sub(1), height.saturating_sub(1)];
        let window: Vec<u8> = corners.iter().flat_map(|side| side.to_le_bytes()).collect();
        self.set("dataWindow", &window);
        self.set("displayWindow", &window);
    }

    /// Encodes the headers, up to the table of offsets. In a file of several parts an empty one
    /// ends them.
    pub(crate) fn to_bytes(&self, is_multi_part: bool) -> Vec<u8> {
        let mut bytes = self.start.to_vec();
        for part in &self.parts {
            for attribute in part {
                bytes.extend(&attribute.name);
                bytes.push(0);
                bytes.extend(&attribute.kind);
                bytes.push(0);
                bytes.extend((attribute.value.len() as u32).to_le_bytes());
                bytes.extend(&attribute.value);
            }
            bytes.push(0);
        }
        if is_multi_part {
            bytes.push(0);
        }
        bytes
    }
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = &rest[..end];
    *rest = &rest[end + 1..];
    Some(text)
}
