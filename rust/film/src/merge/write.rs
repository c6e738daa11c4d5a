//! The file of the merged film: the header of the first part, then blocks in order, whichever
//! thread packed them. It is written under a temporary name in the same folder, so that a film
//! under its name is whole. No arithmetic here.

use super::error::MergeError;
use super::stripe::{Block, MergeSetup};
use crate::attributes::Attributes;
use crate::layout::lines_per_chunk;
use crate::zip::Packer;
use exr::compression::Compression;
use exr::math::Vec2;
use exr::meta::BlockDescription;
use exr::meta::attribute::{IntegerBounds, LineOrder};
use exr::meta::header::Header as ExrHeader;
use parking_lot::{Condvar, Mutex};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tempfile::NamedTempFile;

/// Codecs of OpenEXR, by Blender's names. PXR24, B44, B44A, DWAA and DWAB lose the bits that
/// Cryptomatte needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are Blender's names")]
pub enum Codec {
    None,
    Rle,
    Zips,
    Zip,
    Piz,
    Pxr24,
    B44,
    B44a,
    Dwaa,
    Dwab,
}

impl Codec {
    pub(super) fn compression(self) -> Compression {
        match self {
            Self::None => Compression::Uncompressed,
            Self::Rle => Compression::RLE,
            Self::Zips => Compression::ZIP1,
            Self::Zip => Compression::ZIP16,
            Self::Piz => Compression::PIZ,
            Self::Pxr24 => Compression::PXR24,
            Self::B44 => Compression::B44,
            Self::B44a => Compression::B44A,
            Self::Dwaa => Compression::DWAA(None),
            Self::Dwab => Compression::DWAB(None),
        }
    }

    fn number(self) -> u8 {
        self as u8
    }
}

/// Packs blocks; each thread has its own.
pub(super) struct BlockPacker {
    zip: Packer,
    headers: Vec<ExrHeader>,
}

impl BlockPacker {
    pub(super) fn new(setup: &MergeSetup) -> Self {
        let first = setup.parts[0];
        let headers = first.metadata.headers.iter().zip(&setup.codecs).map(|(header, codec)| {
            let header = header.clone().with_encoding(*codec, BlockDescription::ScanLines, LineOrder::Increasing);
            ExrHeader { layer_size: Vec2(setup.width, setup.height), ..header }
        });
        Self { zip: Packer::new(), headers: headers.collect() }
    }

    pub(super) fn pack(&mut self, setup: &MergeSetup, block: &mut Block) -> Result<(), MergeError> {
        let bytes = std::mem::take(&mut block.bytes);
        block.bytes = match setup.codecs[block.file_part] {
            Compression::Uncompressed if cfg!(target_endian = "little") => bytes,
            Compression::ZIP1 | Compression::ZIP16 if cfg!(target_endian = "little") => self.zip.pack(bytes),
            codec => {
                let header = &self.headers[block.file_part];
                let top = setup.top(block.file_part) + block.line as i32;
                let place = IntegerBounds::new((0, top), (setup.width, block.lines));
                // The exr crate's codecs hold asserts in packing, too.
                catch_unwind(AssertUnwindSafe(|| codec.compress_image_section_to_le(header, bytes, place)))
                    .map_err(|_| MergeError::Pack("its codec gave up".into()))?
                    .map_err(|error| MergeError::Pack(error.to_string()))?
            }
        };
        Ok(())
    }
}

/// Takes packed stripes from many threads and writes them in order.
pub(super) struct Sink {
    state: Mutex<State>,
    turn: Condvar,
}

struct State {
    file: BufWriter<NamedTempFile>,
    position: u64,
    /// Offsets of the blocks of each of the file's parts.
    tables: Vec<Vec<u64>>,
    /// Index of the stripe to write next.
    next: usize,
    failed: Option<MergeError>,
}

