//! What a peer's HTTP/2 frames cost, counted on the bytes below the codec.
//!
//! The `h2` crate bounds what a peer can make it keep, but not how often it can make it work: a ping, an empty frame or a
//! reset is answered as fast as it comes. So the bytes that are read pass by here first. Only the nine bytes before each
//! frame are looked at (RFC 9113 section 4.1), and four more of a window update; nothing is kept but counts.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::outbox::Rewound;

/// What one connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Streams reset over the life of the connection; beyond it, while they are over half of its streams, it is a flood.
    pub resets: u32,
    /// Streams reset each second, besides a quarter of those opened; twice as many at once.
    pub resets_per_second: u32,
    /// Frames each second that carry nothing of a request, besides those that its requests and answers explain; ten
    /// times as many at once.
    pub control_frames_per_second: u32,
}

impl FrameLimits {
    /// Streams that a peer can have opened and reset before we count too many resets a second: those that it may at once, and a
    /// quarter of each such row besides.
    pub(super) fn resets_at_once(&self) -> usize {
        (self.resets_per_second as usize).saturating_mul(RESET_SECONDS as usize + 1).max(LEAST_RESETS)
    }
}

/// What a peer did too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Streams opened and reset faster than allowed (CVE-2023-44487).
    ResetRate,
    /// The same at a slow pace, until over half of many streams were reset.
    Resets,
    /// Pings, settings, priorities, empty frames, windows opened by a few bytes, unknown frames.
    ControlFrames,
}

/// What is known of a connection's frames, for the task that serves it.
#[derive(Debug, Default)]
pub struct FrameWatch {
    flood: Cell<Option<Flood>>,
    head_since: Cell<Option<Instant>>,
    has_resets: Cell<bool>,
}

impl FrameWatch {
    /// What the peer did too much of. From then on nothing more is read from it.
    pub fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    /// Whether the peer has ever reset a stream.
    pub fn has_resets(&self) -> bool {
        self.has_resets.get()
    }

    /// Since when a header section is under way of which not all has come.
    pub fn head_since(&self) -> Option<Instant> {
        self.head_since.get()
    }
}

/// A connection whose frames are counted while they are read.
pub struct Metered {
    io: Rewound,
    meter: Meter,
}

