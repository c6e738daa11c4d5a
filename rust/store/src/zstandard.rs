//! Zstandard with contexts that are kept, a pair for each thread. Making a context asks the
//! processor what it can do; a virtual machine takes longer to answer (20 to 70 µs) than a small
//! piece takes to compress.

use std::{
    cell::RefCell,
    io::{Error, Result},
};
use zstd::bulk::{Compressor, Decompressor};

/// The fastest level, for bytes that cross a network once.
const LEVEL: i32 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Result<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL));
    static DECOMPRESSOR: RefCell<Result<Decompressor<'static>>> = RefCell::new(Decompressor::new());
}

/// Compresses all of the bytes.
///
/// # Errors
/// If there is no memory.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|context| context.as_mut().map_err(again)?.compress(bytes))
}

/// Decompresses at most so many bytes.
///
/// # Errors
/// If the bytes are not a whole compressed stream, or one that is longer.
pub fn decompress(bytes: &[u8], most: usize) -> Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|context| context.as_mut().map_err(again)?.decompress(bytes, most))
}

fn again(error: &mut Error) -> Error {
    Error::new(error.kind(), error.to_string())
}
