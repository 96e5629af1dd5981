//! etcd as a source.

use std::time::Duration;

use super::{Scope, login, tls};
use crate::config::compile::process::positive;
use crate::config::file::FileEtcd;
use crate::config::remote::EtcdPlan;
use crate::config::text::At;

const PREFIX: &str = "/graylane/";
const CHECK: Duration = Duration::from_secs(10);

pub(super) fn plan(written: &FileEtcd, scope: &mut Scope<'_>) -> Option<EtcdPlan> {
    let check = positive(written.check.as_ref(), CHECK, "check", scope.findings);
    let login = login(written.user.as_ref(), written.password_file.as_ref(), scope);
    if login.user.is_some() != login.password.is_some() {
        scope.findings.error(written.at, "`user` and `password_file` belong together");
    }
    let files = tls(written.tls.as_ref(), scope);
    let list = &written.endpoints.as_ref()?.0;
    let endpoints: Vec<String> = list.iter().filter_map(|endpoint| url(endpoint, scope)).collect();
    if list.is_empty() {
        scope.findings.error(written.at, "etcd has no endpoint").help("write `endpoints: [http://127.0.0.1:2379]`");
    }
    if let Some(tls) = &written.tls
        && !endpoints.is_empty()
        && !endpoints.iter().any(|url| url.starts_with("https://"))
    {
        scope.findings.error(tls.at, "`tls` means nothing without an `https://` endpoint");
    }
    let prefix = written.prefix.as_ref().map_or(PREFIX, |prefix| &prefix.value);
    let prefix = format!("{prefix}{}/", scope.namespace);
    (!endpoints.is_empty()).then_some(EtcdPlan { endpoints, prefix, login, tls: files, check })
}

/// `http://HOST:PORT` or `https://HOST:PORT`, and nothing behind it.
fn url(written: &At<String>, scope: &mut Scope<'_>) -> Option<String> {
    let text = written.value.trim().trim_end_matches('/');
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' '])) {
        return Some(text.to_owned());
    }
    let said = scope.findings.error(written.at, format!("`{text}` is no URL of an etcd member"));
    said.help("write `http://127.0.0.1:2379` or `https://etcd.example:2379`");
    None
}
