//! Standard output: plain lines into a pipe; on a terminal also colours and one line that is written over and over.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};

/// To the line's start, clear it, and cut at the right edge instead of going on in the next line: that fits any width,
/// also after the window was resized.
const BEGIN_LIVE: &str = "\r\x1b[2K\x1b[?7l";
const END_LIVE: &str = "\x1b[?7h";

/// How a piece of text looks where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Title,
    Dim,
    Stable,
    Gray,
    Warning,
}

/// Where the demo writes.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    is_terminal: bool,
    has_colour: bool,
    shows_live: bool,
}

impl Screen {
    pub(super) fn stdout() -> Screen {
        let out = io::stdout();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Screen {
            is_terminal: out.is_terminal() && !is_dumb,
            has_colour: AutoStream::choice(&out) != ColorChoice::Never,
            out: Box::new(out),
            shows_live: false,
        }
    }

    /// Whether a line can be written over.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The text in its colour, if there are colours.
    pub(super) fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.has_colour {
            return text.to_owned();
        }
        let style = match ink {
            Ink::Title => Style::new().bold(),
            Ink::Dim => Style::new().dimmed(),
            Ink::Stable => AnsiColor::Cyan.on_default(),
            Ink::Gray => AnsiColor::Magenta.on_default(),
            Ink::Warning => AnsiColor::Yellow.on_default(),
        };
        format!("{style}{text}{style:#}")
    }

    /// Writes whole lines.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        if std::mem::take(&mut self.shows_live) {
            write!(self.out, "{BEGIN_LIVE}{END_LIVE}")?;
        }
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Writes the line that the next call writes over.
    pub(super) fn live(&mut self, text: &str) -> io::Result<()> {
        self.shows_live = true;
        write!(self.out, "{BEGIN_LIVE}{text}{END_LIVE}")?;
        self.out.flush()
    }

    /// Leaves the live line standing, as a line.
    pub(super) fn keep_live(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.shows_live) {
            writeln!(self.out)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
pub(super) mod paper {
    //! A screen whose text can be read.

    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, Clone, Default)]
    pub(in super::super) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(in super::super) fn screen(&self, is_terminal: bool) -> Screen {
            Screen { out: Box::new(self.clone()), is_terminal, has_colour: is_terminal, shows_live: false }
        }

        pub(in super::super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Screen {
        /// A screen whose reader is gone.
        pub(in super::super) fn closed() -> Screen {
            struct Closed;
            impl Write for Closed {
                fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                    Err(io::ErrorKind::BrokenPipe.into())
                }

                fn flush(&mut self) -> io::Result<()> {
                    Ok(())
                }
            }
            Screen { out: Box::new(Closed), is_terminal: false, has_colour: false, shows_live: false }
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::paper::Paper;
    use super::*;

    #[test]
    fn a_live_line_is_written_over_and_never_wraps() {
        let paper = Paper::default();
        let mut screen = paper.screen(true);
        screen.live("one").unwrap();
        screen.live("two").unwrap();
        screen.say("said").unwrap();
        screen.live("three").unwrap();
        screen.keep_live().unwrap();
        screen.keep_live().unwrap();
        let line = |text: &str| format!("\r\x1b[2K\x1b[?7l{text}\x1b[?7h");
        let expected = [line("one"), line("two"), line(""), "said\n".into(), line("three"), "\n".into()].concat();
        assert_eq!(paper.text(), expected);
    }

    #[test]
    fn colours_are_for_terminals() {
        let paper = Paper::default();
        assert_eq!(paper.screen(false).paint(Ink::Gray, "gray"), "gray");
        assert_eq!(paper.screen(true).paint(Ink::Gray, "gray"), "\x1b[35mgray\x1b[0m");
    }
}
