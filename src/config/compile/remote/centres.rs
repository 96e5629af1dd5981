//! Configuration centres as sources.

use std::time::Duration;

use super::{Scope, login, present, tls};
use crate::config::centres::{ApolloPlan, CentrePlan, NacosPlan};
use crate::config::compile::process::positive;
use crate::config::file::{FileApollo, FileCentre, FileNacos, FileTls};
use crate::config::read::OneOrMany;
use crate::config::text::At;
use crate::config::units::Time;

const WAIT: Duration = Duration::from_secs(30);
/// The longest poll that is worth it: proxies between give up sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Most names of one source in Nacos or Apollo: each is asked for by a call of its own.
const MOST_NAMES: usize = 1000;

pub(super) fn centre(written: &FileCentre, scope: &mut Scope<'_>) -> Option<CentrePlan> {
    let token = written.token_file.as_ref().map(|file| present(file, "token file", scope));
    let (wait, answer) = (wait(written.wait.as_ref(), scope), wait_for("answer", written.answer.as_ref(), scope));
    let url = url(written.url.as_ref()?, written.tls.as_ref(), scope);
    let tls = tls(written.tls.as_ref(), scope);
    let instance = written.instance.as_ref().map_or_else(host_name, |instance| instance.value.clone());
    Some(CentrePlan { url: url?, token, tls, wait, answer, instance })
}

pub(super) fn nacos(written: &FileNacos, scope: &mut Scope<'_>) -> Option<NacosPlan> {
    let login = login(written.user.as_ref(), written.password_file.as_ref(), scope);
    if login.user.is_some() != login.password.is_some() {
        scope.findings.error(written.at, "`user` and `password_file` belong together");
    }
    let wait = wait(written.wait.as_ref(), scope);
    let tenant = written.tenant.as_ref().map_or(&*scope.namespace, |tenant| &tenant.value);
    let tenant = if tenant == "public" { String::new() } else { tenant.to_owned() };
    let tls = tls(written.tls.as_ref(), scope);
    let data_ids = names("data id", written.data_ids.as_ref(), written.at, scope);
    let url = url(written.url.as_ref()?, written.tls.as_ref(), scope);
    let url = url.map(|url| if has_path(&url) { url } else { format!("{url}/nacos") });
    let group = written.group.as_ref().map_or("DEFAULT_GROUP", |group| &group.value).to_owned();
    Some(NacosPlan { url: url?, tenant, group, data_ids, login, tls, wait })
}

pub(super) fn apollo(written: &FileApollo, scope: &mut Scope<'_>) -> Option<ApolloPlan> {
    let secret = written.secret_file.as_ref().map(|file| present(file, "secret file", scope));
    let tls = tls(written.tls.as_ref(), scope);
    let namespaces = names("namespace", written.namespaces.as_ref(), written.at, scope);
    for namespace in written.namespaces.iter().flat_map(|list| &list.0) {
        if !namespace.value.ends_with(".yaml") && !namespace.value.ends_with(".yml") {
            scope
                .findings
                .error(namespace.at, format!("namespace `{}` is not of the format YAML", namespace.value))
                .help("make it one in Apollo, and write its name with its suffix: `graylane.yaml`");
        }
    }
    let url = url(written.url.as_ref()?, written.tls.as_ref(), scope);
    let app_id = written.app_id.as_ref()?.value.clone();
    let cluster = written.cluster.as_ref().map_or("default", |cluster| &cluster.value).to_owned();
    let ip = written.ip.as_ref().map(|ip| ip.value.clone());
    Some(ApolloPlan { url: url?, app_id, cluster, namespaces, secret, ip, tls })
}

/// At least one name, none empty, none twice.
fn names(
    what: &str,
    written: Option<&OneOrMany<At<String>>>,
    at: crate::config::text::Span,
    scope: &mut Scope<'_>,
) -> Vec<String> {
    let Some(OneOrMany(list)) = written else { return Vec::new() };
    let mut found: Vec<&At<String>> = Vec::new();
    for name in list {
        if name.value.is_empty() || name.value.contains(char::is_control) {
            scope.findings.error(name.at, format!("this is no {what}"));
        } else if let Some(first) = found.iter().find(|there| there.value == name.value) {
            scope.findings.error(name.at, format!("{what} `{}` is listed twice", name.value)).also(first.at, "first");
        }
        found.push(name);
    }
    if list.is_empty() || list.len() > MOST_NAMES {
        scope.findings.error(at, format!("a source has from 1 to {MOST_NAMES} {what}s, not {}", list.len()));
    }
    found.into_iter().map(|name| name.value.clone()).collect()
}

/// `http://` or `https://`, a host, and perhaps a port and a path.
fn url(written: &At<String>, tls: Option<&FileTls>, scope: &mut Scope<'_>) -> Option<String> {
    let text = written.value.trim().trim_end_matches('/');
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let parsed = text.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if parsed.is_none() || rest.is_none_or(|rest| rest.contains(['?', '#', '@'])) {
        let said = scope.findings.error(written.at, format!("`{text}` is no URL of a configuration centre"));
        said.help(
            "write `http://127.0.0.1:8848` or `https://config.example`; users and tokens have fields of their own",
        );
        return None;
    }
    if let Some(tls) = tls.filter(|_| !text.starts_with("https://")) {
        scope.findings.error(tls.at, "`tls` means nothing without an `https://` URL");
    }
    Some(text.to_owned())
}

fn has_path(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
}

fn wait(written: Option<&At<Time>>, scope: &mut Scope<'_>) -> Duration {
    wait_for("wait", written, scope)
}

fn wait_for(what: &str, written: Option<&At<Time>>, scope: &mut Scope<'_>) -> Duration {
    if let Some(long) = written.filter(|time| time.value.0 > LONGEST_WAIT) {
        scope.findings.error(long.at, format!("`{what}` is at most 5m"));
    }
    positive(written, WAIT, what, scope.findings)
}

/// In a pod this is the pod's name.
fn host_name() -> String {
    let told = std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = told.unwrap_or_default().trim().to_owned();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}