impl Sink {
    /// Starts the file with its header. Sets the codec in it, and the attributes that depend on it.
    pub(super) fn new(
        to: &Path,
        mut attributes: Attributes,
        codec: Option<Codec>,
        setup: &MergeSetup,
    ) -> Result<Self, MergeError> {
        if let Some(codec) = codec {
            attributes.set("compression", &[codec.number()]);
        }
        let counts = setup.codecs.iter().map(|codec| setup.height.div_ceil(lines_per_chunk(*codec) as usize));
        let counts: Vec<usize> = counts.collect();
        attributes.set_each("chunkCount", counts.iter().map(|count| (*count as u32).to_le_bytes().to_vec()));
        attributes.set("lineOrder", &[0]);
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut name = tempfile::Builder::new();
        #[cfg(unix)]
        name.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any file
        let mut file = BufWriter::with_capacity(1 << 20, name.prefix(".merge-").tempfile_in(folder)?);
        let bytes = attributes.to_bytes(setup.parts[0].layout.is_multi_part);
        file.write_all(&bytes)?;
        let tables: Vec<Vec<u64>> = counts.into_iter().map(|count| vec![0; count]).collect();
        let state = State { position: bytes.len() as u64, file, tables, next: 0, failed: None };
        let sink = Self { state: Mutex::new(state), turn: Condvar::new() };
        sink.state.lock().write_tables()?;
        Ok(sink)
    }

    /// True if the merge has failed, so that further work is useless.
    pub(super) fn has_failed(&self) -> bool {
        self.state.lock().failed.is_some()
    }

    /// Records a failure; only the first one is reported.
    pub(super) fn fail(&self, error: MergeError) {
        self.state.lock().failed.get_or_insert(error);
        self.turn.notify_all();
    }

    /// Waits for the stripe's turn and writes it.
    pub(super) fn put(&self, stripe: usize, blocks: &[Block], setup: &MergeSetup) {
        let mut state = self.state.lock();
        self.turn.wait_while(&mut state, |state| state.next != stripe && state.failed.is_none());
        if state.failed.is_none() {
            if let Err(error) = blocks.iter().try_for_each(|block| state.write(block, setup)) {
                state.failed = Some(error.into());
            }
            state.next += 1;
        }
        self.turn.notify_all();
    }

    /// Renames the file to its final name, unless something failed.
    pub(super) fn finish(self, to: &Path) -> Result<(), MergeError> {
        let mut state = self.state.into_inner();
        if let Some(error) = state.failed {
            return Err(error);
        }
        let table_bytes: u64 = state.tables.iter().map(|table| table.len() as u64 * 8).sum();
        let first = state.tables.iter().flatten().min().copied().unwrap_or(table_bytes);
        state.file.seek(SeekFrom::Start(first - table_bytes))?;
        state.write_tables()?;
        let file = state.file.into_inner().map_err(|error| error.into_error())?;
        file.persist(to).map_err(|error| error.error)?;
        Ok(())
    }
}

impl State {
    fn write_tables(&mut self) -> std::io::Result<()> {
        for offset in self.tables.iter().flatten() {
            self.file.write_all(&offset.to_le_bytes())?;
            self.position += 8;
        }
        Ok(())
    }

    fn write(&mut self, block: &Block, setup: &MergeSetup) -> std::io::Result<()> {
        let per_block = lines_per_chunk(setup.codecs[block.file_part]) as usize;
        self.tables[block.file_part][block.line / per_block] = self.position;
        let layout = &setup.parts[0].layout;
        let mut head = Vec::with_capacity(12);
        if layout.is_multi_part {
            head.extend((block.file_part as u32).to_le_bytes());
        }
        head.extend((setup.top(block.file_part) + block.line as i32).to_le_bytes());
        head.extend((block.bytes.len() as u32).to_le_bytes());
        self.file.write_all(&head)?;
        self.file.write_all(&block.bytes)?;
        self.position += (head.len() + block.bytes.len()) as u64;
        Ok(())
    }
}
