//! What is counted for the sidecar as a whole.

use super::cells::Cells;
use super::label::{Closing, ConnectionState, DeadlineField, Handshake, LineFate, ProxyHeader, Refusal};
use super::label::{SlowClient, TokenFate};
use crate::decide::OverrideError;

const REFUSALS: usize = ConnectionState::ALL.len();
const OVERRIDES: usize = REFUSALS + Refusal::ALL.len();
const LINES: usize = OVERRIDES + OverrideError::ALL.len();
const DEADLINES: usize = LINES + LineFate::ALL.len();
const TOKENS: usize = DEADLINES + DeadlineField::ALL.len();
const STRIPPED: usize = TOKENS + TokenFate::ALL.len();
const EXPRESSIONS: usize = STRIPPED + 1;
const CLOSINGS: usize = EXPRESSIONS + 1;
const HANDSHAKES: usize = CLOSINGS + Closing::ALL.len();
const PROXY_HEADERS: usize = HANDSHAKES + Handshake::ALL.len();
const SLOW: usize = PROXY_HEADERS + ProxyHeader::ALL.len();
const CELLS: usize = SLOW + SlowClient::ALL.len();

/// The series that belong to no route, release or upstream.
pub struct Totals(Cells);

impl Totals {
    pub(super) fn new(workers: usize) -> Self {
        Self(Cells::new(workers, CELLS))
    }

    /// One client connection more is in this state.
    #[inline]
    pub fn client_enters(&self, worker: usize, state: ConnectionState) {
        self.0.add(worker, state as usize, 1);
    }

    /// One client connection less is in this state.
    #[inline]
    pub fn client_leaves(&self, worker: usize, state: ConnectionState) {
        self.0.sub(worker, state as usize, 1);
    }

    /// A request was refused before a lane was chosen.
    #[inline]
    pub fn refused(&self, worker: usize, reason: Refusal) {
        self.0.add(worker, REFUSALS + reason as usize, 1);
    }

    /// A client's connection was ended by us.
    #[inline]
    pub fn closed(&self, worker: usize, why: Closing) {
        self.0.add(worker, CLOSINGS + why as usize, 1);
    }

    /// `n` headers of an untrusted peer were removed.
    #[inline]
    pub fn stripped(&self, worker: usize, n: usize) {
        self.0.add(worker, STRIPPED, n as u64);
    }

    /// `n` expressions could not be computed and were taken as false.
    #[inline]
    pub fn expressions_failed(&self, worker: usize, n: u32) {
        self.0.add(worker, EXPRESSIONS, n.into());
    }

    /// A TLS handshake with a client ended.
    #[inline]
    pub fn handshake(&self, worker: usize, how: Handshake) {
        self.0.add(worker, HANDSHAKES + how as usize, 1);
    }

    /// A connection began with the PROXY protocol, or should have.
    #[inline]
    pub fn proxy_header(&self, worker: usize, fate: ProxyHeader) {
        self.0.add(worker, PROXY_HEADERS + fate as usize, 1);
    }

    /// A request was given up because its client was too slow.
    #[inline]
    pub fn slow_client(&self, worker: usize, how: SlowClient) {
        self.0.add(worker, SLOW + how as usize, 1);
    }

    /// A trusted caller's deadline that was none was ignored.
    #[inline]
    pub fn deadline_ignored(&self, worker: usize, field: DeadlineField) {
        self.0.add(worker, DEADLINES + field as usize, 1);
    }

    /// A developer override was ignored.
    #[inline]
    pub fn override_rejected(&self, worker: usize, why: OverrideError) {
        self.0.add(worker, OVERRIDES + why as usize, 1);
    }

    /// A token was not believed.
    #[inline]
    pub fn token_rejected(&self, worker: usize, why: TokenFate) {
        self.0.add(worker, TOKENS + why as usize, 1);
    }

    /// `n` lines of the access log were written or dropped.
    pub(super) fn lines(&self, worker: usize, fate: LineFate, n: u64) {
        self.0.add(worker, LINES + fate as usize, n);
    }

    /// How many client connections are in this state now.
    pub fn clients(&self, state: ConnectionState) -> u64 {
        self.0.level(state as usize)
    }

