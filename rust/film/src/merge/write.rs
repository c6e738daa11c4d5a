//! The merged film as a file: the header of the first part, then blocks in order, whichever thread packed them. Written
//! under another name beside its own, so that a film with its name is whole. No arithmetic here.

use super::attributes::Attributes;
use super::error::MergeError;
use super::stripe::{Block, Work};
use crate::header::lines_per_chunk;
use crate::zip::Packer;
use exr::compression::Compression;
use exr::math::Vec2;
use exr::meta::BlockDescription;
use exr::meta::attribute::{IntegerBounds, LineOrder};
use exr::meta::header::Header as ExrHeader;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// Codecs of OpenEXR, by Blender's names. PXR24, B44, B44A, DWAA and DWAB lose what Cryptomatte needs.
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

/// Packs blocks; one for each thread.
pub(super) struct Press {
    zip: Packer,
    headers: Vec<ExrHeader>,
}

impl Press {
    pub(super) fn new(work: &Work) -> Self {
        let first = work.parts[0];
        let headers = first.metadata.headers.iter().zip(&work.codecs).map(|(header, codec)| {
            let header = header.clone().with_encoding(*codec, BlockDescription::ScanLines, LineOrder::Increasing);
            ExrHeader { layer_size: Vec2(work.width, work.height), ..header }
        });
        Self { zip: Packer::new(), headers: headers.collect() }
    }

    pub(super) fn pack(&mut self, work: &Work, block: &mut Block) -> Result<(), MergeError> {
        let bytes = std::mem::take(&mut block.bytes);
        block.bytes = match work.codecs[block.part] {
            Compression::Uncompressed if cfg!(target_endian = "little") => bytes,
            Compression::ZIP1 | Compression::ZIP16 if cfg!(target_endian = "little") => self.zip.pack(bytes),
            codec => {
                let header = &self.headers[block.part];
                let top = work.top(block.part) + block.line as i32;
                let place = IntegerBounds::new((0, top), (work.width, block.lines));
                // Its codecs hold asserts, too, when they pack.
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
    /// For each of the file's parts, where its blocks are.
    tables: Vec<Vec<u64>>,
    /// The stripe that is written next.
    next: usize,
    failed: Option<MergeError>,
}

impl Sink {
    /// Starts the file with a header in which the codec, and what follows from it, is set.
    pub(super) fn new(
        to: &Path,
        mut attributes: Attributes,
        codec: Option<Codec>,
        work: &Work,
    ) -> Result<Self, MergeError> {
        if let Some(codec) = codec {
            attributes.set("compression", &[codec.number()]);
        }
        let counts = work.codecs.iter().map(|codec| work.height.div_ceil(lines_per_chunk(*codec) as usize));
        let counts: Vec<usize> = counts.collect();
        attributes.set_each("chunkCount", counts.iter().map(|count| (*count as u32).to_le_bytes().to_vec()));
        attributes.set("lineOrder", &[0]);
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut name = tempfile::Builder::new();
        #[cfg(unix)]
        name.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any file
        let mut file = BufWriter::with_capacity(1 << 20, name.prefix(".merge-").tempfile_in(folder)?);
        let bytes = attributes.to_bytes(work.parts[0].layout.is_multi_part);
        file.write_all(&bytes)?;
        let tables: Vec<Vec<u64>> = counts.into_iter().map(|count| vec![0; count]).collect();
        let state = State { position: bytes.len() as u64, file, tables, next: 0, failed: None };
        let sink = Self { state: Mutex::new(state), turn: Condvar::new() };
        sink.lock().write_tables()?;
        Ok(sink)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked has its panic told by the scope of threads; the state itself is only numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is any use in going on.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failed.is_some()
    }

    /// The first failure is the one that is told.
    pub(super) fn fail(&self, error: MergeError) {
        self.lock().failed.get_or_insert(error);
        self.turn.notify_all();
    }

    /// Waits for the stripe's turn and writes it.
    pub(super) fn put(&self, stripe: usize, blocks: &[Block], work: &Work) {
        let waits = |state: &mut State| state.next != stripe && state.failed.is_none();
        let mut state = self.turn.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        if state.failed.is_none() {
            if let Err(error) = blocks.iter().try_for_each(|block| state.write(block, work)) {
                state.failed = Some(error.into());
            }
            state.next += 1;
        }
        self.turn.notify_all();
    }

    /// Gives the file its name, if nothing failed.
    pub(super) fn finish(self, to: &Path) -> Result<(), MergeError> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
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

    fn write(&mut self, block: &Block, work: &Work) -> std::io::Result<()> {
        let per_block = lines_per_chunk(work.codecs[block.part]) as usize;
        self.tables[block.part][block.line / per_block] = self.position;
        let layout = &work.parts[0].layout;
        let mut head = Vec::with_capacity(12);
        if layout.is_multi_part {
            head.extend((block.part as u32).to_le_bytes());
        }
        head.extend((work.top(block.part) + block.line as i32).to_le_bytes());
        head.extend((block.bytes.len() as u32).to_le_bytes());
        self.file.write_all(&head)?;
        self.file.write_all(&block.bytes)?;
        self.position += (head.len() + block.bytes.len()) as u64;
        Ok(())
    }
}
