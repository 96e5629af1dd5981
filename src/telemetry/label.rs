//! The label values that are known when the program is written.
//!
//! Labels come from here or from the configuration, never from a request: that bounds the number of series.

/// Defines an enum whose variants are the values of one label, in the order in which they are shown.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that stands in metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

label! {
    /// What went wrong with a source of configuration.
    SourceFault {
        /// It cannot be reached, or broke off.
        Unreachable = "unreachable",
        /// It did not answer in time.
        Late = "late",
        /// It refused us: a wrong user, password or right.
        Refused = "refused",
        /// Its documents are too many or too large.
        TooLarge = "too_large",
        /// What it said cannot be understood.
        Garbled = "garbled",
        /// It offered an older state than the one taken.
        OldRevision = "old_revision",
        /// A file that is needed to call it cannot be used.
        Setup = "setup",
    }
}

label! {
    /// The first digit of an answer's status code.
    CodeClass {
        /// 100 to 199: only a switch of protocols ends here.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 to 599, whether the upstream or the sidecar said it.
        ServerError = "5xx",
        /// A code outside of 100 to 599.
        Other = "other",
        /// No answer at all: the client left before there was one.
        None = "none",
    }
}

impl CodeClass {
    /// The class of a status code.
    pub const fn of(status: u16) -> Self {
        match status {
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

label! {
    /// How a TLS handshake with a client ended.
    Handshake {
        /// Done from the start.
        Full = "full",
        /// Done by resuming an earlier session.
        Resumed = "resumed",
        /// No common version, protocol or cipher, or a certificate that is missing or not good.
        Failed = "failed",
        /// The client spoke HTTP without TLS.
        PlainHttp = "plain_http",
        /// The client left.
        Closed = "closed",
        /// The client took too long.
        TimedOut = "timed_out",
        /// Too many connections were before their first request.
        Busy = "busy",
    }
}

label! {
    /// What became of the PROXY protocol at the start of a connection.
    ProxyHeader {
        /// It was taken.
        Accepted = "accepted",
        /// The peer is not one whose word is taken.
        Untrusted = "untrusted",
        /// There was none, or it was not well-formed.
        Malformed = "malformed",
        /// It was too long.
        TooLong = "too_long",
        /// The peer left.
        Closed = "closed",
        /// The peer took too long.
        TimedOut = "timed_out",
    }
}

label! {
    /// What a connection is doing.
    ConnectionState {
        /// At least one request is on it.
        Active = "active",
        /// Kept open for the next request.
        Idle = "idle",
    }
}

label! {
    /// How an attempt to connect to an upstream ended.
    ConnectResult {
        /// Connected.
        Connected = "connected",
        /// Nobody listens there.
        Refused = "refused",
        /// No answer within the connect time-out.
        TimedOut = "timed_out",
        /// There is no TLS with it: its certificate is not good, or it speaks none.
        Tls = "tls",
        /// The name has no address.
        Unresolved = "unresolved",
        /// Anything else: no route, no descriptor left, reset.
        Failed = "failed",
    }
}

label! {
    /// How an address of an endpoint stands.
    EndpointState {
        /// It is sent to.
        Usable = "usable",
        /// It is sent to; the first check of it is still to be made.
        Unchecked = "unchecked",
        /// It is passed over because its checks fail.
        Unhealthy = "unhealthy",
        /// It is passed over because requests to it failed.
        Ejected = "ejected",
    }
}

label! {
    /// How a check of an endpoint ended.
    CheckResult {
        /// It said that it is well.
        Passed = "passed",
        /// It could not be reached, or said that it is not well.
        Failed = "failed",
        /// No answer in time.
        TimedOut = "timed_out",
    }
}

label! {
    /// What became of an endpoint whose requests failed.
    EjectionResult {
        /// It is passed over for a while.
        Ejected = "ejected",
        /// It stays, because as many are out as may be.
        Capped = "capped",
    }
}

label! {
    /// Why the sidecar answered itself, before any lane was chosen.
    Refusal {
        /// Not a well-formed request.
        Malformed = "malformed",
        /// `Host` missing, twice or invalid.
        Host = "host",
        /// Body length stated twice, differently or wrongly.
        Framing = "framing",
        /// An encoded slash, backslash or NUL, or otherwise no path.
        Path = "path",
        /// The target is longer than the limit: 414.
        UriTooLong = "uri_too_long",
        /// Too many or too long headers: 431.
        HeadersTooLarge = "headers_too_large",
        /// The body is longer than the limit: 413.
        BodyTooLarge = "body_too_large",
        /// `CONNECT`, or another method the sidecar does not serve.
        Method = "method",
        /// A protocol version that is not served: 505.
        Version = "version",
        /// An `Expect` that cannot be met: 417.
        Expectation = "expectation",
        /// The client took too long to send the request: 408.
        SlowClient = "slow_client",
        /// No route matches: 404.
        NoRoute = "no_route",
        /// The request passed this service's sidecars too often: 508.
        Loop = "loop",
        /// A limit of connections or requests is reached.
        Overloaded = "overloaded",
    }
}

label! {
    /// Why the sidecar ended a client's connection of its own accord.
    Closing {
        /// There were as many connections as there may be.
        Connections = "connections",
        /// Its peer had as many as a peer may have.
        PeerConnections = "peer_connections",
        /// No request came for too long.
        Idle = "idle",
        /// A head took too long.
        SlowHead = "slow_head",
        /// HTTP/2: streams were reset too fast.
        ResetRate = "h2_reset_rate",
        /// HTTP/2: over its life, too many of its streams were reset.
        Resets = "h2_resets",
        /// HTTP/2: too many frames that carry nothing.
        ControlFrames = "h2_control_frames",
        /// HTTP/2: a bound of the codec was passed: CONTINUATION frames, tiny data, streams broken on purpose.
        Calm = "h2_calm",
        /// HTTP/2: what came is against the protocol.
        Protocol = "h2_protocol",
    }
}

label! {
    /// How a client was too slow within a request.
    SlowClient {
        /// Its body paused for too long.
        BodyPaused = "body_pause",
        /// Its body came too slowly on the whole.
        BodyDripped = "body_drip",
        /// It did not take its answer.
        AnswerNotTaken = "answer",
    }
}

label! {
    /// The header in which a caller says how long it still waits.
    DeadlineField {
        /// gRPC's.
        GrpcTimeout = "grpc-timeout",
        /// Everybody else's.
        RequestTimeout = "x-request-timeout-ms",
    }
}

label! {
    /// A limit of a lane that was reached.
    Limit {
        /// So many requests at a time.
        Concurrency = "concurrency",
        /// As many requests at a time as the upstream bears.
        Adaptive = "adaptive",
        /// So many requests a second.
        Rate = "rate",
    }
}

label! {
    /// How the last attempt to apply a configuration ended.
    Reload {
        /// Compiled and in use.
        Applied = "applied",
        /// Refused as a whole; the one before stays.
        Refused = "refused",
    }
}

label! {
    /// How a look-up of product facts ended for the request that wanted it.
    LookupResult {
        /// It was known.
        Hit = "hit",
        /// It was known and no longer fresh; it is looked up anew.
        Stale = "stale",
        /// It was looked up in time.
        Miss = "miss",
        /// The store answered, and what it has under this key is no record.
        Unusable = "unusable",
        /// It did not come in time.
        Late = "late",
        /// The store could not be asked, or did not understand.
        Failed = "failed",
        /// The store is down, or too many look-ups wait: it was not asked.
        Refused = "refused",
    }
}

label! {
    /// What became of an event about products.
    InvalidationResult {
        /// The target took it.
        Sent = "sent",
        /// The target did not take it; it is tried again.
        Retried = "retried",
        /// It is given up.
        Dropped = "dropped",
    }
}

label! {
    /// Why a token was not believed.
    TokenFate {
        /// It is no token.
        Malformed = "malformed",
        /// Its algorithm is not allowed.
        Algorithm = "algorithm",
        /// No key is for it.
        Key = "key",
        /// No key has signed it.
        Signature = "signature",
        /// It is over.
        Expired = "expired",
        /// It does not count yet.
        NotYetValid = "not_yet_valid",
        /// Another one issued it.
        Issuer = "issuer",
        /// It is for somebody else.
        Audience = "audience",
    }
}

label! {
    /// What became of a line of the access log.
    LineFate {
        /// Handed to the sink.
        Written = "written",
        /// Thrown away because the queue was full or the sink failed.
        Dropped = "dropped",
    }
}

label! {
    /// The state of a breaker; the number in the metric is the position here.
    BreakerState {
        /// Requests pass.
        Closed = "closed",
        /// A few trial requests pass.
        HalfOpen = "half_open",
        /// No request passes.
        Open = "open",
    }
}

label! {
    /// What moves a breaker. The cause implies the new state.
    BreakerCause {
        /// Too many failures: open.
        ErrorRate = "error_rate",
        /// The 99th percentile is too high: open.
        P99 = "p99",
        /// The mean is too high: open.
        Mean = "mean",
        /// Too many slow calls: open.
        SlowCalls = "slow_calls",
        /// The trials went badly: open again.
        TrialsFailed = "trials_failed",
        /// The open time is over: half-open.
        OpenTimeOver = "open_time_over",
        /// The trials went well: closed.
        TrialsPassed = "trials_passed",
    }
}

impl BreakerCause {
    /// The state that this cause leads to.
    pub const fn to(self) -> BreakerState {
        match self {
            Self::ErrorRate | Self::P99 | Self::Mean | Self::SlowCalls | Self::TrialsFailed => BreakerState::Open,
            Self::OpenTimeOver => BreakerState::HalfOpen,
            Self::TrialsPassed => BreakerState::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_code_has_a_class() {
        for (status, class) in [
            (101, "1xx"),
            (200, "2xx"),
            (299, "2xx"),
            (304, "3xx"),
            (418, "4xx"),
            (503, "5xx"),
            (600, "other"),
            (0, "other"),
            (999, "other"),
        ] {
            assert_eq!(CodeClass::of(status).as_str(), class, "{status}");
        }
    }

    #[test]
    fn a_variant_stands_in_all_at_its_own_number() {
        for (index, class) in CodeClass::ALL.iter().enumerate() {
            assert_eq!(*class as usize, index);
        }
        for (index, state) in BreakerState::ALL.iter().enumerate() {
            assert_eq!(*state as usize, index, "0 closed, 1 half-open, 2 open");
        }
    }
}