    pub(super) fn refusals(&self, reason: Refusal) -> u64 {
        self.0.sum(REFUSALS + reason as usize)
    }

    pub(super) fn closings(&self, why: Closing) -> u64 {
        self.0.sum(CLOSINGS + why as usize)
    }

    pub(super) fn expressions_failed_sum(&self) -> u64 {
        self.0.sum(EXPRESSIONS)
    }

    pub(super) fn handshakes(&self, how: Handshake) -> u64 {
        self.0.sum(HANDSHAKES + how as usize)
    }

    pub(super) fn proxy_headers(&self, fate: ProxyHeader) -> u64 {
        self.0.sum(PROXY_HEADERS + fate as usize)
    }

    pub(super) fn slow_clients(&self, how: SlowClient) -> u64 {
        self.0.sum(SLOW + how as usize)
    }

    pub(super) fn stripped_sum(&self) -> u64 {
        self.0.sum(STRIPPED)
    }

    pub(super) fn overrides_rejected(&self, why: OverrideError) -> u64 {
        self.0.sum(OVERRIDES + why as usize)
    }

    pub(super) fn deadlines_ignored(&self, field: DeadlineField) -> u64 {
        self.0.sum(DEADLINES + field as usize)
    }

    pub(super) fn tokens_rejected(&self, why: TokenFate) -> u64 {
        self.0.sum(TOKENS + why as usize)
    }

    pub(super) fn lines_sum(&self, fate: LineFate) -> u64 {
        self.0.sum(LINES + fate as usize)
    }
}

/// How many values of each fact were rejected, by the fact's position in the list that the series was asked for with.
pub struct FactSeries(pub(super) Box<[std::sync::Arc<FactRejections>]>);

/// The counter of one fact.
pub(super) struct FactRejections(Cells);

impl FactRejections {
    pub(super) fn new(workers: usize) -> Self {
        Self(Cells::new(workers, 1))
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.sum(0)
    }
}

impl FactSeries {
    /// A value of this fact did not fit and counts as absent. A fact outside of the list is not counted.
    #[inline]
    pub fn rejected(&self, worker: usize, fact: usize) {
        if let Some(series) = self.0.get(fact) {
            series.0.add(worker, 0, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_do_not_overlap() {
        let totals = Totals::new(1);
        totals.client_enters(0, ConnectionState::Idle);
        Refusal::ALL.iter().for_each(|reason| totals.refused(0, *reason));
        OverrideError::ALL.iter().for_each(|why| totals.override_rejected(0, *why));
        LineFate::ALL.iter().for_each(|fate| totals.lines(0, *fate, 1));
        DeadlineField::ALL.iter().for_each(|field| totals.deadline_ignored(0, *field));
        TokenFate::ALL.iter().for_each(|why| totals.token_rejected(0, *why));
        Closing::ALL.iter().for_each(|why| totals.closed(0, *why));
        Handshake::ALL.iter().for_each(|how| totals.handshake(0, *how));
        ProxyHeader::ALL.iter().for_each(|fate| totals.proxy_header(0, *fate));
        totals.stripped(0, 1);
        totals.expressions_failed(0, 1);
        assert!(Closing::ALL.iter().all(|why| totals.closings(*why) == 1));
        assert_eq!(totals.expressions_failed_sum(), 1);
        assert!(TokenFate::ALL.iter().all(|why| totals.tokens_rejected(*why) == 1));
        assert_eq!(totals.clients(ConnectionState::Active), 0);
        assert_eq!(totals.clients(ConnectionState::Idle), 1);
        assert!(Refusal::ALL.iter().all(|reason| totals.refusals(*reason) == 1));
        assert!(OverrideError::ALL.iter().all(|why| totals.overrides_rejected(*why) == 1));
        assert!(LineFate::ALL.iter().all(|fate| totals.lines_sum(*fate) == 1));
        assert!(DeadlineField::ALL.iter().all(|field| totals.deadlines_ignored(*field) == 1));
        assert!(Handshake::ALL.iter().all(|how| totals.handshakes(*how) == 1));
        assert!(ProxyHeader::ALL.iter().all(|fate| totals.proxy_headers(*fate) == 1));
        assert_eq!(totals.stripped_sum(), 1);
    }
}
