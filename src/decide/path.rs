//! The path as routes see it.
//!
//! Dot segments and encoded unreserved characters are resolved and the digits of the rest written in upper case (RFC
//! 3986 section 6.2.2), so that no two spellings of one resource take different routes. An encoded slash, backslash
//! or NUL means different things to different servers, so it is refused unless allowed, and then left as it is. So is
//! everything else on whose meaning servers differ: a broken percent sequence, a bare backslash, and `..;x`, which
//! Tomcat takes for a dot segment. Empty segments (`//`) stay, as RFC 3986 has it.

use std::borrow::Cow;

/// Which encoded characters a path may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllowEncoded {
    /// `%2F`.
    pub slash: bool,
    /// `%5C`, and a bare backslash.
    pub backslash: bool,
    /// `%00`.
    pub nul: bool,
}

/// Why a path is refused: an answer of 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `%2F`.
    #[error("the path holds an encoded slash")]
    EncodedSlash,
    /// `%5C` or a bare one.
    #[error("the path holds a backslash")]
    Backslash,
    /// `%00`.
    #[error("the path holds an encoded NUL")]
    EncodedNul,
    /// `%` without two hexadecimal digits.
    #[error("the path holds a broken percent sequence")]
    BrokenEncoding,
    /// `.;x` or `..;x`.
    #[error("the path holds a dot segment with parameters")]
    DotParameters,
}

/// A path in the one form that routes are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'a>(Cow<'a, str>);

impl<'a> NormalPath<'a> {
    /// Brings a raw path to its normal form, without copying where it is there already.
    /// What is about the server itself (`OPTIONS *`) is for whom its root is for.
    pub fn new(raw: &'a str, allow: AllowEncoded) -> Result<NormalPath<'a>, PathError> {
        if raw == "*" {
            return Ok(NormalPath(Cow::Borrowed("/")));
        }
        if is_normal(raw) {
            return Ok(NormalPath(Cow::Borrowed(raw)));
        }
        let decoded = decode(raw, allow)?;
        Ok(NormalPath(Cow::Owned(resolve_dots(&decoded)?)))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the raw path was normal already.
    pub fn is_unchanged(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_))
    }
}

/// Whether nothing is to be done: no percent sign, backslash or character that has to be encoded, and no segment that
/// begins with a dot (few do; those are looked at in full).
fn is_normal(raw: &str) -> bool {
    // Without a way out half-way, so that many bytes are looked at together.
    let odd = |byte: u8| !byte.is_ascii_graphic() | (byte == b'%') | (byte == b'\\');
    let bytes = raw.as_bytes();
    if bytes.iter().fold(false, |any, byte| any | odd(*byte)) {
        return false;
    }
    let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    !pairs.fold(false, |any, (one, next)| any | ((*one == b'/') & (*next == b'.')))
}

fn decode(raw: &str, allow: AllowEncoded) -> Result<String, PathError> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(raw.len());
    let encode = |out: &mut String, byte: u8| {
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    };
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte == b'\\' && !allow.backslash {
            return Err(PathError::Backslash);
        }
        if byte != b'%' {
            if byte.is_ascii_graphic() {
                out.push(char::from(byte))
            } else {
                encode(&mut out, byte)
            }
            continue;
        }
        let digit = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(at), digit(at + 1)) else {
            return Err(PathError::BrokenEncoding);
        };
        at += 2;
        match (high * 16 + low) as u8 {
            b'/' if !allow.slash => return Err(PathError::EncodedSlash),
            b'\\' if !allow.backslash => return Err(PathError::Backslash),
            0 if !allow.nul => return Err(PathError::EncodedNul),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            byte => encode(&mut out, byte),
        }
    }
    Ok(out)
}

/// RFC 3986 section 5.2.4: what climbs over the root stays at the root.
fn resolve_dots(path: &str) -> Result<String, PathError> {
    let Some(rest) = path.strip_prefix('/') else {
        return Ok(path.to_owned());
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_directory = false;
    for segment in rest.split('/') {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ if segment.starts_with(".;") || segment.starts_with("..;") => {
                return Err(PathError::DotParameters);
            }
            _ => kept.push(segment),
        }
    }
    if ends_in_directory {
        kept.push("");
    }
    Ok(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(raw: &str) -> Result<String, PathError> {
        NormalPath::new(raw, AllowEncoded::default()).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn paths_come_to_one_form() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/..", "/"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/.%2E/b", "/b"),
            ("/%61%2Db%7e", "/a-b~"),
            ("/%e5%95%86", "/%E5%95%86"),
            ("/商", "/%E5%95%86"),
            ("/a//b", "/a//b"),
            ("//a/..", "//"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a%20b", "/a%20b"),
            ("/%252e%252e/a", "/%252e%252e/a"),
            ("*", "/"),
            ("", ""),
        ] {
            assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for (raw, expected) in [
            ("/a%2Fb", PathError::EncodedSlash),
            ("/a%2fb", PathError::EncodedSlash),
            ("/a%5Cb", PathError::Backslash),
            ("/a\\b", PathError::Backslash),
            ("/a%00", PathError::EncodedNul),
            ("/a%", PathError::BrokenEncoding),
            ("/a%2", PathError::BrokenEncoding),
            ("/a%zz", PathError::BrokenEncoding),
            ("/a/..;/b", PathError::DotParameters),
            ("/a/%2e%2e;x=1/b", PathError::DotParameters),
        ] {
            assert_eq!(normal(raw), Err(expected), "{raw}");
        }
    }

    #[test]
    fn allowed_characters_stay_encoded() {
        let allow = AllowEncoded { slash: true, backslash: true, nul: true };
        assert_eq!(NormalPath::new("/a%2fb%5c%00", allow).unwrap().as_str(), "/a%2Fb%5C%00");
    }

    #[test]
    fn a_normal_path_is_not_copied() {
        assert!(NormalPath::new("/api/v1/sku/7", AllowEncoded::default()).unwrap().is_unchanged());
    }

    proptest! {
        #[test]
        fn normal_form_is_stable(raw in "/[a-c./%2eE5;-]{0,24}") {
            if let Ok(once) = normal(&raw) {
                prop_assert_eq!(normal(&once), Ok(once.clone()));
                prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."));
            }
        }
    }
}
