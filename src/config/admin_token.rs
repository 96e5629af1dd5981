//! The bearer token of changing calls, in a file that may be replaced while the process runs.

use std::fmt;
use std::io;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::disk::read_at_most;

/// No token is longer; a header that holds it has to fit into a request head.
const LONGEST: usize = 4096;
/// A shorter one is told: it can be guessed.
const SHORT: usize = 32;

/// The token, as the file holds it less one newline at the end.
pub struct AdminToken(Vec<u8>);

/// Why a file holds no token.
#[derive(Debug, thiserror::Error)]
pub enum AdminTokenError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// Too much is in it.
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    /// No header can carry it.
    #[error("it holds more than visible ASCII characters, so no `Authorization` header can carry it")]
    NotText,
}

impl AdminToken {
    /// Reads the token of a file.
    pub fn read(path: &Path) -> Result<Self, AdminTokenError> {
        let bytes = read_at_most(path, LONGEST + 2)?;
        let token = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let token = token.strip_suffix(b"\r").unwrap_or(token);
        match token.len() {
            0 => Err(AdminTokenError::Empty),
            length if length > LONGEST => Err(AdminTokenError::TooLong),
            _ if !token.iter().all(u8::is_ascii_graphic) => Err(AdminTokenError::NotText),
            _ => Ok(Self(token.to_vec())),
        }
    }

    /// Whether this was shown, in a time that says nothing about where the two differ, nor how long the token is.
    pub fn is(&self, shown: &[u8]) -> bool {
        let mac = |text: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"graylane admin token").expect("HMAC takes any key");
            mac.update(text);
            mac
        };
        mac(&self.0).verify_slice(&mac(shown).finalize().into_bytes()).is_ok()
    }

    /// Whether it is short enough to be guessed.
    pub(super) fn is_short(&self) -> bool {
        self.0.len() < SHORT
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<AdminToken, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, bytes).unwrap();
        AdminToken::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn the_token_is_the_file_less_one_newline() {
        for file in ["secret", "secret\n", "secret\r\n"] {
            let token = read(file.as_bytes()).unwrap();
            assert!(token.is(b"secret"), "{file:?}");
            for other in ["", "secre", "secreT", "secret\n", "secretsecret"] {
                assert!(!token.is(other.as_bytes()), "{other:?}");
            }
        }
        assert!(read(&[b'a'; LONGEST]).is_ok());
    }

    #[test]
    fn what_is_no_token_says_why() {
        let check = |bytes: &[u8], expected: &str| {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(b"", "empty");
        check(b"\n", "empty");
        check(b"two words", "visible ASCII");
        check(b"two\nlines\n", "visible ASCII");
        check("\u{76d0}".as_bytes(), "visible ASCII");
        check(&[b'a'; LONGEST + 1], "longer");
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", read(b"secret").unwrap()), "AdminToken");
    }
}
