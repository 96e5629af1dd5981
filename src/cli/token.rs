//! `graylane token`: a signed override.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::decide::{Claims, MintError, TokenKey, TokenKeyError};

/// The longest time a token may count: a forgotten one must not open a release for ever.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The key file cannot be read.
    #[error("cannot read the key file {}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The key is none.
    #[error("key file {}: {cause}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: TokenKeyError,
    },
    /// One of the claims.
    #[error(transparent)]
    Claims(#[from] MintError),
    /// The time to live.
    #[error("a token counts for one second to 30 days")]
    TimeToLive,
}

/// What a token is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// The release it is for.
    pub release: &'a str,
    /// The only service where it counts, where one is named.
    pub service: Option<&'a str>,
    /// The lane it chooses; may be empty where it explains.
    pub lane: &'a str,
    /// To whom it is given.
    pub subject: &'a str,
    /// How long it counts from now on.
    pub ttl: Duration,
    /// Whether answers tell its bearer how their lane was decided.
    pub explain: bool,
}

/// The token, signed with the key of the file.
pub fn mint(key_file: &Path, wish: &Wish<'_>, now_unix: u64) -> Result<String, Failure> {
    let Wish { release, service, lane, subject, ttl, explain } = *wish;
    if ttl < Duration::from_secs(1) || ttl > LONGEST {
        return Err(Failure::TimeToLive);
    }
    let path = || key_file.to_owned();
    let bytes = std::fs::read(key_file).map_err(|cause| Failure::KeyFile { path: path(), cause })?;
    let key = TokenKey::from_file_bytes(&bytes).map_err(|cause| Failure::Key { path: path(), cause })?;
    let claims = Claims {
        release: release.into(),
        service: service.map(Into::into),
        lane: lane.into(),
        subject: subject.into(),
        expires_unix: now_unix.saturating_add(ttl.as_secs()),
        explain,
    };
    Ok(claims.mint(&key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_token_needs_a_key_a_release_and_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let (key, short) = (dir.path().join("override.key"), dir.path().join("short.key"));
        std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
        std::fs::write(&short, "abc\n").unwrap();
        let wish = Wish {
            release: "pricing-v2",
            service: Some("goods"),
            lane: "gray",
            subject: "lin",
            ttl: HOUR,
            explain: false,
        };
        let minted = |key: &Path, ttl| mint(key, &Wish { ttl, ..wish }, 1_800_000_000);
        assert!(minted(&key, HOUR).unwrap().starts_with("v1."));
        assert!(matches!(minted(&short, HOUR), Err(Failure::Key { .. })));
        assert!(matches!(minted(&dir.path().join("none"), HOUR), Err(Failure::KeyFile { .. })));
        assert!(matches!(minted(&key, Duration::ZERO), Err(Failure::TimeToLive)));
        assert!(matches!(minted(&key, LONGEST + HOUR), Err(Failure::TimeToLive)));
        let claims = |wish| matches!(mint(&key, &wish, 0), Err(Failure::Claims(_)));
        assert!(claims(Wish { release: "", ..wish }) && claims(Wish { lane: "", ..wish }));
        assert!(!claims(Wish { lane: "", explain: true, ..wish }), "who only looks chooses no lane");
    }
}
