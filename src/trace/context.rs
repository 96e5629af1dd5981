//! The W3C trace context: <https://www.w3.org/TR/trace-context/>, version 00.

/// Which trace a request belongs to, and which span of it sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace; never all zeros.
    pub trace: [u8; 16],
    /// The span; never all zeros.
    pub span: [u8; 8],
    /// The flags that this program understands: sampled and random.
    flags: u8,
}

/// A `traceparent` as text.
pub type Traceparent = [u8; LENGTH];

/// A trace id as text, for logs and exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

/// Version, trace, span, flags, with a hyphen between each.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
/// Level 2 of the recommendation: the trace id was drawn at random. It is passed on.
const RANDOM: u8 = 2;
const HEX: &[u8; 16] = b"0123456789abcdef";

impl Context {
    /// A context of our own.
    pub fn new(trace: [u8; 16], span: [u8; 8], is_sampled: bool) -> Self {
        Self { trace, span, flags: if is_sampled { SAMPLED } else { 0 } }
    }

    /// Reads a `traceparent`; nothing where it is none. Later versions may have more behind the flags, and are read as
    /// far as they are known (section 3.2.4).
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let known = value.get(..LENGTH)?;
        let version = byte(&known[..2])?;
        let ends = match version {
            0xff => return None,
            0 => value.len() == LENGTH,
            _ => value.get(LENGTH).is_none_or(|next| *next == b'-'),
        };
        if !ends || known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
            return None;
        }
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        fill(&mut trace, &known[3..35])?;
        fill(&mut span, &known[36..52])?;
        let flags = byte(&known[53..])? & (SAMPLED | RANDOM);
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, flags })
    }

    /// Whether the sender records the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same trace from another span.
    pub fn at(&self, span: [u8; 8]) -> Self {
        Self { span, ..*self }
    }

    /// The flags as OTLP and the header have them.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// As a `traceparent`.
    pub fn text(&self) -> Traceparent {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write(&mut text[3..35], &self.trace);
        write(&mut text[36..52], &self.span);
        write(&mut text[53..], &[self.flags]);
        text
    }

    /// The trace's id as text.
    pub fn trace_id(&self) -> TraceId {
        let mut text = [0; 32];
        write(&mut text, &self.trace);
        TraceId(text)
    }

    /// A number from 0 to 2^63 - 1 that is evenly spread over traces and the same for all who see the trace, whichever
    /// program they are: a trace is sampled where it is below the share of 2^63.
    pub fn rank(&self) -> u64 {
        let low = self.trace[8..].iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        low >> 1
    }
}

impl TraceId {
    /// The 32 hex digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Capital letters are no digits here (section 3.2.2.3).
fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        _ => None,
    }
}

fn byte(pair: &[u8]) -> Option<u8> {
    Some(digit(pair[0])? << 4 | digit(pair[1])?)
}

fn fill(bytes: &mut [u8], text: &[u8]) -> Option<()> {
    for (place, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *place = byte(pair)?;
    }
    Some(())
}

fn write(text: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn check(text: &str, expected: Option<&str>) {
        let parsed = Context::parse(text.as_bytes());
        let written = parsed.map(|context| String::from_utf8(context.text().to_vec()).unwrap());
        assert_eq!(written.as_deref(), expected, "{text}");
    }

    #[test]
    fn a_context_is_read_as_the_recommendation_says() {
        check(GOOD, Some(GOOD));
        check(&GOOD.replace("-01", "-00"), Some(&GOOD.replace("-01", "-00")));
        check(&format!(" {GOOD}\t"), Some(GOOD));
        check(&GOOD.replace("-01", "-ff"), Some(&GOOD.replace("-01", "-03")));
        check(&GOOD.replacen("00-", "cc-", 1), Some(GOOD));
        check(&format!("{}-what-comes", GOOD.replacen("00-", "01-", 1)), Some(GOOD));
    }

    #[test]
    fn what_is_no_context_is_none() {
        for text in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("{GOOD}0"),
            &format!("{}x", GOOD.replacen("00-", "01-", 1)),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replace("4bf92f", "4BF92F"),
            &GOOD.replace("4bf92f", "4bf92g"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace('-', "_"),
        ] {
            check(text, None);
        }
    }

    #[test]
    fn the_id_of_a_trace_is_its_part_of_the_text() {
        let context = Context::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(context.trace_id().as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.rank(), 0xa3ce_929d_0e0e_4736 >> 1);
        assert!(context.is_sampled());
    }

    proptest! {
        #[test]
        fn every_context_of_ours_is_read_back(trace: [u8; 16], span: [u8; 8], is_sampled: bool) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let context = Context::new(trace, span, is_sampled);
            prop_assert_eq!(Context::parse(&context.text()), Some(context));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Context::parse(&bytes);
        }
    }
}
