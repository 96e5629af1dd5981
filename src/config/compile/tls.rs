//! TLS on both sides: files that can be used, or a word on why not.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::KeyFiles;
use super::address::is_host_name;
use crate::config::file::{ClientAuthWord, Environment, FileListenerTls, FileUpstreamTls, MinVersionWord, OnOff};
use crate::config::problem::Findings;
use crate::config::reach::readable;
use crate::config::text::{At, Span, Texts};
use crate::config::tls::{ClientTls, ServerTls};
use crate::tls::{Asking, Authorities, ClientFiles, Expiry, LeastVersion, Pair, ServerFiles, TlsError, Verify};

const MOST_CERTIFICATES: usize = 256;
/// Whoever has less time left is told when the configuration is loaded.
const SOON: i64 = 7 * 24 * 3600;

/// Where a configuration is loaded, and what for.
#[derive(Clone, Copy)]
pub(super) struct Ground<'g> {
    pub(super) environment: Environment,
    pub(super) key_files: KeyFiles,
    pub(super) texts: &'g Texts,
}

/// TLS towards clients; `None` where it cannot be had.
pub(super) fn server(written: &FileListenerTls, ground: Ground<'_>, findings: &mut Findings) -> Option<ServerTls> {
    let mut places = Places::default();
    let certificates = written.certificates.as_deref().unwrap_or_default();
    if written.certificates.as_ref().is_some_and(|list| list.is_empty() || list.len() > MOST_CERTIFICATES) {
        findings.error(written.at, format!("`certificates` has 1 to {MOST_CERTIFICATES} of them"));
        return None;
    }
    let mut pairs = Vec::new();
    for certificate in certificates {
        let (Some(chain), Some(key)) = (&certificate.cert, &certificate.key) else { continue };
        pairs.push(Pair {
            chain: places.add(chain, ground.texts, findings),
            key: places.add(key, ground.texts, findings),
        });
    }
    let file = written.client_ca.as_ref().map(|file| places.add(file, ground.texts, findings));
    let clients = match (written.client_auth.as_ref().map(|word| (word.value, word.at)), file) {
        (None, None) | (Some((ClientAuthWord::Off, _)), None) => None,
        (Some((ClientAuthWord::Off, at)), Some(_)) => {
            findings.warn(at, "`client_ca` means nothing with `client_auth: off`");
            None
        }
        (Some((_, at)), None) => {
            findings.error(at, "clients can be verified only by `client_ca`, a file of those who vouch for them");
            None
        }
        (Some((ClientAuthWord::Optional, _)), Some(file)) => Some(Authorities { file, asking: Asking::Optional }),
        (_, Some(file)) => Some(Authorities { file, asking: Asking::Required }),
    };
    let least = match written.min_version.as_ref().map(|word| word.value) {
        Some(MinVersionWord::Tls13) => LeastVersion::Tls13,
        _ => LeastVersion::Tls12,
    };
    if written.flawed || certificates.len() != pairs.len() || places.lacks(ground, findings) {
        return None;
    }
    match ServerTls::open(ServerFiles { pairs, clients, least }) {
        Ok(tls) => {
            places.warn_of_ends(&tls.server.get().expiries, findings);
            Some(tls)
        }
        Err(error) => {
            places.tell(&error, written.at, findings);
            None
        }
    }
}

/// TLS towards endpoints; `None` where it cannot be had.
pub(super) fn client(written: &FileUpstreamTls, ground: Ground<'_>, findings: &mut Findings) -> Option<ClientTls> {
    let mut places = Places::default();
    let authorities = written.ca.as_ref().map(|file| places.add(file, ground.texts, findings));
    let identity = match (&written.client_cert, &written.client_key) {
        (Some(chain), Some(key)) => Some(Pair {
            chain: places.add(chain, ground.texts, findings),
            key: places.add(key, ground.texts, findings),
        }),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            findings.error(one.at, "`client_cert` and `client_key` belong together");
            None
        }
    };
    let server_name = written.server_name.as_ref().map(|name| {
        if !is_host_name(&name.value) && name.value.parse::<std::net::IpAddr>().is_err() {
            findings.error(name.at, format!("`{}` is neither a host name nor an IP address", name.value));
        }
        name.value.to_ascii_lowercase()
    });
    let verify = match &written.verify {
        Some(word) if word.value == OnOff::Off => {
            if ground.environment != Environment::Dev {
                findings
                    .error(word.at, "`verify: off` believes anybody; it is for `environment: dev` alone")
                    .help("name the authority of your endpoints: `ca: /etc/graylane/ca.pem`");
            } else if let Some(ca) = &written.ca {
                findings.warn(ca.at, "`ca` means nothing with `verify: off`");
            }
            Verify::Off
        }
        _ => Verify::On,
    };
    if written.flawed || places.lacks(ground, findings) {
        return None;
    }
    match ClientTls::open(ClientFiles { authorities, identity, verify }, server_name) {
        Ok(tls) => {
            places.warn_of_ends(&tls.client.get().expiries, findings);
            Some(tls)
        }
        Err(error) => {
            places.tell(&error, written.at, findings);
            None
        }
    }
}

/// The files of one `tls`, and where they are written.
#[derive(Default)]
struct Places {
    files: Vec<(PathBuf, Span)>,
    /// Whether one of them may not be looked at.
    refused: bool,
}

impl Places {
    fn add(&mut self, written: &At<String>, texts: &Texts, findings: &mut Findings) -> PathBuf {
        let path = readable(written, texts, findings).unwrap_or_else(|| {
            self.refused = true;
            texts.path_of(written)
        });
        self.files.push((path.clone(), written.at));
        path
    }

    fn of(&self, path: &Path) -> Option<Span> {
        self.files.iter().find(|(known, _)| known == path).map(|(_, at)| *at)
    }

    /// Whether a file may not be looked at, or is absent where that is allowed; each is told.
    fn lacks(&self, ground: Ground<'_>, findings: &mut Findings) -> bool {
        let mut lacks = self.refused;
        for (path, at) in &self.files {
            if ground.key_files == KeyFiles::MayBeAbsent && !path.exists() {
                findings.warn(*at, format!("`{}` is not here; `run` needs it", path.display()));
                lacks = true;
            }
        }
        lacks
    }

    fn tell(&self, error: &TlsError, otherwise: Span, findings: &mut Findings) {
        let place = match error {
            TlsError::File { path, .. } => self.of(path),
            TlsError::Refused(_) => None,
        };
        findings.error(place.unwrap_or(otherwise), error.to_string());
    }

    fn warn_of_ends(&self, expiries: &[Expiry], findings: &mut Findings) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        for Expiry { file, not_after } in expiries {
            let Some(at) = self.of(file) else { continue };
            let (left, file) = (not_after.saturating_sub(now), file.display());
            if left < 0 {
                findings.warn(at, format!("the certificate of `{file}` has expired"));
            } else if left < SOON {
                let hours = left / 3600;
                findings.warn(at, format!("the certificate of `{file}` expires in {hours} h"));
            }
        }
    }
}