impl Metered {
    pub(super) fn new(io: Rewound, limits: FrameLimits) -> (Self, Rc<FrameWatch>) {
        let watch = Rc::<FrameWatch>::default();
        (Self { io, meter: Meter::new(limits, watch.clone(), Instant::now()) }, watch)
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.meter.watch.flood.get().is_some() {
            // The task looks at the watch whenever it has polled us, so it need not be woken.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.meter.read(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.meter.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// Bytes of the preface that a client begins with (RFC 9113 section 3.4).
const PREFACE: usize = 24;
/// Bytes before each frame.
const HEAD: usize = 9;
/// A window update that opens less is one that makes work and lets nothing through.
const SMALL_WINDOW: u32 = 256;
/// Bytes of settings that count as one frame: ten values, more than anybody has to send.
const USUAL_SETTINGS: usize = 60;
/// The seconds whose resets may come at once.
const RESET_SECONDS: u32 = 2;
/// Streams that a peer may always reset before they are served, as `h2` has it.
const LEAST_RESETS: usize = 20;
/// Frames that carry nothing and that one request explains: windows for its answer, a change of its priority.
const FRAMES_OF_A_REQUEST: f64 = 4.0;
/// Bytes of answers that explain one such frame. A ping's answer has 17, so pings do not pay for themselves.
const BYTES_OF_A_FRAME: f64 = 1024.0;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Where in the stream of frames the next byte stands.
#[derive(Debug, Clone, Copy)]
enum At {
    /// So many bytes are passed over: the preface, or what a frame carries.
    Skipping(usize),
    /// In the bytes before a frame, so many of which are at hand.
    Head(usize),
}

/// How far a header section has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// None is under way.
    None,
    /// More frames of it are to come.
    Open,
    /// It ends with the frame under way.
    Last,
}

struct Meter {
    limits: FrameLimits,
    watch: Rc<FrameWatch>,
    at: At,
    section: Section,
    head: [u8; HEAD + 4],
    last_stream: u32,
    opened: u32,
    resets: u32,
    reset_rate: Allowance,
    control: Allowance,
}

impl Meter {
    fn new(limits: FrameLimits, watch: Rc<FrameWatch>, now: Instant) -> Self {
        Self {
            reset_rate: Allowance::new(limits.resets_per_second, RESET_SECONDS, now),
            control: Allowance::new(limits.control_frames_per_second, 10, now),
            limits,
            watch,
            at: At::Skipping(PREFACE),
            section: Section::None,
            head: [0; HEAD + 4],
            last_stream: 0,
            opened: 0,
            resets: 0,
        }
    }

    fn wrote(&mut self, bytes: usize) {
        self.control.earn(bytes as f64 / BYTES_OF_A_FRAME);
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.at {
                At::Skipping(left) => {
                    let n = left.min(bytes.len());
                    bytes = &bytes[n..];
                    self.carry(left - n);
                }
                At::Head(have) => {
                    let n = (self.wanted(have) - have).min(bytes.len());
                    self.head[have..have + n].copy_from_slice(&bytes[..n]);
                    bytes = &bytes[n..];
                    self.at = At::Head(have + n);
                    // What kind it is says whether more of it is wanted.
                    if have + n >= HEAD && have + n == self.wanted(have + n) {
                        self.frame(have + n);
                    }
                }
            }
        }
        self.watch_section();
    }

    /// So much of what the frame carries is still to come.
    fn carry(&mut self, left: usize) {
        self.at = if left == 0 { At::Head(0) } else { At::Skipping(left) };
        if left == 0 && self.section == Section::Last {
            self.section = Section::None;
        }
    }

    /// All that was read was looked at. A section whose rest is still to come may drip, within a frame as well as between two; one
    /// that came whole costs no look at the clock.
    fn watch_section(&self) {
        let since = &self.watch.head_since;
        match self.section {
            Section::None => since.set(None),
            _ if since.get().is_none() => since.set(Some(Instant::now())),
            _ => {}
        }
    }

    /// How many bytes of a frame are looked at, as far as is known from the first `have` of them.
    fn wanted(&self, have: usize) -> usize {
        if have >= HEAD && self.head[3] == WINDOW_UPDATE && self.length() == 4 { HEAD + 4 } else { HEAD }
    }

    fn length(&self) -> usize {
        usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2])
    }

    fn number(&self, at: usize) -> u32 {
        let [a, b, c, d] = [self.head[at], self.head[at + 1], self.head[at + 2], self.head[at + 3]];
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    /// A frame begins; `have` bytes of it are in `head`.
    fn frame(&mut self, have: usize) {
        let (length, kind, flags, stream) = (self.length(), self.head[3], self.head[4], self.number(5));
        if kind == HEADERS || kind == CONTINUATION {
            if kind == HEADERS {
                // What another one began was broken off: the codec ends the connection.
                self.watch.head_since.set(None);
            }
            self.section = if flags & END_HEADERS == 0 { Section::Open } else { Section::Last };
        }
        self.carry(length - (have - HEAD));
        match kind {
            DATA if length > 0 || flags & END_STREAM != 0 => {}
            HEADERS => {
                if stream > self.last_stream {
                    self.last_stream = stream;
                    self.opened = self.opened.saturating_add(1);
                    self.control.earn(FRAMES_OF_A_REQUEST);
                    self.reset_rate.earn(0.25);
                }
            }
            CONTINUATION => self.control(1),
            RST_STREAM => self.reset(),
            WINDOW_UPDATE if have > HEAD && self.number(HEAD) >= SMALL_WINDOW => {}
            // Each value has to be taken: a frame of thousands is as much work as many frames (CVE-2020-11080).
            SETTINGS => self.control(1 + length / USUAL_SETTINGS),
            // Pings, priorities, empty data, tiny windows, and all that is unknown.
            _ => self.control(1),
        }
    }

    /// Something that counts like so many frames which carry nothing.
    fn control(&mut self, frames: usize) {
        if !self.control.spend(frames as f64, Instant::now()) {
            self.watch.flood.set(Some(Flood::ControlFrames));
        }
    }

    fn reset(&mut self) {
        self.resets = self.resets.saturating_add(1);
        self.watch.has_resets.set(true);
        if !self.reset_rate.spend(1.0, Instant::now()) {
            self.watch.flood.set(Some(Flood::ResetRate));
        } else if self.resets > self.limits.resets && self.resets > self.opened / 2 {
            self.watch.flood.set(Some(Flood::Resets));
        }
    }
}

/// So many of something each second, and what was earned besides.
struct Allowance {
    left: f64,
    most: f64,
    per_second: f64,
    at: Instant,
}

impl Allowance {
    fn new(per_second: u32, seconds: u32, now: Instant) -> Self {
        let (per_second, seconds) = (f64::from(per_second), f64::from(seconds));
        Self { left: per_second * seconds, most: per_second * seconds, per_second, at: now }
    }

    fn earn(&mut self, some: f64) {
        self.left = (self.left + some).min(self.most);
    }

