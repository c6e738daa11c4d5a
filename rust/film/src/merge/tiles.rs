//! Tiles: each line of the film is taken over, bit by bit, from the part it belongs to. Lines that no part has are black.

use super::error::{MergeError, PartError};
use super::part::Part;
use super::rules::Rule;
use super::stripe::{Block, Lines, Work, check_finite};
use std::ops::Range;

impl Work<'_> {
    /// Lines `first` to `first + lines`, in blocks of the merged film.
    pub(super) fn lay(&self, first: usize, lines: usize) -> Result<Vec<Block>, MergeError> {
        let mut blocks = self.empty_blocks(first, lines);
        for part in &self.parts {
            for share in part.coverage.shares() {
                // The merger took no lines beyond the picture's.
                let own = share.offset as usize..share.offset as usize + share.samples as usize;
                let here = own.start.max(first)..own.end.min(first + lines);
                if !here.is_empty() {
                    self.take_over(part, here, &mut blocks)
                        .map_err(|reason| MergeError::Part { part: part.coverage.clone(), reason })?;
                }
            }
        }
        Ok(blocks)
    }

    fn take_over(&self, part: &Part, lines: Range<usize>, blocks: &mut [Block]) -> Result<(), PartError> {
        // Blocks of a tile begin elsewhere than those of the film.
        let per_block = part.lines_per_block();
        let begin = (lines.start - part.top) / per_block * per_block;
        let count = lines.end - part.top - begin;
        let unpacked = (0..self.codecs.len()).map(|file_part| part.unpack(file_part, begin, count).map(Some));
        let blocks_of_part = unpacked.collect::<Result<_, _>>()?;
        let from = Lines { part, width: self.width, blocks: blocks_of_part };
        let mut row = vec![0.0; self.width];
        for channel in &self.plan.channels {
            for line in lines.clone() {
                let there = line - part.top - begin;
                if let Rule::Mean { .. } = channel.rule {
                    from.row(channel, there, &mut row);
                    check_finite(&row, &channel.name, line)?;
                }
                self.out(blocks, channel, line).copy_from_slice(from.bytes(channel, there));
            }
        }
        Ok(())
    }
}
