//! The libraries that a .blend file names: found, and pointed elsewhere in a copy.
//!
//! Blender matches overrides, layer collections and material slots with linked data while it reads
//! a file. What a missing library made it drop then does not come back when the library is
//! re-pointed and loaded later, so the path must be right before Blender reads it.
//!
//! A file comes from other machines: no number in it is believed before it was checked, and what
//! is not understood is left as it is.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// Most bytes of a library's block; it holds two or three paths.
const MAX_LIBRARY_BYTES: u64 = 8 << 10;
/// Most bytes of the description of Blender's structures; today's have 150 kB.
const MAX_DNA_BYTES: u64 = 2 << 20;
/// Most libraries of a file.
const MAX_LIBRARIES: usize = 10_000;
/// Bound of an unpacked file: so many times the packed one, and [`MORE_BYTES`].
const MAX_RATIO: u64 = 30;
const MORE_BYTES: u64 = 1 << 30;
const BUFFER_BYTES: usize = 1 << 16;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTANDARD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A library's path that was changed. Bytes that are not UTF-8 became U+10DC80 to U+10DCFF, as the
/// tracer writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repointed {
    /// The path in the original file.
    pub before: String,
    /// The path in the copy.
    pub after: String,
}

/// Writes a copy of the .blend file `from` to `to`, with other paths of libraries. `wanted` is asked
/// for the new path of each; `None` leaves it. Writes nothing if no path changes. The copy is not
/// compressed.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for a file that is not understood: it is no .blend, of an unknown
/// form, or damaged. Nothing is written then. Else if `from` can't be read, or `to` is there already
/// or can't be written.
pub fn repoint_libraries(
    from: &Path,
    to: &Path,
    mut wanted: impl FnMut(&str) -> Option<Vec<u8>>,
) -> io::Result<Vec<Repointed>> {
    let mut reader = Reader::open(from)?;
    let mut patches = Vec::new();
    let mut changes = Vec::new();
    for slot in slots(&mut reader).map_err(or_odd)? {
        let before = text_of(&slot.path);
        let Some(after) = wanted(&before).filter(|after| *after != slot.path) else { continue };
        // A zero byte ends the path.
        if after.len() >= slot.room || after.contains(&0) {
            continue;
        }
        changes.push(Repointed { before, after: text_of(&after) });
        let mut bytes = after;
        bytes.resize(slot.room, 0);
        patches.push((slot.at, bytes));
    }
    if changes.is_empty() {
        return Ok(changes);
    }
    let mut copy = File::options().write(true).create_new(true).open(to)?;
    match reader.input {
        // Between two files the system can share the bytes.
        Input::Plain(_) => io::copy(&mut File::open(from)?, &mut copy)?,
        // No further than was unpacked before: nothing is left that could be damaged.
        Input::Packed(_) => io::copy(&mut Reader::open(from)?.take(reader.at), &mut copy)?,
    };
    for (at, bytes) in patches {
        copy.seek(SeekFrom::Start(at))?;
        copy.write_all(&bytes)?;
    }
    Ok(changes)
}

fn text_of(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(0x10_DC00 + u32::from(*byte))));
    }
    text
}

/// A library's path in the unpacked file.
struct Slot {
    at: u64,
    /// Bytes of the field, the zero byte at the end included.
    room: usize,
    path: Vec<u8>,
}

/// An unpacked .blend file, read forward.
struct Reader {
    input: Input,
    at: u64,
    /// Bytes that the unpacked file may have.
    limit: u64,
}

enum Input {
    Plain(BufReader<File>),
    Packed(Box<dyn Read>),
}

impl Reader {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let packed_bytes = file.metadata()?.len();
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(4).read_to_end(&mut start)?;
        file.seek(SeekFrom::Start(0))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let limit = packed_bytes.saturating_mul(MAX_RATIO).saturating_add(MORE_BYTES);
        let (input, limit) = if start.starts_with(&ZSTANDARD) {
            (Input::Packed(Box::new(zstd::stream::read::Decoder::with_buffer(file)?)), limit)
        } else if start.starts_with(&GZIP) {
            (Input::Packed(Box::new(flate2::bufread::MultiGzDecoder::new(file))), limit)
        } else {
            (Input::Plain(file), packed_bytes)
        };
        Ok(Self { input, at: 0, limit })
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads so many bytes; the caller has bounded their number.
    fn vec(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut vec = vec![0; bytes as usize];
        self.read_exact(&mut vec)?;
        Ok(vec)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if bytes > self.limit - self.at {
            return Err(odd("it ends within a block"));
        }
        if let Input::Plain(file) = &mut self.input {
            file.seek_relative(i64::try_from(bytes).map_err(|_| odd("a block is too long"))?)?;
            self.at += bytes;
            return Ok(());
        }
        match io::copy(&mut Read::by_ref(self).take(bytes), &mut io::sink())? == bytes {
            true => Ok(()),
            false => Err(odd("it ends within a block")),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.input {
            Input::Plain(file) => file.read(buffer)?,
            Input::Packed(file) => file.read(buffer)?,
        };
        self.at += read as u64;
        if self.at > self.limit { Err(odd("it unpacks to far more than any scene")) } else { Ok(read) }
    }
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a .blend file that can be understood: {why}"))
}

/// What the system did not say, the file's contents are to blame for: its end, or bytes that do not
/// unpack.
fn or_odd(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::InvalidData {
        error
    } else {
        odd(&error.to_string())
    }
}

/// The forms of blocks' headers: of Blenders up to 4.x by the size of a pointer, and of 5.0 and
/// later.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Short32,
    Short64,
    Long64,
}

