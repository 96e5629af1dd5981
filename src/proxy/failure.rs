//! What can go wrong with a request, whose fault it is, and what the client is told.

use crate::wire::h1::HeadError;

/// A request that got no answer from an upstream, or not a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The head or the framing of the body is refused.
    #[error("the request is refused: {0}")]
    Refused(HeadError),
    /// A path that two readers may understand differently.
    #[error("the path has an encoded slash, backslash or NUL")]
    Path,
    /// No route matches.
    #[error("no route matches")]
    NoRoute,
    /// The request may not be forwarded again, so it ends here (RFC 9110 section 7.6.2).
    #[error("the request may not be forwarded any further")]
    NoForwards,
    /// The request has passed this service's sidecars too often.
    #[error("the request runs in a circle between sidecars")]
    Loop,
    /// The client sent the next bytes of its request, or took the next of its answer, too late.
    #[error("the client was too slow")]
    ClientLate,
    /// The client's body came on too slowly on the whole.
    #[error("the request's body came too slowly")]
    ClientDrips,
    /// The client's body broke its framing.
    #[error("the request's body is broken")]
    ClientBody,
    /// The client went away.
    #[error("the client went away")]
    ClientGone,
    /// Stable's breaker is open, and its requests are to fail fast.
    #[error("the service is taken out for a moment because it fails; try again later")]
    BreakerOpen {
        /// When it is worth asking again, in whole seconds.
        retry_after: u32,
    },
    /// The lane has no room for it.
    #[error("there are more requests than this route takes; try again later")]
    Limited {
        /// When it is worth asking again, in whole seconds.
        retry_after: u32,
    },
    /// The process has too much to do.
    #[error("the sidecar has too much to do; try again later")]
    Overloaded {
        /// When it is worth asking again, in whole seconds.
        retry_after: u32,
    },
    /// The upstream has no endpoint.
    #[error("the upstream has no endpoint")]
    NoEndpoint,
    /// No endpoint could be connected to.
    #[error("the upstream cannot be reached")]
    Connect,
    /// Connecting took too long.
    #[error("connecting to the upstream took too long")]
    ConnectLate,
    /// The upstream closed the connection before it answered.
    #[error("the upstream closed the connection before it answered")]
    Reset,
    /// Gray answered with this status, and the answer was held back.
    #[error("gray answered {0}")]
    HeldBack(u16),
    /// The upstream answered something that is not HTTP.
    #[error("the upstream's answer cannot be understood")]
    BadAnswer,
    /// The upstream did not begin to answer in time.
    #[error("the upstream did not answer in time")]
    FirstByteLate,
    /// The client expected to be asked for its body and did not send it, and the upstream said nothing: each may have waited for
    /// the other, so it says nothing against the upstream.
    #[error("the upstream did not answer in time")]
    WordLate,
    /// The upstream stopped in the middle of its answer.
    #[error("the upstream stopped in the middle of its answer")]
    BodyLate,
    /// The time for the whole request is over.
    #[error("the time for the request is over")]
    RequestLate,
    /// The time for the whole request was over while the client was waited for, so it says nothing against the upstream.
    #[error("the time for the request is over")]
    ClientOverdue,
    /// Its release was taken back, and what ran on gray has had its time.
    #[error("the release that answered was taken back; ask again")]
    GrayDrained,
    /// The upstream broke off in the middle of its answer.
    #[error("the upstream broke off in the middle of its answer")]
    Aborted,
    /// A fault on purpose: this status.
    #[error("a fault was injected on purpose")]
    Injected(u16),
    /// A fault on purpose: the client sees its connection or stream reset.
    #[error("a reset was injected on purpose")]
    InjectedReset,
}

impl Failure {
    /// What being late means where it was the client that was waited for.
    pub(super) fn of_client(self) -> Self {
        match self {
            Self::FirstByteLate | Self::WordLate => Self::ClientLate,
            Self::RequestLate => Self::ClientOverdue,
            other => other,
        }
    }

    /// The status the client gets, or would have got; 499 (nginx's) for a client that went away.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Refused(error) => error.status,
            Self::HeldBack(status) => status,
            Self::Path | Self::ClientBody => 400,
            Self::NoRoute => 404,
            Self::NoForwards => 405,
            Self::ClientLate | Self::ClientDrips => 408,
            Self::ClientGone => 499,
            Self::Connect | Self::Reset | Self::BadAnswer | Self::Aborted | Self::InjectedReset => 502,
            Self::Injected(status) => status,
            Self::Limited { .. } => 429,
            Self::NoEndpoint | Self::BreakerOpen { .. } | Self::Overloaded { .. } | Self::GrayDrained => 503,
            Self::ConnectLate | Self::FirstByteLate | Self::WordLate | Self::BodyLate => 504,
            Self::RequestLate | Self::ClientOverdue => 504,
            Self::Loop => 508,
        }
    }

    /// A stable word for answers, logs and metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Refused(error) => error.word,
            Self::Path => "ambiguous_path",
            Self::NoRoute => "no_route",
            Self::NoForwards => "max_forwards",
            Self::Loop => "loop",
            Self::ClientLate => "client_timeout",
            Self::ClientDrips => "slow_body",
            Self::ClientBody => "bad_body",
            Self::ClientGone => "client_gone",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Limited { .. } => "limited",
            Self::Overloaded { .. } => "overloaded",
            Self::NoEndpoint => "no_endpoint",
            Self::Connect => "connect_failed",
            Self::ConnectLate => "connect_timeout",
            Self::Reset => "upstream_reset",
            Self::HeldBack(_) => "held_back",
            Self::BadAnswer => "bad_upstream_answer",
            Self::FirstByteLate | Self::WordLate => "first_byte_timeout",
            Self::BodyLate => "idle_timeout",
            Self::RequestLate | Self::ClientOverdue => "request_timeout",
            Self::GrayDrained => "gray_drained",
            Self::Aborted => "upstream_aborted",
            Self::Injected(_) => "fault_abort",
            Self::InjectedReset => "fault_reset",
        }
    }

    /// In how many seconds it is worth asking again, where that is known.
    pub(super) fn retry_after(self) -> Option<u32> {
        match self {
            Self::BreakerOpen { retry_after } | Self::Limited { retry_after } | Self::Overloaded { retry_after } => {
                Some(retry_after)
            }
            // From now on the same user is sent to stable.
            Self::GrayDrained => Some(1),
            _ => None,
        }
    }

    /// The gRPC status a gRPC client gets (gRPC over HTTP/2, "HTTP to gRPC status code mapping", and 4 for time-outs).
    /// A limit is RESOURCE_EXHAUSTED, as the codes' own definition has it, not the UNAVAILABLE of that mapping: clients
    /// repeat what is UNAVAILABLE by themselves.
    pub(super) fn grpc_status(self) -> &'static str {
        match self.status() {
            400 => "13",
            404 => "12",
            408 | 504 => "4",
            429 => "8",
            499 => "1",
            502 | 503 => "14",
            _ => "2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_status_of_whose_fault_they_are() {
        assert_eq!(Failure::Refused(HeadError::HOST).status(), 400);
        assert_eq!(Failure::Connect.status(), 502);
        assert_eq!((Failure::FirstByteLate.status(), Failure::FirstByteLate.grpc_status()), (504, "4"));
        let limited = Failure::Limited { retry_after: 1 };
        assert_eq!((limited.status(), limited.grpc_status()), (429, "8"));
    }
}
