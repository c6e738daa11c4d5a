//! The arithmetic: some lines of all parts in, the same lines of the merged film out. Every part is unpacked once, one
//! after the other, and summed up in f64; weights are whole numbers, so the products are exact. No files are written here.

use super::cryptomatte::Ranks;
use super::error::{MergeError, PartError};
use super::part::Part;
use super::rules::{Plan, PlannedChannel, Rule};
use super::{Cut, STRIPE_LINES};
use crate::header::{SampleKind, lines_per_chunk};
use crate::read::convert;
use exr::compression::Compression;
use exr::prelude::f16;

/// What all stripes of a film have in common.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) cut: Cut,
    /// The one with the first sample first.
    pub(super) parts: Vec<&'a Part>,
    pub(super) is_adaptive: bool,
    /// Codecs of the merged film, for each of the file's parts.
    pub(super) codecs: Vec<Compression>,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A block of lines of the merged film, not packed yet.
pub(super) struct Block {
    pub(super) part: usize,
    pub(super) line: usize,
    pub(super) lines: usize,
    pub(super) bytes: Vec<u8>,
}

/// What one thread needs, again and again.
pub(super) struct Desk {
    /// For each channel that is a sum: its lines, one after the other.
    sums: Vec<Vec<f64>>,
    ranks: Vec<Ranks>,
    row: Vec<f32>,
    other_row: Vec<f32>,
    weights: Vec<f64>,
}

impl Desk {
    pub(super) fn new(work: &Work) -> Self {
        Self {
            sums: vec![Vec::new(); work.plan.channels.len()],
            ranks: work.plan.cryptomattes.iter().map(|_| Ranks::new()).collect(),
            row: vec![0.0; work.width],
            other_row: vec![0.0; work.width],
            weights: vec![0.0; work.width],
        }
    }
}

/// Lines of one part, unpacked: for each of the file's parts its blocks, if they are needed.
pub(super) struct Lines<'a> {
    pub(super) part: &'a Part,
    pub(super) width: usize,
    pub(super) blocks: Vec<Option<Vec<Vec<u8>>>>,
}

impl Lines<'_> {
    pub(super) fn bytes(&self, channel: &PlannedChannel, line: usize) -> &[u8] {
        let layout = &self.part.layout.parts[channel.part];
        let per_block = lines_per_chunk(layout.compression) as usize;
        let blocks = self.blocks[channel.part].as_ref().expect("it was unpacked, for the rule needs it");
        let line_bytes = self.width * layout.bytes_per_pixel as usize;
        let start = line % per_block * line_bytes + self.width * channel.before;
        &blocks[line / per_block][start..start + self.width * channel.kind.bytes()]
    }

    pub(super) fn row(&self, channel: &PlannedChannel, line: usize, row: &mut [f32]) {
        convert(self.bytes(channel, line), channel.kind, row);
    }
}

