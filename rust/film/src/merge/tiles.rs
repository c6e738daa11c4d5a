//! Merges tiles: each line of the film is copied, bit by bit, from the part it belongs to. Lines
//! that no part has are black.

use super::error::{MergeError, PartError};
use super::part::Part;
use super::rules::Rule;
use super::stripe::{Block, Lines, MergeSetup, check_finite};
use std::ops::Range;

impl MergeSetup<'_> {
    /// Copies lines `first` to `first + lines` into blocks of the merged film.
    pub(super) fn copy_tiles(&self, first: usize, lines: usize) -> Result<Vec<Block>, MergeError> {
        let mut blocks = self.empty_blocks(first, lines);
        for part in &self.parts {
            for span in part.coverage.spans() {
                // The merger refuses lines beyond the picture's last.
                let own = span.start as usize..span.start as usize + span.count as usize;
                let here = own.start.max(first)..own.end.min(first + lines);
                if !here.is_empty() {
                    self.copy_lines(part, here, &mut blocks).map_err(|reason| self.blame(part, reason))?;
                }
            }
        }
        Ok(blocks)
    }

    fn copy_lines(&self, part: &Part, lines: Range<usize>, blocks: &mut [Block]) -> Result<(), PartError> {
        // A tile's blocks do not begin where the film's do.
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
