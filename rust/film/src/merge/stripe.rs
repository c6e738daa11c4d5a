//! The arithmetic of a stripe: some lines of all parts in, the same lines of the merged film out.
//! Parts are unpacked once, one after the other, and summed up in f64; weights are whole numbers,
//! so the products are exact. No files are written here.

use super::cryptomatte::Ranks;
use super::error::{MergeError, PartError};
use super::frame::Cut;
use super::part::{Part, STRIPE_LINES};
use super::rules::{Plan, PlannedChannel, Rule};
use crate::layout::{PixelType, lines_per_chunk};
use crate::read::convert;
use exr::compression::Compression;
use exr::prelude::f16;

/// The inputs that all stripes of a film share.
pub(super) struct MergeSetup<'a> {
    pub(super) plan: &'a Plan,
    pub(super) cut: Cut,
    /// Sorted by their first sample or line.
    pub(super) parts: Vec<&'a Part>,
    pub(super) is_adaptive: bool,
    /// Codec of each of the merged file's parts.
    pub(super) codecs: Vec<Compression>,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A block of lines of the merged film, not packed yet.
pub(super) struct Block {
    /// Index of the file's part.
    pub(super) file_part: usize,
    pub(super) line: usize,
    pub(super) lines: usize,
    pub(super) bytes: Vec<u8>,
}

/// Buffers of one thread, reused for each stripe.
pub(super) struct Scratch {
    /// Sums of each channel that is summed up: its lines, one after the other.
    sums: Vec<Vec<f64>>,
    ranks: Vec<Ranks>,
    row: Vec<f32>,
    other_row: Vec<f32>,
    weights: Vec<f64>,
}

impl Scratch {
    pub(super) fn new(setup: &MergeSetup) -> Self {
        Self {
            sums: vec![Vec::new(); setup.plan.channels.len()],
            ranks: setup.plan.cryptomattes.iter().map(|_| Ranks::new()).collect(),
            row: vec![0.0; setup.width],
            other_row: vec![0.0; setup.width],
            weights: vec![0.0; setup.width],
        }
    }
}

/// Unpacked lines of one part: the blocks of each of the file's parts, if they are needed.
pub(super) struct Lines<'a> {
    pub(super) part: &'a Part,
    pub(super) width: usize,
    pub(super) blocks: Vec<Option<Vec<Vec<u8>>>>,
}

impl Lines<'_> {
    pub(super) fn bytes(&self, channel: &PlannedChannel, line: usize) -> &[u8] {
        let layout = &self.part.layout.parts[channel.file_part];
        let per_block = lines_per_chunk(layout.compression) as usize;
        let blocks = self.blocks[channel.file_part].as_ref().expect("it was unpacked, for the rule needs it");
        let line_bytes = self.width * layout.bytes_per_pixel as usize;
        let start = line % per_block * line_bytes + self.width * channel.before;
        &blocks[line / per_block][start..start + self.width * channel.kind.bytes()]
    }

    pub(super) fn row(&self, channel: &PlannedChannel, line: usize, row: &mut [f32]) {
        convert(self.bytes(channel, line), channel.kind, row);
    }
}

