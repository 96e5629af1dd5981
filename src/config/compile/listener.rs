//! Where traffic comes in, and who is trusted there.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::tls::{Ground, server};
use super::{address, process::TRAFFIC};
use crate::config::file::{FileConfig, FileListener, FileProxyProtocol};
use crate::config::listener::{Listener, TrustName};
use crate::config::problem::Findings;
use crate::config::text::At;

const MOST_LISTENERS: usize = 64;

/// Every listener; one without a setting where none is written.
pub(super) fn listeners(
    config: &FileConfig,
    admin: SocketAddr,
    ground: Ground<'_>,
    findings: &mut Findings,
) -> Vec<Listener> {
    let mut found: Vec<(Listener, &At<String>)> = Vec::new();
    if let Some(listener) = config.listeners.as_ref().and_then(|list| list.get(MOST_LISTENERS)) {
        findings.error(listener.at, format!("more than {MOST_LISTENERS} listeners"));
    }
    for listener in config.listeners.iter().flatten().take(MOST_LISTENERS) {
        let Some(written) = &listener.bind else { continue };
        let Some(address) = address::bind(written, findings) else { continue };
        if let Some((_, first)) = found.iter().find(|(there, _)| there.bind == address && address.port() != 0) {
            findings.error(written.at, format!("`{address}` is listened on twice")).also(first.at, "first");
        } else if address == admin && address.port() != 0 {
            findings
                .error(written.at, format!("`{address}` is the admin address"))
                .help("give traffic and admin their own ports");
        }
        found.push((one(address, listener, ground, findings), written));
    }
    if found.is_empty() {
        return vec![Listener::plain(TRAFFIC)];
    }
    found.into_iter().map(|(listener, _)| listener).collect()
}

fn one(bind: SocketAddr, written: &FileListener, ground: Ground<'_>, findings: &mut Findings) -> Listener {
    let tls = written.tls.as_ref().and_then(|tls| server(tls, ground, findings)).map(Arc::new);
    Listener { bind, tls, proxies: written.proxy_protocol.as_ref().map(|written| proxies(written, findings)) }
}

fn proxies(written: &FileProxyProtocol, findings: &mut Findings) -> Arc<[IpNet]> {
    let from = written.from.iter().flat_map(|from| &from.0);
    let networks: Vec<IpNet> = from.filter_map(|network| address::network(network, findings)).collect();
    if written.from.as_ref().is_some_and(|from| from.0.is_empty()) {
        findings
            .error(written.at, "`proxy_protocol` without a network lets nobody in")
            .help("write `from: [10.0.0.0/24]`, the networks of your load balancers");
    }
    networks.into()
}

/// Networks and names of trusted peers.
pub(super) fn trust(config: &FileConfig, findings: &mut Findings) -> (Vec<IpNet>, Vec<TrustName>) {
    let (mut networks, mut names) = (Vec::new(), Vec::new());
    let asks = config.listeners.iter().flatten().filter_map(|listener| listener.tls.as_ref());
    let asks = asks.filter_map(|tls| tls.client_ca.as_ref()).next().is_some();
    for written in config.trust.iter().flatten() {
        let text = written.value.trim();
        if !text.starts_with("spiffe:") && !text.starts_with("dns:") {
            networks.extend(address::network(written, findings));
            continue;
        }
        match TrustName::parse(text) {
            Ok(_) if !asks => {
                findings
                    .warn(written.at, format!("no listener verifies certificates, so nobody is ever `{text}`"))
                    .help("give a listener `tls` with `client_ca`");
            }
            Ok(_) => {}
            Err(help) => {
                findings.error(written.at, format!("`{text}` is no name of a certificate")).help(help);
            }
        }
        names.extend(TrustName::parse(text));
    }
    (networks, names)
}