impl Work<'_> {
    /// The number of the film's first line, in one of the file's parts.
    pub(super) fn top(&self, part: usize) -> i32 {
        if self.cut == Cut::Samples { self.parts[0].layout.parts[part].top } else { 0 }
    }

    /// How many lines are merged at a time.
    pub(super) fn stripe_lines(&self) -> usize {
        let codecs = self.codecs.iter().map(|codec| lines_per_chunk(*codec) as usize);
        // All of them are powers of two, so the largest is a multiple of each.
        self.parts.iter().map(|part| part.lines_per_block()).chain(codecs).fold(STRIPE_LINES, usize::max)
    }

    /// Lines `first` to `first + lines`, in blocks of the merged film.
    pub(super) fn merge(&self, desk: &mut Desk, first: usize, lines: usize) -> Result<Vec<Block>, MergeError> {
        for (sums, channel) in desk.sums.iter_mut().zip(&self.plan.channels) {
            sums.clear();
            match channel.rule {
                Rule::First | Rule::Id { .. } | Rule::Coverage { .. } => {}
                _ => sums.resize(lines * self.width, 0.0),
            }
        }
        for ranks in &mut desk.ranks {
            ranks.clear(lines * self.width);
        }
        let mut blocks = self.empty_blocks(first, lines);
        for (index, part) in self.parts.iter().enumerate() {
            let blame = |reason| MergeError::Part { part: part.coverage.clone(), reason };
            let unpacked = self.unpack(index, first, lines).map_err(blame)?;
            if index == 0 {
                self.copy_firsts(&unpacked, &mut blocks, first, lines);
            }
            for at in 0..self.plan.channels.len() {
                self.add(desk, &unpacked, at, first, lines).map_err(blame)?;
            }
        }
        self.write(desk, &mut blocks, first, lines);
        Ok(blocks)
    }

    fn unpack(&self, index: usize, first: usize, lines: usize) -> Result<Lines<'_>, PartError> {
        let part = self.parts[index];
        let mut blocks = Vec::with_capacity(self.codecs.len());
        for file_part in 0..self.codecs.len() {
            let counts = |channel: &PlannedChannel| channel.part == file_part && part.weights[channel.layer] > 0;
            let is_needed = index == 0 || (self.plan.needs_later(file_part) && self.plan.channels.iter().any(counts));
            blocks.push(if is_needed { Some(part.unpack(file_part, first, lines)?) } else { None });
        }
        Ok(Lines { part, width: self.width, blocks })
    }

    /// Adds a channel of a part to the sums.
    fn add(&self, desk: &mut Desk, from: &Lines, at: usize, first: usize, lines: usize) -> Result<(), PartError> {
        let channel = &self.plan.channels[at];
        let samples = from.part.weights[channel.layer];
        if samples == 0 || channel.rule == Rule::First {
            // What a part has no samples in is noise, or black.
            return self.check_firsts(desk, from, channel, first, lines);
        }
        let weight = f64::from(samples);
        let Desk { sums, ranks, row, other_row, weights } = desk;
        for line in 0..lines {
            let here = line * self.width..(line + 1) * self.width;
            let (source, name) = match channel.rule {
                Rule::Mean { of } => (&self.plan.channels[of], &self.plan.channels[of].name),
                // Bits that mean no number: nothing to check, and they are read beside their coverage.
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

    /// First-part passes of the first part are taken over, so they must be numbers, too.
    fn check_firsts(
        &self,
        desk: &mut Desk,
        from: &Lines,
        channel: &PlannedChannel,
        first: usize,
        lines: usize,
    ) -> Result<(), PartError> {
        let is_taken = channel.rule == Rule::First && std::ptr::eq(from.part, self.parts[0]);
        if is_taken && from.part.weights[channel.layer] > 0 {
            for line in 0..lines {
                from.row(channel, line, &mut desk.row);
                check_finite(&desk.row, &channel.name, first + line)?;
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
        for (part, codec) in self.codecs.iter().enumerate() {
            let per_block = lines_per_chunk(*codec) as usize;
            let pixel_bytes = self.parts[0].layout.parts[part].bytes_per_pixel as usize;
            for line in (first..first + lines).step_by(per_block) {
                let lines = per_block.min(self.height - line);
                blocks.push(Block { part, line, lines, bytes: vec![0; lines * self.width * pixel_bytes] });
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

    /// The place of a channel's line in the blocks.
    pub(super) fn out<'a>(&self, blocks: &'a mut [Block], channel: &PlannedChannel, line: usize) -> &'a mut [u8] {
        let is_here =
            |block: &&mut Block| block.part == channel.part && (block.line..block.line + block.lines).contains(&line);
        let block = blocks.iter_mut().find(is_here).expect("the blocks have all lines of all parts");
        let pixel_bytes = self.parts[0].layout.parts[channel.part].bytes_per_pixel as usize;
        let start = (line - block.line) * self.width * pixel_bytes + self.width * channel.before;
        &mut block.bytes[start..start + self.width * channel.kind.bytes()]
    }

    /// A channel of finished blocks, into its place in a whole plane.
    pub(super) fn read_back(&self, channel: &PlannedChannel, blocks: &[Block], plane: &mut [f32]) {
        let pixel_bytes = self.parts[0].layout.parts[channel.part].bytes_per_pixel as usize;
        for block in blocks.iter().filter(|block| block.part == channel.part) {
            for (index, line) in block.bytes.chunks_exact(self.width * pixel_bytes).enumerate() {
                let samples = &line[self.width * channel.before..][..self.width * channel.kind.bytes()];
                convert(samples, channel.kind, &mut plane[(block.line + index) * self.width..][..self.width]);
            }
        }
    }

    fn write(&self, desk: &mut Desk, blocks: &mut [Block], first: usize, lines: usize) {
        let Desk { sums, ranks, row, .. } = desk;
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

/// A mean is within the range of its values, but a total or a quotient of odd colours need not be.
fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

fn store(row: &[f32], kind: SampleKind, out: &mut [u8]) {
    match kind {
        SampleKind::Half => {
            for (value, out) in row.iter().zip(out.as_chunks_mut::<2>().0) {
                *out = f16::from_f32(value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32())).to_ne_bytes();
            }
        }
        SampleKind::Float => {
            for (value, out) in row.iter().zip(out.as_chunks_mut::<4>().0) {
                *out = value.to_ne_bytes();
            }
        }
        SampleKind::Uint => unreachable!("films with such channels have no plan"),
    }
}

pub(super) fn check_finite(row: &[f32], channel: &str, y: usize) -> Result<(), PartError> {
    const EXPONENT: u32 = 0x7f80_0000;
    // Without a way out of the loop, so that it looks at many at a time.
    let is_any = row.iter().fold(false, |any, value| any | (value.to_bits() & EXPONENT == EXPONENT));
    match row.iter().position(|value| is_any && !value.is_finite()) {
        Some(x) => Err(PartError::NotFinite { channel: channel.to_owned(), x, y, value: row[x] }),
        None => Ok(()),
    }
}
