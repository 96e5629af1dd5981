//! Who speaks: the peer, whether it is trusted, and the client behind it.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::TrustName;

/// The peers that may set identity, forwarding and lane-mark headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    networks: Vec<IpNet>,
    names: Vec<TrustName>,
}

impl Trust {
    /// Peers of these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Trust {
        Trust { networks: networks.into_iter().collect(), names: Vec::new() }
    }

    /// And those whose verified certificates bear one of these names.
    pub fn with_names(self, names: Vec<TrustName>) -> Trust {
        Trust { names, ..self }
    }

    /// Whether a peer is trusted for the URIs and DNS names (in lower case) of its certificate, which must have been
    /// verified.
    pub fn knows(&self, uris: &[String], dns: &[String]) -> bool {
        self.names.iter().any(|name| name.is_among(uris, dns))
    }

    /// Whether an address is trusted. An IPv4 address mapped into IPv6 is looked up as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address; nothing for a Unix socket, and for `explain` without one.
    pub address: Option<IpAddr>,
    /// Whether its identity, forwarding and lane-mark headers are believed.
    pub trusted: bool,
}

impl Peer {
    /// A peer of this address.
    pub fn at(address: IpAddr, trust: &Trust) -> Peer {
        Peer { address: Some(address), trusted: trust.contains(address) }
    }

    /// A trusted peer without an address.
    pub const fn local() -> Peer {
        Peer { address: None, trusted: true }
    }
}

/// The client's address: the rightmost of `X-Forwarded-For` that is not trusted, where the peer is trusted; else the
/// peer's own. `forwarded` calls with every value of the header, in the order sent.
///
/// The walk from the right ends at the first entry that is no address: what stands to the left of it was written by
/// nobody we know, so the client is the last trusted hop. Where every entry is trusted, it is the leftmost.
pub fn client_ip(peer: Peer, trust: &Trust, forwarded: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Option<IpAddr> {
    let own = peer.address.map(|address| address.to_canonical());
    if !peer.trusted {
        return own;
    }
    // The walk from the right, folded from the left, so that no list is built: `client` is the answer if the walk
    // gets this far.
    let mut client = None;
    forwarded(&mut |value| {
        for entry in value.split(|byte| *byte == b',') {
            client = match std::str::from_utf8(entry).ok().and_then(|entry| address_of(entry.trim())) {
                None => None,
                Some(address) if trust.contains(address) => client.or(Some(address)),
                Some(address) => Some(address),
            };
        }
    });
    client.or(own)
}

/// An entry of `X-Forwarded-For`: an address, also with a port or in brackets.
fn address_of(entry: &str) -> Option<IpAddr> {
    let bare = entry.parse::<IpAddr>().ok();
    let with_port = || entry.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    bare.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> Trust {
        Trust::new(["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()))
    }

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let peer = Peer::at(peer.parse().unwrap(), &trust());
        let client = client_ip(peer, &trust(), |each| forwarded.iter().for_each(|value| each(value.as_bytes())));
        assert_eq!(client, Some(expected.parse().unwrap()), "{forwarded:?}");
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted_address() {
        check("10.0.0.1", &["203.0.113.7, 10.0.0.2"], "203.0.113.7");
        check("10.0.0.1", &["1.2.3.4, 203.0.113.7, 10.0.0.2"], "203.0.113.7");
        check("10.0.0.1", &["203.0.113.7", "10.0.0.3,10.0.0.2"], "203.0.113.7");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9");
        check("fd00::1", &["2001:db8::7"], "2001:db8::7");
        check("::ffff:10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7");
    }

    #[test]
    fn an_untrusted_peer_speaks_for_itself_alone() {
        check("203.0.113.9", &["1.2.3.4"], "203.0.113.9");
    }

    #[test]
    fn garbage_ends_the_walk() {
        check("10.0.0.1", &["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &["203.0.113.7, unknown"], "10.0.0.1");
        check("10.0.0.1", &["unknown, 203.0.113.7"], "203.0.113.7");
        check("10.0.0.1", &["203.0.113.7,"], "10.0.0.1");
        check("10.0.0.1", &["\u{fffd}"], "10.0.0.1");
    }

    #[test]
    fn entries_may_carry_ports() {
        check("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7");
        check("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7");
        check("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7");
    }
}