    fn spend(&mut self, some: f64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.earn(passed * self.per_second);
        self.left -= some;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { resets: 20, resets_per_second: 10, control_frames_per_second: 10 };

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn meter() -> Meter {
        Meter::new(LIMITS, Rc::default(), Instant::now())
    }

    /// What a connection of these frames comes to, read in pieces of this size.
    fn flood_of(frames: &[Vec<u8>], piece: usize) -> Option<Flood> {
        let mut meter = meter();
        let bytes = [vec![0; PREFACE], frames.concat()].concat();
        bytes.chunks(piece).for_each(|piece| meter.read(piece));
        meter.watch.flood()
    }

    fn check(frames: &[Vec<u8>], expected: Option<Flood>) {
        for piece in [1, 2, 7, 9, 4096, usize::MAX] {
            assert_eq!(flood_of(frames, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn settings_count_by_their_values() {
        let settings = |values: usize| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100].repeat(values));
        check(&[settings(9)], None);
        check(&[settings(500)], None);
        check(&[settings(1000)], Some(Flood::ControlFrames));
        check(&vec![settings(250); 4], Some(Flood::ControlFrames));
    }

    #[test]
    fn ordinary_requests_are_no_flood_however_many() {
        let request = |n: u32| {
            let stream = 2 * n + 1;
            [
                frame(HEADERS, END_HEADERS, stream, b"some head"),
                frame(DATA, END_STREAM, stream, &[0; 300]),
                frame(WINDOW_UPDATE, 0, 0, &100u32.to_be_bytes()),
                frame(WINDOW_UPDATE, 0, stream, &100u32.to_be_bytes()),
            ]
            .concat()
        };
        check(&(0..5000).map(request).collect::<Vec<_>>(), None);
    }

    #[test]
    fn frames_that_carry_nothing_are_a_flood() {
        let kinds = [
            frame(6, 0, 0, &[0; 8]),
            frame(4, 0, 0, &[]),
            frame(2, 0, 1, &[0; 5]),
            frame(DATA, 0, 1, &[]),
            frame(CONTINUATION, 0, 1, &[]),
            frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()),
            frame(99, 0, 0, &[0; 20]),
        ];
        for kind in kinds {
            check(&vec![kind.clone(); 90], None);
            check(&vec![kind; 200], Some(Flood::ControlFrames));
        }
        check(&vec![frame(WINDOW_UPDATE, 0, 1, &4096u32.to_be_bytes()); 5000], None);
    }

    #[test]
    fn resets_are_a_flood_at_once_and_at_a_slow_pace() {
        let pair = |n: u32| {
            let stream = 2 * n + 1;
            [frame(HEADERS, END_HEADERS, stream, b"x"), frame(RST_STREAM, 0, stream, &[0; 4])].concat()
        };
        check(&(0..40).map(pair).collect::<Vec<_>>(), Some(Flood::ResetRate));
        let mut meter = meter();
        meter.read(&[0; PREFACE]);
        for n in 0..100 {
            meter.read(&pair(n));
            // As if a second had passed.
            meter.reset_rate.earn(10.0);
        }
        assert_eq!(meter.watch.flood(), Some(Flood::Resets));
    }

    #[test]
    fn a_long_life_with_some_resets_is_no_flood() {
        let mut meter = meter();
        meter.read(&[0; PREFACE]);
        for n in 0..10_000u32 {
            let stream = 2 * n + 1;
            meter.read(&frame(HEADERS, END_HEADERS, stream, b"x"));
            if n % 5 == 0 {
                meter.read(&frame(RST_STREAM, 0, stream, &[0; 4]));
            }
        }
        assert_eq!(meter.watch.flood(), None);
    }

    #[test]
    fn a_header_section_is_under_way_until_it_ends() {
        let mut meter = meter();
        meter.read(&[0; PREFACE]);
        meter.read(&frame(HEADERS, 0, 1, b"some"));
        assert!(meter.watch.head_since().is_some());
        meter.read(&frame(CONTINUATION, END_HEADERS, 1, b"more"));
        assert!(meter.watch.head_since().is_none());
    }

    #[test]
    fn a_header_section_is_under_way_until_the_last_byte_of_its_last_frame() {
        let mut meter = meter();
        meter.read(&[0; PREFACE]);
        let whole = frame(HEADERS, END_HEADERS, 1, b"some head");
        meter.read(&whole);
        assert!(meter.watch.head_since().is_none(), "it came at once");
        let next = [frame(DATA, 0, 1, b"x"), frame(HEADERS, END_HEADERS, 3, b"some head")].concat();
        let (first, rest) = next.split_at(next.len() - 5);
        meter.read(first);
        let since = meter.watch.head_since();
        assert!(since.is_some());
        let (most, last) = rest.split_at(4);
        most.iter().for_each(|byte| meter.read(&[*byte]));
        assert_eq!(meter.watch.head_since(), since, "dripping does not begin it anew");
        meter.read(&[last, &frame(DATA, 0, 1, b"x")[..4]].concat());
        assert!(meter.watch.head_since().is_none());
    }
}
