//! What is to outlive the process, and does not.

use crate::config::file::FileConfig;
use crate::config::problem::Findings;

/// Warns where a release may be rolled back and a restart would open it again.
pub(super) fn warn(config: &FileConfig, findings: &mut Findings) {
    if config.state.as_ref().is_some_and(|state| state.dir.is_some()) {
        return;
    }
    let releases = || config.releases.iter().flat_map(|table| table.iter()).map(|(_, release)| release);
    let rollback = releases().find_map(|release| release.rollback.as_ref()).map(|rollback| rollback.at);
    let figures = releases().filter_map(|release| release.rollback_on.as_ref()?.first()).map(|figure| figure.at).next();
    let changes = config.admin.as_ref().filter(|_| releases().next().is_some()).and_then(|admin| {
        let insecure = admin.insecure_changes.as_ref().filter(|flag| flag.value).map(|flag| flag.at);
        let tokens = admin.tokens.as_ref().and_then(|tokens| tokens.first()).map(|token| token.at);
        insecure.or(admin.token_file.as_ref().map(|file| file.at)).or(tokens)
    });
    if let Some(at) = rollback.or(figures).or(changes) {
        let message = "without `state` a rolled-back release stays so for the process only: a restart opens it";
        findings.warn(at, message).help("write `state: { dir: /var/lib/graylane }`");
    }
}
