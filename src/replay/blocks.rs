//! Inputs cut into blocks of whole lines, so that memory does not hang on the length of a log or of a line.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

/// The longest line that is read. One of graylane's own is below 16 KiB.
pub(super) const LONGEST_LINE: usize = 64 * 1024;
/// Bytes of a block.
const BLOCK: usize = 512 * 1024;
/// How a gzip stream begins, RFC 1952 section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Whole lines of one input.
pub(super) struct Block {
    pub(super) input: usize,
    /// The number of its first line, from 1.
    pub(super) first_line: u64,
    pub(super) bytes: Vec<u8>,
}

/// How an input ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) lines: u64,
    /// Why it ended early.
    pub(super) problem: Option<String>,
}

/// Reads an input to its end, gzip or not. `give` takes each block and says whether anybody still wants one; `read` hears how
/// many bytes of the input are done.
pub(super) fn read(input: usize, reader: impl Read, give: &mut dyn FnMut(Block) -> bool, read: &dyn Fn(u64)) -> End {
    let done = Rc::new(Cell::new(0));
    let mut reader = BufReader::with_capacity(64 * 1024, Metered { inner: reader, done: Rc::clone(&done) });
    let gzip = match reader.fill_buf() {
        Ok(begin) => begin.starts_with(&GZIP),
        Err(error) => return End { lines: 0, problem: Some(error.to_string()) },
    };
    let mut cutter = Cutter { input, next_line: 1, give, progress: &|| read(done.get()) };
    let outcome = if gzip { cutter.cut(MultiGzDecoder::new(reader)) } else { cutter.cut(reader) };
    End { lines: cutter.next_line - 1, problem: outcome.err().map(|error| error.to_string()) }
}

struct Cutter<'c> {
    input: usize,
    next_line: u64,
    give: &'c mut dyn FnMut(Block) -> bool,
    progress: &'c dyn Fn(),
}

impl Cutter<'_> {
    fn cut(&mut self, mut reader: impl Read) -> io::Result<()> {
        let mut rest = Vec::new();
        // Inside a line that is too long for a block; its beginning was given already.
        let mut skipping = false;
        loop {
            let mut bytes = Vec::with_capacity(BLOCK);
            bytes.append(&mut rest);
            let room = BLOCK - bytes.len();
            let count = match reader.by_ref().take(room as u64).read_to_end(&mut bytes) {
                Ok(count) => count,
                Err(error) => {
                    // What came before the fault counts; its last line may be half a line.
                    bytes.truncate(memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1));
                    if !bytes.is_empty() && !skipping {
                        self.give(bytes)?;
                    }
                    return Err(error);
                }
            };
            (self.progress)();
            if count == 0 {
                return if bytes.is_empty() || skipping { Ok(()) } else { self.give(bytes) };
            }
            if skipping {
                let Some(end) = memchr::memchr(b'\n', &bytes) else { continue };
                bytes.drain(..=end);
                skipping = false;
            }
            match memchr::memrchr(b'\n', &bytes) {
                Some(end) => {
                    rest.extend_from_slice(&bytes[end + 1..]);
                    bytes.truncate(end + 1);
                    self.give(bytes)?;
                }
                None if bytes.len() == BLOCK => {
                    bytes.truncate(LONGEST_LINE + 1);
                    self.give(bytes)?;
                    skipping = true;
                }
                None => rest = bytes,
            }
        }
    }

    fn give(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let lines =
            memchr::memchr_iter(b'\n', &bytes).count() + usize::from(bytes.last().is_some_and(|end| *end != b'\n'));
        let first_line = self.next_line;
        self.next_line += lines as u64;
        match (self.give)(Block { input: self.input, first_line, bytes }) {
            true => Ok(()),
            false => Err(io::Error::other("reading was given up")),
        }
    }
}

/// Counts the bytes that pass.
struct Metered<R> {
    inner: R,
    done: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.done.set(self.done.get() + count as u64);
        Ok(count)
    }
}
