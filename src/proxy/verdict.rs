//! What the end of an attempt says about its lane, for its breaker and its figures.

use super::failure::Failure;
use super::outcome::is_odd_method;
use super::record::Record;
use crate::resilience::{Answer, Fault, Outcome, TooManyRequests, classify};

/// What the end of an attempt says about its lane.
pub(super) fn outcome(answer: Answer, record: &Record) -> Outcome {
    if record.is_drill {
        return Outcome::NotCounted;
    }
    classify(answer, TooManyRequests::Success)
}

/// How an attempt ended. An upstream that was `kept_waiting` by its client for long and failed then gave the client up;
/// one that does not know a method which few know was asked for it by its client.
pub(super) fn answer(attempted: Result<(), Failure>, record: &Record, method: &str, kept_waiting: bool) -> Answer {
    let failure = attempted.err().or(record.failure);
    let unseen = match failure {
        Some(Failure::HeldBack(status) | Failure::Injected(status)) => Some(status),
        _ => None,
    };
    let status = unseen.or((record.status != 0).then_some(record.status));
    let fault = match failure {
        Some(Failure::RequestLate) if record.deadline_is_callers => Some(Fault::CallerDeadline),
        failure => failure.and_then(fault),
    };
    let answer = Answer { status, grpc: record.grpc_status, fault };
    let is_odd = fault.is_none() && status.is_some_and(|status| is_odd_method(status, method));
    if is_odd || kept_waiting && classify(answer, TooManyRequests::Success) == Outcome::Failure {
        return Answer { fault: Some(Fault::Client), ..answer };
    }
    answer
}

fn fault(failure: Failure) -> Option<Fault> {
    Some(match failure {
        // Its status says it all.
        Failure::HeldBack(_) | Failure::Injected(_) => return None,
        Failure::NoEndpoint | Failure::Connect => Fault::Connect,
        Failure::Reset | Failure::Aborted | Failure::InjectedReset => Fault::Reset,
        Failure::BadAnswer => Fault::BadAnswer,
        Failure::ConnectLate | Failure::FirstByteLate | Failure::BodyLate | Failure::RequestLate => Fault::TimeOut,
        Failure::ClientGone => Fault::ClientGone,
        Failure::ClientLate
        | Failure::ClientDrips
        | Failure::ClientBody
        | Failure::ClientOverdue
        | Failure::WordLate => Fault::Client,
        Failure::Refused(_)
        | Failure::Path
        | Failure::NoRoute
        | Failure::NoForwards
        | Failure::Loop
        | Failure::BreakerOpen { .. }
        | Failure::Limited { .. }
        | Failure::Overloaded { .. }
        | Failure::GrayDrained => Fault::Own,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_upstream_did_counts_and_what_others_did_does_not() {
        let outcome = |attempted, record: &Record| outcome(answer(attempted, record, "GET", false), record);
        let mut record = Record::default();
        assert_eq!(outcome(Err(Failure::Connect), &record), Outcome::Failure);
        assert_eq!(outcome(Err(Failure::HeldBack(503)), &record), Outcome::Failure);
        assert_eq!(outcome(Err(Failure::ClientGone), &record), Outcome::Cancelled);
        assert_eq!(outcome(Err(Failure::ClientBody), &record), Outcome::NotCounted);
        assert_eq!(outcome(Err(Failure::ClientOverdue), &record), Outcome::NotCounted);
        assert_eq!(outcome(Err(Failure::WordLate), &record), Outcome::NotCounted);
        assert_eq!(outcome(Err(Failure::RequestLate), &record), Outcome::Failure);
        record.deadline_is_callers = true;
        assert_eq!(outcome(Err(Failure::RequestLate), &record), Outcome::CallerDeadline);
        assert_eq!(outcome(Err(Failure::FirstByteLate), &record), Outcome::Failure);
        record.status = 404;
        assert_eq!(outcome(Ok(()), &record), Outcome::Success);
        record.status = 200;
        record.grpc_status = Some(14);
        assert_eq!(outcome(Ok(()), &record), Outcome::Failure);
        record.grpc_status = None;
        record.broken(Failure::Aborted);
        assert_eq!(outcome(Ok(()), &record), Outcome::Failure);
    }

    #[test]
    fn an_upstream_that_gave_its_client_up_did_not_fail() {
        let kept = |attempted, status| {
            let record = Record { status, ..Record::default() };
            outcome(answer(attempted, &record, "GET", true), &record)
        };
        assert_eq!(kept(Err(Failure::Reset), 0), Outcome::NotCounted);
        assert_eq!(kept(Ok(()), 500), Outcome::NotCounted);
        assert_eq!(kept(Ok(()), 200), Outcome::Success);
        assert_eq!(kept(Ok(()), 408), Outcome::Success);
        assert_eq!(kept(Err(Failure::ClientGone), 0), Outcome::Cancelled);
    }

    #[test]
    fn a_501_counts_for_the_methods_that_everybody_knows() {
        let of = |method, attempted, status| {
            let record = Record { status, ..Record::default() };
            outcome(answer(attempted, &record, method, false), &record)
        };
        assert_eq!(of("GET", Ok(()), 501), Outcome::Failure);
        assert_eq!(of("PATCH", Err(Failure::HeldBack(501)), 0), Outcome::Failure);
        assert_eq!(of("FOO", Ok(()), 501), Outcome::NotCounted);
        assert_eq!(of("FOO", Err(Failure::HeldBack(501)), 0), Outcome::NotCounted);
        assert_eq!(of("FOO", Ok(()), 505), Outcome::Failure);
        assert_eq!(of("FOO", Err(Failure::Aborted), 501), Outcome::Failure);
    }

    #[test]
    fn a_fault_on_purpose_counts_only_where_it_is_to() {
        let mut record = Record::default();
        for failure in [Failure::Injected(503), Failure::InjectedReset, Failure::FirstByteLate] {
            record.is_drill = false;
            assert_eq!(outcome(answer(Err(failure), &record, "GET", false), &record), Outcome::Failure);
            record.is_drill = true;
            assert_eq!(outcome(answer(Err(failure), &record, "GET", false), &record), Outcome::NotCounted);
        }
        record.is_drill = false;
        assert_eq!(outcome(answer(Err(Failure::Injected(404)), &record, "GET", false), &record), Outcome::Success);
    }
}
