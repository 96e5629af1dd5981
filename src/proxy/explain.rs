//! How a lane was decided, told in the answer: to whoever carries an override that was signed for it, and to nobody else.

use super::peek::speaker;
use super::respond::Mark;
use super::snapshot::Snapshot;
use super::{Request, Routed, lane};
use crate::config::ResponseMark;
use crate::decide::{Inputs, Reason};
use crate::extract::{lane_mark, override_token};

/// The most bytes of `x-gray-explain`: with everything else that an answer's head holds, well below the 8 KiB that many
/// servers and balancers take.
const LONGEST: usize = 2048;

impl Routed<'_> {
    /// Makes the explanation where a signed debugger asks for it. The request is read and decided once more: that is rare,
    /// and everybody else pays nothing for it.
    pub(super) fn explain(&mut self, snapshot: &Snapshot, request: &Request<'_, '_>) {
        let (program, head) = (&snapshot.settings.program, request.head);
        let Some(release) = self.decision.release else { return };
        let Some(developer) = &program.release(release).developer else { return };
        let Some(token) = override_token(developer, head) else { return };
        let now_unix = lane::now_unix();
        if !developer.lets_explain(&token, &program.release(release).name, now_unix) {
            return;
        }
        let Some(found) = program.find(head, self.path.as_str()) else { return };
        let speaker = speaker(request.peer);
        let facts = snapshot.extractor.facts_with(head, &found, speaker, &self.ahead);
        let inputs = Inputs {
            facts: &facts,
            override_token: Some(&token),
            mark: lane_mark(head, speaker),
            latched: snapshot.is_latched(release),
            now_unix,
        };
        let mut reasoning = program.explain_decision(found.route, &inputs);
        if self.decision.reason == Reason::BreakerOpen {
            reasoning.fall_back(Reason::BreakerOpen);
        }
        reasoning.upstream = snapshot.settings.upstream_of(&reasoning.route, &reasoning.lane).map(str::to_owned);
        self.explain = Some(reasoning.one_line(LONGEST).into());
    }

    /// Stable answers in gray's place.
    pub(super) fn explain_shielded(&mut self) {
        if let Some(line) = &mut self.explain {
            *line = format!("shielded=stable; {line}").into();
        }
    }

    /// What an answer of `lane` shows of the decision.
    pub(super) fn mark<'m>(&'m self, snapshot: &'m Snapshot, lane: &'m str) -> Mark<'m> {
        let shows_lane = snapshot.settings.response_mark != ResponseMark::Off;
        Mark { lane: shows_lane.then_some(lane), cache: snapshot.cache_field(), explain: self.explain.as_deref() }
    }
}
