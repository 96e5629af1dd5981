//! Who may change things through the admin port, and who may read.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::KeyFiles;
use crate::config::admin_token::{AdminToken, AdminTokenError};
use crate::config::file::{AdminReadsWord, AdminRole, FileAdmin};
use crate::config::problem::Findings;
use crate::config::reach::readable;
use crate::config::settings::AdminChanges;
use crate::config::text::{At, Texts};

/// Who may change, and the token files of those who may read, where not everybody may.
pub(super) fn access(
    written: Option<&FileAdmin>,
    bound: SocketAddr,
    key_files: KeyFiles,
    texts: &Texts,
    findings: &mut Findings,
) -> (AdminChanges, Option<Vec<PathBuf>>) {
    let Some(admin) = written else { return (AdminChanges::Refused, None) };
    let (mut changers, mut readers) = (Vec::new(), Vec::new());
    if let Some(file) = &admin.token_file {
        changers.push(token_file(file, key_files, texts, findings));
    }
    for token in admin.tokens.iter().flatten() {
        let Some(file) = &token.file else { continue };
        let path = token_file(file, key_files, texts, findings);
        match token.role.as_ref().map(|role| role.value) {
            Some(AdminRole::Change) => changers.push(path),
            Some(AdminRole::Read) => readers.push(path),
            None => {}
        }
    }
    readers.extend(changers.iter().cloned());
    let reads = admin.reads.as_ref().filter(|reads| reads.value == AdminReadsWord::Token);
    if let Some(reads) = reads.filter(|_| readers.is_empty() && !admin.flawed) {
        findings
            .error(reads.at, "`reads: token` needs a token, and none is given")
            .help("write `tokens: [{ file: read.token, role: read }]`");
    }
    let insecure = admin.insecure_changes.as_ref().is_some_and(|flag| flag.value);
    if let Some(bind) = admin.bind.as_ref().filter(|_| !bound.ip().is_loopback() && readers.is_empty()) {
        // What is shown there (figures, names, addresses) is for those who may; whoever opens the port says who that is.
        if !admin.flawed && !insecure {
            findings
                .error(bind.at, format!("the admin port is on {bound}, beyond loopback, and there is no token"))
                .help("write `tokens: [{ file: read.token, role: read }]`, or bind to 127.0.0.1");
        }
    }
    let readers = reads.map(|_| readers);
    let changes = match admin.insecure_changes.as_ref().filter(|flag| flag.value) {
        Some(flag) if !bound.ip().is_loopback() => {
            findings
                .error(flag.at, format!("changes without a token need the admin port on loopback, not on {bound}"))
                .help("set `token_file`, or bind to 127.0.0.1");
            AdminChanges::Refused
        }
        Some(_) => AdminChanges::Loopback,
        None if changers.is_empty() => AdminChanges::Refused,
        None => AdminChanges::Token(changers),
    };
    (changes, readers)
}

/// The file's path; what is in it is read again with every call, so that it can be replaced, but a wrong one is told now.
fn token_file(file: &At<String>, key_files: KeyFiles, texts: &Texts, findings: &mut Findings) -> PathBuf {
    let Some(path) = readable(file, texts, findings) else { return texts.path_of(file) };
    let shown = path.display();
    match AdminToken::read(&path) {
        Ok(token) if token.is_short() => {
            findings
                .warn(file.at, format!("the token in `{shown}` is so short that it can be guessed"))
                .help("make one: `head -c 32 /dev/urandom | base64 > admin.token`");
        }
        Ok(_) => {}
        Err(AdminTokenError::Read(error))
            if error.kind() == std::io::ErrorKind::NotFound && key_files == KeyFiles::MayBeAbsent =>
        {
            findings.warn(file.at, format!("token file `{shown}` is not here; `run` needs it"));
        }
        Err(error) => {
            findings
                .error(file.at, format!("token file `{shown}`: {error}"))
                .help("make one: `head -c 32 /dev/urandom | base64 > admin.token`");
        }
    }
    path
}
