//! Who the other end of a connection is, and whether the configuration in force trusts it.
//!
//! Who it is was settled when the connection began: by its address, or the one that its balancer told, and by the names that
//! a handshake verified. Whether that is trusted is asked anew once another configuration is in force: a network or a name
//! that is taken out of `trust` must not be believed for as long as somebody keeps a connection open.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::fields::{Peer, Scheme};
use super::snapshot::Snapshot;
use crate::extract::Trust;
use crate::tls::PeerNames;

/// What a connection is known by.
pub(super) struct Standing {
    /// Whether its address says anything of it: that of a balancer that tells of nobody does not.
    by_address: bool,
    /// The names of its certificate, where it showed one.
    names: Option<Box<PeerNames>>,
    asked: RefCell<Asked>,
}

/// Who was asked last, and what came of it. A request keeps the peer that it began with.
struct Asked {
    trust: Arc<Trust>,
    peer: Rc<Peer>,
}

impl Standing {
    /// Of a peer that said nothing of itself.
    pub(super) fn at(address: IpAddr, snapshot: &Snapshot) -> Self {
        let ip = address.to_canonical();
        let trust = snapshot.extractor.trust().clone();
        let trusted = trust.contains(ip);
        let peer = Rc::new(Peer { ip, text: ip.to_string().into(), trusted, scheme: Scheme::Http });
        Self { by_address: true, names: None, asked: RefCell::new(Asked { trust, peer }) }
    }

    /// The same of a peer whose address says nothing of it.
    pub(super) fn without_trust_in_its_address(self) -> Self {
        Self { by_address: false, ..self }.asked_anew(|_| {})
    }

    /// The same of a peer that came by TLS and showed these names.
    pub(super) fn by_tls(self, names: PeerNames) -> Self {
        let names = (names != PeerNames::default()).then(|| Box::new(names));
        Self { names, ..self }.asked_anew(|peer| peer.scheme = Scheme::Https)
    }

    fn asked_anew(mut self, change: impl FnOnce(&mut Peer)) -> Self {
        let (by_address, names) = (self.by_address, self.names.as_deref());
        let asked = self.asked.get_mut();
        let mut peer = Peer::clone(&asked.peer);
        change(&mut peer);
        peer.trusted = is_trusted(&asked.trust, peer.ip, by_address, names);
        asked.peer = Rc::new(peer);
        self
    }

    /// The peer as this configuration sees it, for one request.
    pub(super) fn peer(&self, snapshot: &Snapshot) -> Rc<Peer> {
        let trust = snapshot.extractor.trust();
        let mut asked = self.asked.borrow_mut();
        // The one that was asked is held, so no other can be in its place.
        if !Arc::ptr_eq(&asked.trust, trust) {
            let trusted = is_trusted(trust, asked.peer.ip, self.by_address, self.names.as_deref());
            if trusted != asked.peer.trusted {
                asked.peer = Rc::new(Peer { trusted, ..Peer::clone(&asked.peer) });
            }
            asked.trust = trust.clone();
        }
        asked.peer.clone()
    }
}

fn is_trusted(trust: &Trust, ip: IpAddr, by_address: bool, names: Option<&PeerNames>) -> bool {
    by_address && trust.contains(ip) || names.is_some_and(|names| trust.knows(&names.uris, &names.dns))
}
