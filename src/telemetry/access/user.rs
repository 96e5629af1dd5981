//! User ids as keyed hashes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Length of a configured key at least, in bytes.
const KEY_MIN: usize = 32;

/// Bytes of the hash that are kept: enough that two users of a shop do not meet, too few to be taken for the MAC.
const KEPT: usize = 16;

/// HMAC-SHA256 of user ids, its first 16 bytes as hex.
///
/// A plain hash would not do: user ids are numbers or phone numbers, and all of them can be tried. With a random key
/// hashes agree within one run of the process; with a configured key they agree between runs and pods.
#[derive(Clone)]
pub struct UserHash(Hmac<Sha256>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The configured key is too short.
    #[error("the key has {length} bytes; at least {KEY_MIN} are needed")]
    Short {
        /// Its length.
        length: usize,
    },
    /// The system gave no random bytes.
    #[error("no random key from /dev/urandom")]
    Random(#[source] io::Error),
}

impl UserHash {
    /// A key of this process alone.
    pub fn random() -> Result<Self, KeyError> {
        let mut key = [0; KEY_MIN];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key));
        read.map_err(KeyError::Random)?;
        Self::with_key(&key)
    }

    /// A configured key.
    pub fn with_key(key: &[u8]) -> Result<Self, KeyError> {
        let short = || KeyError::Short { length: key.len() };
        if key.len() < KEY_MIN {
            return Err(short());
        }
        Hmac::new_from_slice(key).map(Self).map_err(|_| short())
    }

    /// The hash of one user id, as 32 hex digits.
    pub fn hash(&self, user_id: &str) -> HashedUser {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.0.clone();
        mac.update(user_id.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let mut hex = [0; 2 * KEPT];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        HashedUser(hex)
    }
}

impl fmt::Debug for UserHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserHash(..)")
    }
}

/// A user id that may leave the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedUser([u8; 2 * KEPT]);

impl HashedUser {
    /// Hex digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_start_of_hmac_sha256() {
        // Made with Python: hmac.new(bytes(range(32)), "用户-1001".encode(), "sha256").hexdigest()[:32]
        let key: Vec<u8> = (0..32).collect();
        let hash = UserHash::with_key(&key).unwrap().hash("用户-1001");
        assert_eq!(std::str::from_utf8(hash.as_bytes()).unwrap(), "4593389b27c6733522fb753659e90429");
    }

    #[test]
    fn one_key_agrees_with_itself_and_with_no_other() {
        let one = UserHash::random().unwrap();
        assert_eq!(one.hash("u1"), one.clone().hash("u1"));
        assert_ne!(one.hash("u1"), one.hash("u2"));
        assert_ne!(one.hash("u1"), UserHash::random().unwrap().hash("u1"));
    }

    #[test]
    fn a_short_key_is_refused_and_no_key_is_shown() {
        assert!(UserHash::with_key(&[7; 31]).is_err());
        let shown = format!("{:?}", UserHash::with_key(&[7; 32]).unwrap());
        assert_eq!(shown, "UserHash(..)");
    }
}
