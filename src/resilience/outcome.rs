//! What counts: from how an exchange ended to what the figures make of it.
//!
//! A lane fails where its upstream does: 5xx, no connection, a reset, a time-out, and the gRPC codes that say the same.
//! What the client did wrong (4xx) was served well; what this process did wrong says nothing about the lane. A 501 for a method
//! that few know is no answer at all here: whoever knows the method says that the fault was the client's.

/// What the figures make of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The upstream did its work, be it to say no.
    Success,
    /// The upstream failed.
    Failure,
    /// The client went away. No error; the time so far is a lower bound of the latency, so that impatient clients
    /// cannot hide a lane that has become slow.
    Cancelled,
    /// The deadline that the caller had set ran out: a failure, for the same reason.
    CallerDeadline,
    /// Says nothing about the upstream.
    NotCounted,
}

impl Outcome {
    /// Whether it counts as an error.
    pub const fn is_failure(self) -> bool {
        matches!(self, Outcome::Failure | Outcome::CallerDeadline)
    }
}

/// Why an exchange ended without a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No endpoint could be connected to, or there was none.
    Connect,
    /// The upstream broke the connection off, before the answer or within it.
    Reset,
    /// What the upstream sent cannot be understood.
    BadAnswer,
    /// A time-out set here ran out: connect, first byte, idle, whole request.
    TimeOut,
    /// The deadline that the caller had set ran out.
    CallerDeadline,
    /// The client went away.
    ClientGone,
    /// The client sent something broken, or nothing.
    Client,
    /// This process refused the request or failed: no route, a loop, a limit, an injected fault.
    Own,
}

/// How an exchange ended, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Answer {
    /// The status the upstream sent, if one came.
    pub status: Option<u16>,
    /// Its `grpc-status`, from the trailers or a trailers-only head. A gRPC answer that ends without one is 2
    /// (UNKNOWN), which the caller has to say.
    pub grpc: Option<u16>,
    /// What broke the exchange, if anything did. It outweighs a status.
    pub fault: Option<Fault>,
}

/// Whether 429, and RESOURCE_EXHAUSTED of gRPC, count as failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TooManyRequests {
    /// They do not: the upstream protects itself.
    #[default]
    Success,
    /// They do.
    Failure,
}

/// What a call's end counts as.
pub fn classify(answer: Answer, too_many: TooManyRequests) -> Outcome {
    if let Some(fault) = answer.fault {
        return match fault {
            Fault::Connect | Fault::Reset | Fault::BadAnswer | Fault::TimeOut => Outcome::Failure,
            Fault::CallerDeadline => Outcome::CallerDeadline,
            Fault::ClientGone => Outcome::Cancelled,
            Fault::Client | Fault::Own => Outcome::NotCounted,
        };
    }
    let of_status = match answer.status {
        None => Outcome::NotCounted,
        Some(429) => of_too_many(too_many),
        Some(100..=499) => Outcome::Success,
        // 600 and more are to be taken as 5xx (RFC 9110 section 15).
        Some(_) => Outcome::Failure,
    };
    match (of_status, answer.grpc) {
        (Outcome::Success, Some(code)) => of_grpc(code, too_many),
        _ => of_status,
    }
}

/// By the codes of gRPC ("Status codes and their use in gRPC"); one that is not defined is UNKNOWN.
fn of_grpc(code: u16, too_many: TooManyRequests) -> Outcome {
    match code {
        // DEADLINE_EXCEEDED ends up here where the upstream sent it; where we did, there is a fault.
        2 | 4 | 13 | 14 => Outcome::Failure,
        8 => of_too_many(too_many),
        0..=16 => Outcome::Success,
        _ => Outcome::Failure,
    }
}

fn of_too_many(too_many: TooManyRequests) -> Outcome {
    match too_many {
        TooManyRequests::Success => Outcome::Success,
        TooManyRequests::Failure => Outcome::Failure,
    }
}

