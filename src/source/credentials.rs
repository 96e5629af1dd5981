//! Who we are to a server, from files that may be replaced while we run.

use std::path::Path;

use crate::config::{Login, TlsFiles};
use crate::outbound::Roots;

use super::SourceError;

/// The largest file with a password or a token.
const LONGEST: u64 = 64 << 10;

/// The password as its file holds it now, less one newline at its end.
pub(super) fn password(login: &Login) -> Result<Option<String>, SourceError> {
    login.password.as_deref().map(secret).transpose()
}

/// A password or a token as its file holds it now, less one newline at its end.
pub(super) fn secret(path: &Path) -> Result<String, SourceError> {
    let failed = |why: String| SourceError::File { path: path.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > LONGEST {
        return Err(failed(format!("{length} bytes are no password")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// Whom TLS believes.
pub(super) fn roots(files: &TlsFiles) -> Roots {
    Roots { ca: files.ca.clone(), identity: files.identity.clone() }
}