impl Form {
    /// Reads the file's header.
    fn read(reader: &mut Reader) -> io::Result<Self> {
        let start = reader.array::<12>()?;
        let (form, is_little) = match &start {
            [b'B', b'L', b'E', b'N', b'D', b'E', b'R', b'_', end, ..] => (Self::Short32, *end == b'v'),
            [b'B', b'L', b'E', b'N', b'D', b'E', b'R', b'-', end, ..] => (Self::Short64, *end == b'v'),
            b"BLENDER17-01" => (Self::Long64, reader.array::<5>()?[0] == b'v'),
            _ => return Err(odd("its first bytes are others")),
        };
        if is_little { Ok(form) } else { Err(odd("its numbers are big-endian")) }
    }

    fn pointer_bytes(self) -> usize {
        if self == Self::Short32 { 4 } else { 8 }
    }

    /// Reads the next block's header: its code, the index of its structure, its bytes.
    fn block(self, reader: &mut Reader) -> io::Result<([u8; 4], u32, u64)> {
        let code = reader.array::<4>()?;
        let number = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
        if self == Self::Long64 {
            let structure = number(reader.array()?);
            reader.array::<8>()?;
            let bytes = u64::from_le_bytes(reader.array()?);
            reader.array::<8>()?;
            return Ok((code, structure, bytes));
        }
        let bytes = number(reader.array()?);
        reader.skip(self.pointer_bytes() as u64)?;
        let structure = number(reader.array()?);
        reader.array::<4>()?;
        Ok((code, structure, u64::from(bytes)))
    }
}

/// Finds the paths of all libraries.
fn slots(reader: &mut Reader) -> io::Result<Vec<Slot>> {
    let form = Form::read(reader)?;
    let mut libraries: Vec<(u64, u32, Vec<u8>)> = Vec::new();
    let mut dna = None;
    loop {
        let (code, structure, bytes) = form.block(reader)?;
        match &code {
            b"ENDB" => break,
            b"LI\0\0" if bytes <= MAX_LIBRARY_BYTES && libraries.len() < MAX_LIBRARIES => {
                libraries.push((reader.at, structure, reader.vec(bytes)?));
            }
            b"LI\0\0" => return Err(odd("a library is too large, or there are too many")),
            b"DNA1" if bytes <= MAX_DNA_BYTES => dna = Some(reader.vec(bytes)?),
            _ => reader.skip(bytes)?,
        }
    }
    if libraries.is_empty() {
        return Ok(Vec::new());
    }
    let dna = dna.ok_or_else(|| odd("it lacks the description of its structures"))?;
    let dna = Dna::parse(&dna, form.pointer_bytes()).ok_or_else(|| odd("its structures are not described well"))?;
    let slot = |(at, structure, block): (u64, u32, Vec<u8>)| {
        let (start, room) = dna.path_of_library(structure)?;
        let field = block.get(start..start.checked_add(room)?)?;
        let path = field[..field.iter().position(|byte| *byte == 0)?].to_vec();
        Some(Slot { at: at + start as u64, room, path })
    };
    libraries
        .into_iter()
        .map(slot)
        .collect::<Option<_>>()
        .ok_or_else(|| odd("a library is not described by its structure"))
}

/// Blender's description of its structures (SDNA), which each file carries.
struct Dna<'a> {
    names: Vec<&'a str>,
    types: Vec<&'a str>,
    /// Bytes of each type.
    sizes: Vec<u16>,
    /// Type and fields (type, name) of each structure.
    structures: Vec<(u16, Vec<(u16, u16)>)>,
    pointer_bytes: usize,
}