/// What a call's end says about the upstream's load, for [`AdaptiveLimit`](super::AdaptiveLimit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Load {
    /// It bears more.
    Fine,
    /// It has too much: it said so, or did not answer in time.
    TooMuch,
    /// Nothing. A 500 is a defect far more often than load, and less traffic does not heal it.
    Unknown,
}

/// What a call's end says about the upstream's load.
pub fn load(answer: Answer) -> Load {
    match (answer.fault, answer.status, answer.grpc) {
        (Some(Fault::Connect | Fault::TimeOut | Fault::CallerDeadline), ..) => Load::TooMuch,
        (Some(_), ..) => Load::Unknown,
        (None, Some(429 | 503 | 504), _) | (None, _, Some(4 | 8 | 14)) => Load::TooMuch,
        (None, Some(100..=499), None | Some(0)) => Load::Fine,
        _ => Load::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Option<u16>, grpc: Option<u16>, fault: Option<Fault>, expected: Outcome) {
        let answer = Answer { status, grpc, fault };
        assert_eq!(classify(answer, TooManyRequests::Success), expected, "{answer:?}");
    }

    #[test]
    fn a_status_counts_by_whose_fault_it_is() {
        for status in [101, 200, 204, 302, 304, 400, 404, 409, 429, 499] {
            check(Some(status), None, None, Outcome::Success);
        }
        for status in [500, 501, 502, 503, 504, 505, 506, 599, 600, 999, 0] {
            check(Some(status), None, None, Outcome::Failure);
        }
        check(None, None, None, Outcome::NotCounted);
    }

    #[test]
    fn four_codes_of_grpc_are_failures_and_so_is_an_unknown_one() {
        let failures: Vec<u16> = (0..=17)
            .filter(|code| {
                let answer = Answer { status: Some(200), grpc: Some(*code), fault: None };
                classify(answer, TooManyRequests::Success) == Outcome::Failure
            })
            .collect();
        assert_eq!(failures, [2, 4, 13, 14, 17]);
        check(Some(503), Some(0), None, Outcome::Failure);
    }

    #[test]
    fn a_fault_outweighs_the_status() {
        for fault in [Fault::Connect, Fault::Reset, Fault::BadAnswer, Fault::TimeOut] {
            check(Some(200), Some(0), Some(fault), Outcome::Failure);
            check(None, None, Some(fault), Outcome::Failure);
        }
        check(Some(200), None, Some(Fault::ClientGone), Outcome::Cancelled);
        check(None, None, Some(Fault::CallerDeadline), Outcome::CallerDeadline);
        check(Some(502), None, Some(Fault::Own), Outcome::NotCounted);
        check(None, None, Some(Fault::Client), Outcome::NotCounted);
        assert!(Outcome::CallerDeadline.is_failure() && !Outcome::Cancelled.is_failure());
    }

    #[test]
    fn too_many_requests_count_where_that_is_set() {
        for (status, grpc) in [(429, None), (200, Some(8)), (429, Some(0))] {
            let answer = Answer { status: Some(status), grpc, fault: None };
            assert_eq!(classify(answer, TooManyRequests::Failure), Outcome::Failure);
            assert_eq!(classify(answer, TooManyRequests::Success), Outcome::Success);
        }
    }

    #[test]
    fn load_is_what_the_upstream_says_of_it() {
        let of = |status, grpc, fault| load(Answer { status, grpc, fault });
        assert_eq!(of(Some(200), None, None), Load::Fine);
        assert_eq!(of(Some(404), None, None), Load::Fine);
        assert_eq!(of(Some(500), None, None), Load::Unknown);
        assert_eq!(of(Some(503), None, None), Load::TooMuch);
        assert_eq!(of(Some(200), Some(8), None), Load::TooMuch);
        assert_eq!(of(None, None, Some(Fault::TimeOut)), Load::TooMuch);
        assert_eq!(of(None, None, Some(Fault::ClientGone)), Load::Unknown);
    }
}
