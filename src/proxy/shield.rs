//! The shield: a gray attempt that fails before anything was answered is made good by stable, where that is safe.
//!
//! Safe is: nothing of the request was sent; or the method is idempotent (or the route says that both lanes share one
//! idempotency store) and all of the body is still at hand. The first costs stable nothing it would not have had to do
//! anyway; the second is a retry and is paid from the retry budget, so that a dying gray cannot double stable's load.

use super::failure::Failure;
use crate::config::{Shield, ShieldWord};
use crate::wire::{Known, ResponseHead, Verb};

/// The shield over one gray attempt.
#[derive(Clone, Copy)]
pub(super) struct Guard<'r> {
    pub(super) shield: &'r Shield,
    pub(super) verb: Verb,
    /// Takes one retry from the budget, if it has one left.
    pub(super) withdraw: &'r dyn Fn() -> bool,
}

impl Guard<'_> {
    /// How much of the body is to be kept for stable.
    pub(super) fn kept_body(&self) -> usize {
        if self.may_repeat() { usize::try_from(self.shield.max_body).unwrap_or(usize::MAX) } else { 0 }
    }

    /// Whether an answer that is just beginning is to be held back and the request sent to stable instead.
    pub(super) fn holds_back(&self, head: &ResponseHead, body_at_hand: bool) -> Option<Failure> {
        let status = failed_status(head)?;
        self.repeats(ShieldWord::Status(status), body_at_hand).then_some(Failure::HeldBack(status))
    }

    /// Whether a request whose gray attempt failed is to be sent to stable.
    pub(super) fn catches(&self, failure: Failure, body_at_hand: bool) -> bool {
        match failure {
            // Nothing was sent, so any method may go elsewhere.
            Failure::Connect | Failure::ConnectLate | Failure::NoEndpoint => self.is_on(ShieldWord::Connect),
            Failure::Reset | Failure::BadAnswer => self.repeats(ShieldWord::Reset, body_at_hand),
            Failure::FirstByteLate | Failure::WordLate => self.repeats(ShieldWord::Status(504), body_at_hand),
            // As if gray had answered it.
            Failure::Injected(status) => self.repeats(ShieldWord::Status(status), body_at_hand),
            // Its place in the budget was taken when it was held back.
            Failure::HeldBack(_) => true,
            _ => false,
        }
    }

    fn repeats(&self, word: ShieldWord, body_at_hand: bool) -> bool {
        self.is_on(word) && body_at_hand && self.may_repeat() && (self.withdraw)()
    }

    fn may_repeat(&self) -> bool {
        self.verb.is_idempotent() || self.shield.shared_idempotency
    }

    fn is_on(&self, word: ShieldWord) -> bool {
        self.shield.on.contains(&word)
    }
}

/// The status of a failed answer; that of a gRPC answer which is over with its head ("Trailers-Only") as HTTP would put
/// it (gRPC over HTTP/2, "HTTP to gRPC status code mapping", read backwards).
pub(super) fn failed_status(head: &ResponseHead) -> Option<u16> {
    if head.status != 200 {
        return (head.status >= 400).then_some(head.status);
    }
    match head.fields.first(Known::GrpcStatus)? {
        b"2" | b"13" => Some(500),
        b"14" => Some(503),
        b"4" => Some(504),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Permille;

    fn shield(shared_idempotency: bool) -> Shield {
        let on = vec![ShieldWord::Connect, ShieldWord::Reset, ShieldWord::Status(503), ShieldWord::Status(504)];
        Shield { on, max_body: 100, budget: Permille::ALL, shared_idempotency }
    }

    fn catches(verb: Verb, shared: bool, failure: Failure, body_at_hand: bool, budget: bool) -> bool {
        Guard { shield: &shield(shared), verb, withdraw: &|| budget }.catches(failure, body_at_hand)
    }

    #[test]
    fn what_was_never_sent_goes_to_stable_whatever_it_is() {
        assert!(catches(Verb::Other, false, Failure::Connect, true, false));
        assert!(catches(Verb::Get, false, Failure::NoEndpoint, true, false));
    }

    #[test]
    fn what_was_sent_goes_to_stable_only_if_twice_is_as_good_as_once() {
        assert!(catches(Verb::Get, false, Failure::Reset, true, true));
        assert!(!catches(Verb::Other, false, Failure::Reset, true, true));
        assert!(catches(Verb::Other, true, Failure::Reset, true, true));
        assert!(!catches(Verb::Get, false, Failure::Reset, false, true), "the body is gone");
        assert!(!catches(Verb::Get, false, Failure::Reset, true, false), "the budget is spent");
        assert!(!catches(Verb::Get, false, Failure::ClientGone, true, true));
        assert!(catches(Verb::Get, false, Failure::FirstByteLate, true, true));
        assert!(catches(Verb::Put, false, Failure::WordLate, true, true), "its client waits to be asked for the body");
        assert!(catches(Verb::Get, false, Failure::Injected(503), true, true));
        assert!(!catches(Verb::Get, false, Failure::Injected(500), true, true), "not listed");
        assert!(!catches(Verb::Get, false, Failure::InjectedReset, true, true), "the client is to see it");
    }

    #[test]
    fn a_failed_answer_is_held_back_if_it_is_listed() {
        let guard = Guard { shield: &shield(false), verb: Verb::Get, withdraw: &|| true };
        assert_eq!(guard.holds_back(&ResponseHead::own(503), true), Some(Failure::HeldBack(503)));
        assert_eq!(guard.holds_back(&ResponseHead::own(500), true), None);
        assert_eq!(guard.holds_back(&ResponseHead::own(200), true), None);
        let mut grpc = ResponseHead::own(200);
        grpc.fields.push(b"grpc-status", b"14");
        assert_eq!(guard.holds_back(&grpc, true), Some(Failure::HeldBack(503)));
    }
}