impl<'a> Dna<'a> {
    fn parse(bytes: &'a [u8], pointer_bytes: usize) -> Option<Self> {
        let mut cursor = Cursor { bytes, at: 0 };
        cursor.word(b"SDNA")?;
        cursor.word(b"NAME")?;
        let names = cursor.texts()?;
        cursor.word(b"TYPE")?;
        let types = cursor.texts()?;
        cursor.word(b"TLEN")?;
        let sizes = types.iter().map(|_| cursor.u16()).collect::<Option<_>>()?;
        cursor.word(b"STRC")?;
        let structures = (0..cursor.u32()?).map(|_| {
            let of = cursor.u16()?;
            let fields = (0..cursor.u16()?).map(|_| Some((cursor.u16()?, cursor.u16()?))).collect::<Option<_>>()?;
            Some((of, fields))
        });
        let structures = structures.collect::<Option<_>>()?;
        Some(Self { names, types, sizes, structures, pointer_bytes })
    }

    /// Offset and length of the path in a structure, which must be that of libraries.
    fn path_of_library(&self, structure: u32) -> Option<(usize, usize)> {
        let (of, fields) = self.structures.get(structure as usize)?;
        if *self.types.get(usize::from(*of))? != "Library" {
            return None;
        }
        let mut at = 0_usize;
        for (of, name) in fields {
            let name = *self.names.get(usize::from(*name))?;
            let bytes = self.bytes_of(*of, name)?;
            // Blender calls it `filepath` today; files keep the name that it had first.
            if matches!(name.split_once('['), Some(("name" | "filepath", _))) {
                return Some((at, bytes));
            }
            at = at.checked_add(bytes)?;
        }
        None
    }

