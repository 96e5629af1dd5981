//! Who we are to a server, from files that may be replaced while we run.

use crate::config::{Login, TlsFiles};
use crate::outbound::Roots;

use super::SourceError;

/// The largest password file.
const LONGEST: u64 = 64 << 10;

/// The password as its file holds it now, less one newline at its end.
pub(super) fn password(login: &Login) -> Result<Option<String>, SourceError> {
    let Some(path) = &login.password else { return Ok(None) };
    let failed = |why: String| SourceError::File { path: path.clone(), why };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > LONGEST {
        return Err(failed(format!("{length} bytes are no password")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

/// Whom TLS believes.
pub(super) fn roots(files: &TlsFiles) -> Roots {
    Roots { ca: files.ca.clone(), identity: files.identity.clone() }
}
