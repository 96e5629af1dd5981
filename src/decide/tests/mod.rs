//! What the room promises, family by family.

mod algebra;
mod contradictions;
mod explanations;
mod levels;
mod operators;
mod overrides;
mod ramp;
mod refusals;
mod routes;

use std::borrow::Cow;
use std::collections::HashMap;

use super::*;

/// The facts of a test's request.
#[derive(Debug, Default)]
struct Known(HashMap<FactId, String>);

impl Known {
    fn of(facts: &[(FactId, &str)]) -> Known {
        Known(facts.iter().map(|(fact, value)| (*fact, (*value).to_owned())).collect())
    }
}

impl Facts for Known {
    fn get(&self, fact: FactId) -> Option<Cow<'_, str>> {
        self.0.get(&fact).map(|value| Cow::Borrowed(value.as_str()))
    }
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.to_owned())
}

fn number_of(value: &str) -> Scalar {
    Scalar::Number(number(value).unwrap())
}

/// A program with one release on the one route `/`, which has both lanes.
fn program(release: Release) -> Program {
    let route = RouteSpec {
        lanes: vec![LaneId::STABLE, LaneId::GRAY],
        release: ReleaseId::from_index(0),
        ..RouteSpec::on_path("goods", "/{*rest}")
    };
    Program::new(Lanes::new(), FactTable::new(), vec![release], vec![route]).unwrap()
}

const ROUTE: RouteId = RouteId(0);

/// A request of the least that routes look at.
#[derive(Debug, Default)]
struct Request {
    method: &'static str,
    host: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
}

impl RequestParts for Request {
    fn method(&self) -> &str {
        self.method
    }

    fn host(&self) -> Option<&str> {
        self.host
    }

    fn path(&self) -> &str {
        "/"
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes())
    }

    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.headers.iter().filter(|(known, _)| *known == name).for_each(|(_, value)| each(value.as_bytes()));
    }
}
