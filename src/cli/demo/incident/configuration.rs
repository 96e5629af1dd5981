//! The configuration of the drill. Every act has routes of its own, so that no breaker remembers the act before.

use std::fmt::Write;

use super::super::configuration::Addresses;
use super::act::{Act, COMPARING, LATCHING, RELEASE, Side};

/// The share of the users in gray.
pub(super) const PERMILLE: u16 = 100;
/// The header that chooses the route.
pub(super) const CHOICE: &str = "x-drill";

/// The YAML text.
pub(super) fn yaml(addresses: Addresses) -> String {
    let Addresses { traffic, admin, stable, gray } = addresses;
    let mut text = format!(
        r#"# Written by `graylane demo --incident`; gone when it ends.
version: 1
environment: dev
service: goods-core
lane: stable
listeners:
  - bind: {traffic}
admin: {{ bind: {admin} }}
drain: 2s
state: {{ dir: state }}                # where a rollback is kept
trust: [127.0.0.0/8]
facts: {{ user_id: [{{ header: x-user-id }}] }}
upstreams:
  goods-stable: {{ endpoints: ["{stable}"], idle: 500ms }}
  goods-gray:   {{ endpoints: ["{gray}"], idle: 500ms }}
releases:
  {RELEASE}: {{ level: permille, permille: {PERMILLE} }}
  {LATCHING}: {{ level: permille, permille: {PERMILLE}, salt: {RELEASE}, rollback: {{ openings: 3, within: 1m }} }}
  {COMPARING}: {{ level: permille, permille: {PERMILLE}, salt: {RELEASE}, rollback: {{ worse: true }} }}
breakers:                            # shorter than the defaults of 60s, 10s and 5s; every threshold is the default
  drill: {{ window: 10s, short_window: 2s, open_for: 1s, when_stable_opens: pass }}
  both:  {{ window: 10s, short_window: 2s, open_for: 1s, max_open: 1s, when_stable_opens: pass, trials: 200 }}  # so that gray is asked enough to be compared
routes:
"#
    );
    for act in Act::ALL {
        for side in Side::BOTH {
            let route = act.route(side);
            let breaker = if act == Act::Both { "both" } else { "drill" };
            let shield = match side {
                Side::Shielded => "\n    shield: {}",
                Side::Bare => "",
            };
            // Writing into a string cannot fail.
            let _ = write!(
                text,
                r#"  - name: {route}
    match: {{ path: "/api/v1/{{*rest}}", headers: {{ {CHOICE}: {route} }} }}
    lanes: {{ stable: goods-stable, gray: goods-gray }}
    release: {release}
    breaker: {breaker}
    timeouts: {{ connect: 250ms, first_byte: 3s, request: 10s }}{shield}
"#,
                release = act.release(),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::super::scratch::Scratch;
    use super::*;
    use crate::config;

    #[test]
    fn the_sidecar_takes_it_without_a_warning() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let scratch = Scratch::create().unwrap();
        let text = yaml(Addresses { traffic: at(1), admin: at(2), stable: at(3), gray: at(4) });
        scratch.write("drill.yaml", &text).unwrap();
        let loaded = config::load(&[scratch.path().to_owned()]).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}