    /// Bytes of a field: `*next`, `name[1024]`, `mat[4][4]`, `(*call)()`.
    fn bytes_of(&self, of: u16, name: &str) -> Option<usize> {
        let one = match name.starts_with(['*', '(']) {
            true => self.pointer_bytes,
            false => usize::from(*self.sizes.get(usize::from(of))?),
        };
        name.split('[').skip(1).try_fold(one, |bytes, count| bytes.checked_mul(count.strip_suffix(']')?.parse().ok()?))
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// Passes over a word of four bytes, which stands at a multiple of four.
    fn word(&mut self, wanted: &[u8; 4]) -> Option<()> {
        self.at = self.at.next_multiple_of(4);
        (self.take(4)? == wanted).then_some(())
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).and_then(|bytes| Some(u16::from_le_bytes(bytes.try_into().ok()?)))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)))
    }

    fn texts(&mut self) -> Option<Vec<&'a str>> {
        (0..self.u32()?)
            .map(|_| {
                let rest = self.bytes.get(self.at..)?;
                let length = rest.iter().position(|byte| *byte == 0)?;
                self.at += length + 1;
                std::str::from_utf8(&rest[..length]).ok()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    /// A .blend file with libraries, in a form of Blender's.
    fn blend(form: Form, paths: &[&str]) -> Vec<u8> {
        blend_with(form, paths, "name[1024]")
    }

    fn blend_with(form: Form, paths: &[&str], field: &str) -> Vec<u8> {
        let pointer = form.pointer_bytes();
        let mut dna = b"SDNANAME".to_vec();
        let texts = |dna: &mut Vec<u8>, texts: &[&str]| {
            dna.extend((texts.len() as u32).to_le_bytes());
            texts.iter().for_each(|text| dna.extend([text.as_bytes(), &[0]].concat()));
            dna.resize(dna.len().next_multiple_of(4), 0);
        };
        texts(&mut dna, &["*next", "id", "(*call)()", "mat[2][3]", field, "filepath_abs[1024]"]);
        dna.extend(b"TYPE");
        texts(&mut dna, &["void", "ID", "float", "char", "Library"]);
        dna.extend(b"TLEN");
        [0_u16, 40, 4, 1, 0].iter().for_each(|size| dna.extend(size.to_le_bytes()));
        dna.resize(dna.len().next_multiple_of(4), 0);
        dna.extend(b"STRC");
        dna.extend(2_u32.to_le_bytes());
        // ID, then Library.
        let numbers = [1_u16, 1, 0, 0, 4, 6, 1, 1, 0, 0, 0, 2, 2, 3, 3, 4, 3, 5];
        numbers.iter().for_each(|number| dna.extend(number.to_le_bytes()));

        let start: &[u8] = match form {
            Form::Short32 => b"BLENDER_v248",
            Form::Short64 => b"BLENDER-v304",
            Form::Long64 => b"BLENDER17-01v0500",
        };
        let mut file = start.to_vec();
        let mut block = |code: &[u8; 4], structure: u32, data: &[u8]| {
            file.extend(code);
            if form == Form::Long64 {
                file.extend(
                    [&structure.to_le_bytes()[..], &[7; 8], &(data.len() as u64).to_le_bytes(), &[1; 8]].concat(),
                );
            } else {
                file.extend((data.len() as u32).to_le_bytes());
                file.extend(vec![7; pointer]);
                file.extend([structure.to_le_bytes(), [1; 4]].concat());
            }
            file.extend(data);
        };
        block(b"OB\0\0", 0, &[9; 333]);
        for path in paths {
            let mut data = vec![1; 40 + 2 * pointer + 24];
            data.extend(path.as_bytes());
            data.resize(40 + 2 * pointer + 24 + 1024, 0);
            data.extend([5; 1024]);
            block(b"LI\0\0", 1, &data);
        }
        block(b"DNA1", 0, &dna);
        block(b"ENDB", 0, &[]);
        file
    }

    fn all_paths(path: &Path) -> io::Result<Vec<String>> {
        let found = slots(&mut Reader::open(path)?)?;
        Ok(found.iter().map(|slot| String::from_utf8_lossy(&slot.path).into_owned()).collect())
    }

    #[test]
    fn a_path_is_changed_in_every_form_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a.blend"), dir.path().join("b.blend"));
        for form in [Form::Short32, Form::Short64, Form::Long64] {
            let plain = blend(form, &["/lib/char.blend", "//props\\ball.blend"]);
            let wanted = blend(form, &["//../lib/ch\u{e4}r.blend", "//props\\ball.blend"]);
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&plain).unwrap();
            let packed = zstd::stream::encode_all(&plain[..], 1).unwrap();
            for bytes in [plain, gzip.finish().unwrap(), packed] {
                fs::write(&from, &bytes).unwrap();
                assert_eq!(all_paths(&from).unwrap(), ["/lib/char.blend", "//props\\ball.blend"]);
                let change = |path: &str| path.starts_with("/lib").then(|| "//../lib/ch\u{e4}r.blend".into());
                let changes = repoint_libraries(&from, &to, change).unwrap();
                assert_eq!((changes.len(), changes[0].before.as_str()), (1, "/lib/char.blend"));
                assert_eq!(fs::read(&to).unwrap(), wanted);
                assert_eq!(fs::read(&from).unwrap(), bytes, "the original is only read");
                let again = repoint_libraries(&from, &to, change).unwrap_err();
                assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
                fs::remove_file(&to).unwrap();
            }
        }
    }

    #[test]
    fn nothing_is_written_where_nothing_changes_or_fits() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a.blend"), dir.path().join("b.blend"));
        fs::write(&from, blend(Form::Long64, &["/lib/char.blend"])).unwrap();
        for after in [None, Some(b"/lib/char.blend".to_vec()), Some(vec![b'x'; 1024]), Some(b"a\0b".to_vec())] {
            assert_eq!(repoint_libraries(&from, &to, |_| after.clone()).unwrap(), []);
        }
        assert!(!to.exists());
    }

    #[test]
    fn what_is_no_blend_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a.blend"), dir.path().join("b.blend"));
        let bomb = zstd::stream::encode_all(&vec![0; 1 << 20][..], 1).unwrap();
        let whole = blend(Form::Long64, &["/lib/char.blend"]);
        let packed = zstd::stream::encode_all(&whole[..], 1).unwrap();
        let short = zstd::stream::encode_all(&whole[..whole.len() - 9], 1).unwrap();
        let endless = blend_with(Form::Long64, &["/lib/char.blend"], &format!("name[{}]", usize::MAX));
        for bytes in [
            b"version https://git-lfs.github.com/spec/v1",
            &b""[..],
            b"BLENDER-V248",
            &bomb,
            b"\x28\xb5\x2f\xfdx",
            b"\x1f\x8bx",
            &whole[..whole.len() - 9],
            &packed[..packed.len() - 9],
            &short,
            &endless,
        ] {
            fs::write(&from, bytes).unwrap();
            let error = repoint_libraries(&from, &to, |_| Some(b"//x".to_vec())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
        assert!(!to.exists());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn forged_bytes_end_in_words(
            form in 0..3_usize,
            changes in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..12),
            keep in 0.0..2.0_f64,
        ) {
            let form = [Form::Short32, Form::Short64, Form::Long64][form];
            let mut bytes = blend(form, &["/lib/char.blend"]);
            for (at, byte) in changes {
                let at = (bytes.len() as f64 * at) as usize;
                bytes[at] = byte;
            }
            bytes.truncate((bytes.len() as f64 * keep) as usize);
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("a.blend"), dir.path().join("b.blend"));
            fs::write(&from, &bytes).unwrap();
            let changed = repoint_libraries(&from, &to, |_| Some(b"//x".to_vec()));
            prop_assert_eq!(changed.is_ok_and(|changed| !changed.is_empty()), to.exists());
            if to.exists() {
                prop_assert_eq!(fs::metadata(&to).unwrap().len(), bytes.len() as u64);
            }
        }
    }
}
