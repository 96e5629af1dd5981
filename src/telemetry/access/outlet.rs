//! Where lines end up, and how many of them did.

use std::io::{self, Write};
use std::os::fd::AsFd;

use super::file::Rotated;
use crate::config::LogFile;

/// Where lines go.
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file that is put aside when it is full.
    File(LogFile),
    /// Anything else.
    Writer(Box<dyn Write + Send>),
}

/// What became of a batch of lines.
pub(super) struct Put {
    /// How many of its bytes were written, up to the end of a line.
    pub(super) whole: usize,
    /// A part of the line behind them stands there as well.
    pub(super) torn: bool,
    /// Why that was not all.
    pub(super) error: Option<io::Error>,
}

impl Put {
    /// Writes lines as far as that goes.
    pub(super) fn lines(sink: &mut (impl Write + ?Sized), batch: &[u8]) -> Self {
        let mut done = 0;
        let error = loop {
            match sink.write(&batch[done..]) {
                Ok(0) if done < batch.len() => break Some(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
            if done >= batch.len() {
                break sink.flush().err();
            }
        };
        let whole = memchr::memrchr(b'\n', &batch[..done]).map_or(0, |end| end + 1);
        Self { whole, torn: whole < done, error }
    }
}

/// A sink that is written to.
pub(super) enum Outlet {
    Stream {
        writer: Box<dyn Write + Send>,
        /// A part of a line was written last.
        torn: bool,
    },
    File(Rotated),
}

impl Outlet {
    pub(super) fn new(sink: Sink) -> Self {
        let stream = |writer| Self::Stream { writer, torn: false };
        match sink {
            Sink::Stdout => stream(stdout()),
            Sink::Writer(writer) => stream(writer),
            Sink::File(plan) => Self::File(Rotated::new(plan)),
        }
    }

    /// Has a file opened anew.
    pub(super) fn reopen(&mut self) {
        if let Self::File(file) = self {
            file.reopen();
        }
    }

    /// Writes whole lines.
    pub(super) fn put(&mut self, batch: &[u8]) -> Put {
        match self {
            Self::File(file) => file.put(batch),
            Self::Stream { writer, torn } => {
                // The rest of a torn line is lost; what follows begins a line of its own.
                if *torn {
                    match Put::lines(&mut **writer, b"\n") {
                        Put { error: None, .. } => *torn = false,
                        put => return Put { whole: 0, ..put },
                    }
                }
                let put = Put::lines(&mut **writer, batch);
                *torn = put.torn;
                put
            }
        }
    }
}

/// Standard output without the buffer of the standard library: that one keeps what could not be written, and writes it
/// later although it was counted as dropped.
fn stdout() -> Box<dyn Write + Send> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(owned) => Box::new(std::fs::File::from(owned)),
        Err(_) => Box::new(io::stdout()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Takes so many bytes and then nothing, until it is given more room.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn make_room(&self, bytes: usize) {
            self.0.lock().unwrap().1 += bytes;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            // In small pieces, as a pipe may take them.
            let count = bytes.len().min(disk.1).min(3);
            if count == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.0.extend_from_slice(&bytes[..count]);
            disk.1 -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let disk = Disk::default();
        let mut outlet = Outlet::new(Sink::Writer(Box::new(disk.clone())));
        disk.make_room(14);
        let put = outlet.put(b"line 1\nline 2\nline 3\n");
        assert_eq!((put.whole, put.torn, put.error.is_some()), (14, false, true));
        disk.make_room(3);
        let put = outlet.put(b"line 4\n");
        assert_eq!((put.whole, put.torn), (0, true));
        let put = outlet.put(b"line 5\n");
        assert_eq!((put.whole, put.error.is_some()), (0, true), "there is no room to end the torn one");
        disk.make_room(100);
        assert_eq!(outlet.put(b"line 6\n").whole, 7);
        assert_eq!(disk.text(), "line 1\nline 2\nlin\nline 6\n");
    }
}