impl MergeSetup<'_> {
    /// The number of the film's first line in one of the file's parts.
    pub(super) fn top(&self, file_part: usize) -> i32 {
        if self.cut == Cut::Samples { self.parts[0].layout.parts[file_part].top } else { 0 }
    }

    /// Number of lines that are merged at a time.
    pub(super) fn stripe_lines(&self) -> usize {
        let codecs = self.codecs.iter().map(|codec| lines_per_chunk(*codec) as usize);
        // All numbers are powers of two, so the largest is a multiple of each.
        self.parts.iter().map(|part| part.lines_per_block()).chain(codecs).fold(STRIPE_LINES, usize::max)
    }

    /// The error for a faulty part.
    pub(super) fn blame(&self, part: &Part, reason: PartError) -> MergeError {
        MergeError::Part { unit: self.cut.unit(), part: part.coverage.clone(), reason }
    }

    /// Merges lines `first` to `first + lines` into blocks of the merged film.
    pub(super) fn merge(&self, scratch: &mut Scratch, first: usize, lines: usize) -> Result<Vec<Block>, MergeError> {
        for (sums, channel) in scratch.sums.iter_mut().zip(&self.plan.channels) {
            sums.clear();
            match channel.rule {
                Rule::First | Rule::Id { .. } | Rule::Coverage { .. } => {}
                _ => sums.resize(lines * self.width, 0.0),
            }
        }
        for ranks in &mut scratch.ranks {
            ranks.clear(lines * self.width);
        }
        let mut blocks = self.empty_blocks(first, lines);
        for (index, part) in self.parts.iter().enumerate() {
            let blame = |reason| self.blame(part, reason);
            let unpacked = self.unpack(index, first, lines).map_err(blame)?;
            if index == 0 {
                self.copy_firsts(&unpacked, &mut blocks, first, lines);
            }
            for at in 0..self.plan.channels.len() {
                self.add(scratch, &unpacked, at, first, lines).map_err(blame)?;
            }
        }
        self.write(scratch, &mut blocks, first, lines);
        Ok(blocks)
    }

    fn unpack(&self, index: usize, first: usize, lines: usize) -> Result<Lines<'_>, PartError> {
        let part = self.parts[index];
        let mut blocks = Vec::with_capacity(self.codecs.len());
        for file_part in 0..self.codecs.len() {
            let counts = |channel: &PlannedChannel| channel.file_part == file_part && part.weights[channel.layer] > 0;
            let is_needed = index == 0 || (self.plan.needs_later(file_part) && self.plan.channels.iter().any(counts));
            blocks.push(if is_needed { Some(part.unpack(file_part, first, lines)?) } else { None });
        }
        Ok(Lines { part, width: self.width, blocks })
    }

    /// Adds a part's channel to the sums.
    fn add(&self, scratch: &mut Scratch, from: &Lines, at: usize, first: usize, lines: usize) -> Result<(), PartError> {
        let channel = &self.plan.channels[at];
        let samples = from.part.weights[channel.layer];
        if samples == 0 || channel.rule == Rule::First {
            // A channel in which a part has no samples is noise, or black.
            return self.check_firsts(scratch, from, channel, first, lines);
        }
        let weight = f64::from(samples);
        let Scratch { sums, ranks, row, other_row, weights } = scratch;
        for line in 0..lines {
            let here = line * self.width..(line + 1) * self.width;
            let (source, name) = match channel.rule {
                Rule::Mean { of } => (&self.plan.channels[of], &self.plan.channels[of].name),
                // Ids are bits, not numbers: nothing to check, and they are read together with
                // their coverage.
                Rule::Id { .. } => return Ok(()),
                _ => (channel, &channel.name),
            };
            from.row(source, line, row);
            check_finite(row, name, first + line)?;
            let weighs = match (self.is_adaptive, channel.count) {
                (true, Some(count)) => {
                    from.row(&self.plan.channels[count], line, other_row);
                    for (out, part) in weights.iter_mut().zip(&*other_row) {
                        *out = f64::from(*part) * weight;
                    }
                    Some(&*weights)
                }
                _ => None,
            };
            match channel.rule {
                Rule::First | Rule::Id { .. } => {}
                Rule::Total => add_weighted(&mut sums[at][here], row, 1.0),
                Rule::Mean { .. } => match weighs {
                    Some(weights) => add_each(&mut sums[at][here], row, weights),
                    None => add_weighted(&mut sums[at][here], row, weight),
                },
                Rule::Light { colour } => {
                    from.row(&self.plan.channels[colour], line, other_row);
                    let sums = &mut sums[at][here];
                    for (index, (sum, (light, colour))) in sums.iter_mut().zip(row.iter().zip(&*other_row)).enumerate()
                    {
                        let weight = weighs.map_or(weight, |weights| weights[index]);
                        *sum += f64::from(*light) * f64::from(*colour) * weight;
                    }
                }
                Rule::SampleCount => {
                    self.check_count(row, channel, samples, first + line)?;
                    add_weighted(&mut sums[at][here], row, weight);
                }
                Rule::Coverage { cryptomatte, rank } => {
                    let (id, _) = self.plan.cryptomattes[cryptomatte].ranks[rank];
                    let ids = from.bytes(&self.plan.channels[id], line).as_chunks::<4>().0;
                    for (x, (id, coverage)) in ids.iter().zip(&*row).enumerate() {
                        let weight = weighs.map_or(weight, |weights| weights[x]);
                        let coverage = f64::from(*coverage) * weight;
                        ranks[cryptomatte].add(here.start + x, u32::from_ne_bytes(*id), coverage);
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks the passes that are copied from the first part: they must be finite, too.
    fn check_firsts(
        &self,
        scratch: &mut Scratch,
        from: &Lines,
        channel: &PlannedChannel,
        first: usize,
        lines: usize,
    ) -> Result<(), PartError> {
        let is_taken = channel.rule == Rule::First && std::ptr::eq(from.part, self.parts[0]);
        if is_taken && from.part.weights[channel.layer] > 0 {
            for line in 0..lines {
                from.row(channel, line, &mut scratch.row);
                check_finite(&scratch.row, &channel.name, first + line)?;
            }
        }
        Ok(())
    }

    fn check_count(&self, row: &[f32], channel: &PlannedChannel, samples: u32, y: usize) -> Result<(), PartError> {
        let fits = |value: f32| {
            let rendered = f64::from(value) * f64::from(samples);
            let slack = 1e-3_f64.max(f64::from(samples) * 2e-7);
            if self.is_adaptive {
                // A whole number of samples, at least one.
                rendered > 0.5 && value <= 1.0 + 1e-6 && (rendered - rendered.round()).abs() <= slack
            } else {
                (value - 1.0).abs() <= 1e-6
            }
        };
        match row.iter().position(|value| !fits(*value)) {
            None => Ok(()),
            Some(x) => Err(PartError::SampleCount { channel: channel.name.clone(), x, y, value: row[x], samples }),
        }
    }

    pub(super) fn empty_blocks(&self, first: usize, lines: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (file_part, codec) in self.codecs.iter().enumerate() {
            let per_block = lines_per_chunk(*codec) as usize;
            let pixel_bytes = self.parts[0].layout.parts[file_part].bytes_per_pixel as usize;
            for line in (first..first + lines).step_by(per_block) {
                let lines = per_block.min(self.height - line);
                blocks.push(Block { file_part, line, lines, bytes: vec![0; lines * self.width * pixel_bytes] });
            }
        }
        blocks
    }

    fn copy_firsts(&self, from: &Lines, blocks: &mut [Block], first: usize, lines: usize) {
        for channel in self.plan.channels.iter().filter(|channel| channel.rule == Rule::First) {
            for line in 0..lines {
                self.out(blocks, channel, first + line).copy_from_slice(from.bytes(channel, line));
            }
        }
    }

    /// The bytes of a channel's line in the blocks.
    pub(super) fn out<'a>(&self, blocks: &'a mut [Block], channel: &PlannedChannel, line: usize) -> &'a mut [u8] {
        let is_here = |block: &&mut Block| {
            block.file_part == channel.file_part && (block.line..block.line + block.lines).contains(&line)
        };
        let block = blocks.iter_mut().find(is_here).expect("the blocks have all lines of all parts");
        let pixel_bytes = self.parts[0].layout.parts[channel.file_part].bytes_per_pixel as usize;
        let start = (line - block.line) * self.width * pixel_bytes + self.width * channel.before;
        &mut block.bytes[start..start + self.width * channel.kind.bytes()]
    }

    /// Copies a channel of finished blocks into its place in a plane of the whole picture.
    pub(super) fn read_back(&self, channel: &PlannedChannel, blocks: &[Block], plane: &mut [f32]) {
        let pixel_bytes = self.parts[0].layout.parts[channel.file_part].bytes_per_pixel as usize;
        for block in blocks.iter().filter(|block| block.file_part == channel.file_part) {
            for (index, line) in block.bytes.chunks_exact(self.width * pixel_bytes).enumerate() {
                let samples = &line[self.width * channel.before..][..self.width * channel.kind.bytes()];
                convert(samples, channel.kind, &mut plane[(block.line + index) * self.width..][..self.width]);
            }
        }
    }

    fn write(&self, scratch: &mut Scratch, blocks: &mut [Block], first: usize, lines: usize) {
        let Scratch { sums, ranks, row, .. } = scratch;
        for (at, channel) in self.plan.channels.iter().enumerate() {
            let total: f64 = self.parts.iter().map(|part| f64::from(part.weights[channel.layer])).sum();
            for line in 0..lines {
                let here = line * self.width..(line + 1) * self.width;
                let weights = match (self.is_adaptive, channel.count) {
                    (true, Some(count)) => Some(&sums[count][here.clone()]),
                    _ => None,
                };
                match channel.rule {
                    Rule::First | Rule::Id { .. } | Rule::Coverage { .. } => break,
                    Rule::Total => divide_all(&sums[at][here], 1.0, row),
                    Rule::SampleCount => divide_all(&sums[at][here], total, row),
                    Rule::Mean { .. } => match weights {
                        Some(weights) => divide_each(&sums[at][here], weights, row),
                        None => divide_all(&sums[at][here], total, row),
                    },
                    Rule::Light { colour } => divide_each(&sums[at][here.clone()], &sums[colour][here], row),
                }
                store(row, channel.kind, self.out(blocks, channel, first + line));
            }
        }
        for (matte, ranks) in self.plan.cryptomattes.iter().zip(ranks) {
            self.write_ranks(matte.ranks.as_slice(), ranks, sums, blocks, (first, lines));
        }
    }

    fn write_ranks(
        &self,
        channels: &[(usize, usize)],
        ranks: &mut Ranks,
        sums: &[Vec<f64>],
        blocks: &mut [Block],
        (first, lines): (usize, usize),
    ) {
        let Some((any, _)) = channels.first() else { return };
        let any = &self.plan.channels[*any];
        let total: f64 = self.parts.iter().map(|part| f64::from(part.weights[any.layer])).sum();
        let mut rows = vec![(vec![0_u8; self.width * 4], vec![0.0_f32; self.width]); channels.len()];
        for line in 0..lines {
            for x in 0..self.width {
                let pixel = line * self.width + x;
                let total = if self.is_adaptive { any.count.map_or(total, |count| sums[count][pixel]) } else { total };
                let ranked = ranks.ranked(pixel);
                for (rank, (ids, coverages)) in rows.iter_mut().enumerate() {
                    let (id, coverage) = ranked.get(rank).copied().unwrap_or_default();
                    ids[x * 4..x * 4 + 4].copy_from_slice(&id.to_ne_bytes());
                    coverages[x] = if total > 0.0 { narrow(coverage / total) } else { 0.0 };
                }
            }
            for ((id, coverage), (ids, coverages)) in channels.iter().zip(&rows) {
                let [id, coverage] = [id, coverage].map(|at| &self.plan.channels[*at]);
                self.out(blocks, id, first + line).copy_from_slice(ids);
                store(coverages, coverage.kind, self.out(blocks, coverage, first + line));
            }
        }
    }
}

fn add_weighted(sums: &mut [f64], row: &[f32], weight: f64) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += f64::from(*value) * weight;
    }
}

