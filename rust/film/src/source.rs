//! Bounded reading: a file of known length, read forward in small steps. Every read first checks
//! that the file holds that many bytes, so a forged number fails here and never reaches an
//! allocator. Nothing here knows EXR.

use crate::error::FilmError;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

pub(crate) struct Source {
    reader: BufReader<File>,
    at: u64,
    len: u64,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, FilmError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(FilmError::NotExr);
        }
        Ok(Self { reader: BufReader::with_capacity(1 << 16, file), at: 0, len: metadata.len() })
    }

    /// Returns the file itself, for positioned reads.
    pub(crate) fn into_file(self) -> File {
        self.reader.into_inner()
    }

    /// Offset of the next byte to read.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.len - self.at
    }

    /// Moves to offset `to`, which may be the end but not beyond it.
    pub(crate) fn go_to(&mut self, to: u64, inside: &'static str) -> Result<(), FilmError> {
        if to > self.len {
            return Err(FilmError::Truncated { inside });
        }
        // seek_relative keeps the buffer when the goal is inside it: chunk headers lie close
        // together.
        match i64::try_from(i128::from(to) - i128::from(self.at)) {
            Ok(by) => self.reader.seek_relative(by)?,
            Err(_) => drop(self.reader.seek(SeekFrom::Start(to))?),
        }
        self.at = to;
        Ok(())
    }

    pub(crate) fn skip(&mut self, bytes: u64, inside: &'static str) -> Result<(), FilmError> {
        self.go_to(self.at.saturating_add(bytes), inside)
    }

    pub(crate) fn fill(&mut self, into: &mut [u8], inside: &'static str) -> Result<(), FilmError> {
        if into.len() as u64 > self.remaining() {
            return Err(FilmError::Truncated { inside });
        }
        self.reader.read_exact(into)?;
        self.at += into.len() as u64;
        Ok(())
    }

    pub(crate) fn array<const N: usize>(&mut self, inside: &'static str) -> Result<[u8; N], FilmError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, inside)?;
        Ok(bytes)
    }

    pub(crate) fn i32(&mut self, inside: &'static str) -> Result<i32, FilmError> {
        Ok(i32::from_le_bytes(self.array(inside)?))
    }

    /// Reads `bytes` bytes. The caller has bounded the number, and the file must hold them.
    pub(crate) fn vec(&mut self, bytes: usize, inside: &'static str) -> Result<Vec<u8>, FilmError> {
        if bytes as u64 > self.remaining() {
            return Err(FilmError::Truncated { inside });
        }
        let mut vec = vec![0; bytes];
        self.fill(&mut vec, inside)?;
        Ok(vec)
    }

    /// Reads a name of at most `max` bytes, ended by a zero byte.
    pub(crate) fn name(&mut self, max: usize, inside: &'static str) -> Result<String, FilmError> {
        let mut bytes = Vec::new();
        loop {
            match self.array::<1>(inside)?[0] {
                0 => break,
                _ if bytes.len() == max => {
                    return Err(FilmError::damaged(format!("a name in the header is longer than {max} bytes")));
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|_| FilmError::damaged("a name in the header is not text"))
    }
}

/// Reads at an offset, independently of other threads that use the file.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, into: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

/// Reads at an offset, independently of other threads that use the file.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, mut into: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !into.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, into, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => {
                into = &mut into[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}
