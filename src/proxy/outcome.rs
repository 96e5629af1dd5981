//! What an exchange says of the endpoint it was with, for the balance and for ejection.

use super::attempt::Failed;
use super::failure::Failure;
use crate::upstream::Outcome;
use crate::wire::{Known, ResponseHead};

/// What the head of an answer says.
pub(super) fn of_head(head: &ResponseHead) -> Outcome {
    match of_status(head.status) {
        // A call that failed before any message has its status in the head ("Trailers-Only", gRPC over HTTP/2).
        Outcome::Answered => match head.fields.first(Known::GrpcStatus) {
            // UNAVAILABLE
            Some(b"14") => Outcome::Unavailable,
            // UNKNOWN, DEADLINE_EXCEEDED, INTERNAL
            Some(b"2" | b"4" | b"13") => Outcome::Erred,
            _ => Outcome::Answered,
        },
        failed => failed,
    }
}

fn of_status(status: u16) -> Outcome {
    match status {
        502..=504 => Outcome::Unavailable,
        500..=599 => Outcome::Erred,
        _ => Outcome::Answered,
    }
}

/// Whether an answer with this status says no more than that the client chose a method which few know: any stranger could make a
/// lane fail by one. 501 for a method that everybody knows is the service's.
pub(super) fn is_odd_method(status: u16, method: &str) -> bool {
    status == 501 && !matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
}

/// What the end of an exchange says: `broken` is why an answer was broken off. An endpoint that was `kept_waiting` by its client
/// for long and failed then gave the client up.
pub(super) fn of_end(
    attempted: &Result<(), Failed>,
    broken: Option<Failure>,
    method: &str,
    kept_waiting: bool,
) -> Outcome {
    match (attempted, broken) {
        (Err(_), _) if kept_waiting => Outcome::Unknown,
        (Err(Failed { failure: Failure::HeldBack(status), .. }), _) if is_odd_method(*status, method) => {
            Outcome::Unknown
        }
        (Ok(()), None) => Outcome::Answered,
        (Ok(()), Some(Failure::Aborted)) => Outcome::Unavailable,
        // The client left, or was slow to take the answer: that cannot be told from an endpoint that pauses.
        (Ok(()), Some(_)) => Outcome::Unknown,
        // A kept connection that closes under a request is the race of every server with an idle time.
        (Err(Failed { untouched: true, .. }), _) => Outcome::Unknown,
        (Err(Failed { failure, .. }), _) => match failure {
            Failure::Reset | Failure::BadAnswer | Failure::Aborted => Outcome::Unavailable,
            // A caller's deadline that ran out is a failure too: impatient callers would hide an endpoint that hangs.
            Failure::FirstByteLate | Failure::RequestLate => Outcome::Unavailable,
            Failure::HeldBack(status) => of_status(*status),
            _ => Outcome::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, grpc: Option<&[u8]>) -> ResponseHead {
        let mut head = ResponseHead::default();
        head.status = status;
        grpc.into_iter().for_each(|code| head.fields.push(b"grpc-status", code));
        head
    }

    #[test]
    fn only_what_a_gateway_would_say_makes_an_endpoint_unavailable() {
        assert_eq!(of_head(&head(200, None)), Outcome::Answered);
        assert_eq!(of_head(&head(404, None)), Outcome::Answered);
        assert_eq!(of_head(&head(500, None)), Outcome::Erred);
        assert_eq!([501, 505].map(|status| of_head(&head(status, None))), [Outcome::Erred; 2]);
        assert_eq!([502, 503, 504].map(|status| of_head(&head(status, None))), [Outcome::Unavailable; 3]);
        assert_eq!(of_head(&head(200, Some(b"14"))), Outcome::Unavailable);
        assert_eq!(of_head(&head(200, Some(b"13"))), Outcome::Erred);
        assert_eq!(of_head(&head(200, Some(b"5"))), Outcome::Answered);
    }

    #[test]
    fn a_method_that_few_know_is_the_clients_choice() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert!(!is_odd_method(501, method), "{method}");
        }
        for method in ["TRACE", "FOO", "get", "PROPFIND"] {
            assert!(is_odd_method(501, method) && !is_odd_method(505, method), "{method}");
        }
        let held_back = |method| of_end(&Err(Failure::HeldBack(501).into()), None, method, false);
        assert_eq!((held_back("GET"), held_back("FOO")), (Outcome::Erred, Outcome::Unknown));
    }

    #[test]
    fn a_client_that_leaves_says_nothing_against_an_endpoint() {
        let failed = |failure: Failure| of_end(&Err(failure.into()), None, "GET", false);
        assert_eq!(failed(Failure::ClientGone), Outcome::Unknown);
        assert_eq!(failed(Failure::ClientLate), Outcome::Unknown);
        assert_eq!(failed(Failure::ClientOverdue), Outcome::Unknown);
        assert_eq!(failed(Failure::WordLate), Outcome::Unknown);
        assert_eq!(of_end(&Ok(()), Some(Failure::ClientGone), "GET", false), Outcome::Unknown);
        assert_eq!(failed(Failure::Reset), Outcome::Unavailable);
        assert_eq!(failed(Failure::HeldBack(503)), Outcome::Unavailable);
        assert_eq!(failed(Failure::HeldBack(500)), Outcome::Erred);
        assert_eq!(failed(Failure::FirstByteLate), Outcome::Unavailable);
        assert_eq!(of_end(&Ok(()), Some(Failure::Aborted), "GET", false), Outcome::Unavailable);
        assert_eq!(of_end(&Ok(()), None, "GET", false), Outcome::Answered);
        assert_eq!(failed(Failure::HeldBack(503)), Outcome::Unavailable, "the shield kept it from the client");
        assert_eq!(failed(Failure::HeldBack(500)), Outcome::Erred);
        let stale = Failed { failure: Failure::Reset, untouched: true };
        assert_eq!(of_end(&Err(stale), None, "GET", false), Outcome::Unknown, "it is an ordinary race");
        assert_eq!(of_end(&Err(Failure::Reset.into()), None, "GET", true), Outcome::Unknown, "it gave its client up");
    }
}