fn add_each(sums: &mut [f64], row: &[f32], weights: &[f64]) {
    for ((sum, value), weight) in sums.iter_mut().zip(row).zip(weights) {
        *sum += f64::from(*value) * weight;
    }
}

fn divide_all(sums: &[f64], by: f64, row: &mut [f32]) {
    for (sum, out) in sums.iter().zip(row) {
        *out = if by > 0.0 { narrow(sum / by) } else { 0.0 };
    }
}

fn divide_each(sums: &[f64], by: &[f64], row: &mut [f32]) {
    for ((sum, by), out) in sums.iter().zip(by).zip(row) {
        *out = if *by == 0.0 { 0.0 } else { narrow(sum / by) };
    }
}

/// Clamps to the range of `f32`: a mean never leaves it, but a total or a quotient of odd colours
/// may.
fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

fn store(row: &[f32], kind: PixelType, out: &mut [u8]) {
    match kind {
        PixelType::Half => {
            for (value, out) in row.iter().zip(out.as_chunks_mut::<2>().0) {
                *out = f16::from_f32(value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32())).to_ne_bytes();
            }
        }
        PixelType::Float => {
            for (value, out) in row.iter().zip(out.as_chunks_mut::<4>().0) {
                *out = value.to_ne_bytes();
            }
        }
        PixelType::Uint => unreachable!("films with such channels have no plan"),
    }
}

pub(super) fn check_finite(row: &[f32], channel: &str, y: usize) -> Result<(), PartError> {
    const EXPONENT: u32 = 0x7f80_0000;
    // A loop without an early exit, so that the compiler can vectorise it.
    let is_any = row.iter().fold(false, |any, value| any | (value.to_bits() & EXPONENT == EXPONENT));
    match row.iter().position(|value| is_any && !value.is_finite()) {
        Some(x) => Err(PartError::NotFinite { channel: channel.to_owned(), x, y, value: row[x] }),
        None => Ok(()),
    }
}
