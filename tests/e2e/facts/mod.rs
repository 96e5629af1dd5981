//! Facts from everywhere: baggage, tokens, bodies, databases and stores, each by the lane it leads to.

mod bodies;
mod odd;
mod records;
mod regions;
mod tokens;

use crate::harness::{Client, Origin, Plan, Response, Sidecar};

/// A sidecar whose gray lane is for requests of which these conditions hold, and for nobody else.
struct Scene {
    sidecar: Sidecar,
    stable: Origin,
    gray: Origin,
}

fn scene(facts: &str, conditions: &str, more: impl FnOnce(Plan) -> Plan) -> Scene {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = format!("level: full\nconditions: [{conditions}]");
    let plan = Plan::gray(stable.address(), gray.address(), &release).facts(facts).trust("127.0.0.1/32");
    Scene { sidecar: Sidecar::start(&more(plan)), stable, gray }
}

impl Scene {
    /// The lane of a `GET` with these field lines.
    fn lane(&self, fields: &str) -> String {
        lane(&self.sidecar.get("/", fields))
    }

    fn lane_from(&self, source: &str, fields: &str) -> String {
        lane(&Client::connect_from(source, self.sidecar.traffic()).get("/", fields))
    }

    /// The lane of a `POST` of JSON.
    fn lane_of(&self, body: &str) -> String {
        let length = body.len();
        let fields = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        lane(&self.post(&fields, body.as_bytes()))
    }

    fn post(&self, fields: &str, body: &[u8]) -> Response {
        let mut request = format!("POST /orders HTTP/1.1\r\nHost: shop.test\r\n{fields}\r\n").into_bytes();
        request.extend_from_slice(body);
        self.sidecar.client().exchange(&request)
    }

    /// The explanation of one fact.
    fn explained(&self, question: serde_json::Value, fact: &str) -> serde_json::Value {
        let answer =
            self.sidecar.admin_post("/api/v1/explain", "Content-Type: application/json\r\n", &question.to_string());
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["facts"][fact].clone()
    }
}

fn lane(response: &Response) -> String {
    response.get("x-lane").unwrap_or_else(|| panic!("no lane: {} {}", response.status(), response.text()))
}

#[test]
fn baggage_of_trusted_peers_gives_facts() {
    let facts = "user_tier: [{ header: x-user-tier }, { baggage: tier }]";
    let scene = scene(facts, "{ key: user_tier, operator: EQ, value: 金 卡 }", |plan| plan);
    let member = "tier=%E9%87%91%20%E5%8D%A1;ttl=60;x";
    assert_eq!(scene.lane(&format!("baggage: a=1, {member} ,b=2\r\n")), "gray");
    assert_eq!(scene.lane(&format!("baggage: a=1\r\nBaggage: {member}\r\n")), "gray");
    assert_eq!(scene.lane("baggage: tier=other\r\n"), "stable");
    assert_eq!(scene.lane("baggage: tier=%ff\r\n"), "stable");
    assert_eq!(scene.lane(&format!("x-user-tier: other\r\nbaggage: {member}\r\n")), "stable");
    assert_eq!(scene.lane_from("127.0.0.9", &format!("baggage: {member}\r\n")), "stable");
    // Beyond what the recommendation lets a reader count on, nothing is looked for.
    assert_eq!(scene.lane(&format!("baggage: a={}\r\nbaggage: {member}\r\n", "x".repeat(9000))), "stable");
    assert_eq!(scene.stable.last().head.all("baggage").len(), 2);
    let fact = scene.explained(
        serde_json::json!({ "url": "/", "headers": { "baggage": member }, "client_ip": "203.0.113.1" }),
        "user_tier",
    );
    assert_eq!(fact["tried"][1], serde_json::json!({ "source": "baggage tier", "why": "the peer is not trusted" }));
}

#[test]
fn amounts_in_fen_are_compared_in_yuan() {
    let facts = "order_amount: [{ header: x-amount }, { json: /amount }]";
    let conditions = "{ key: order_amount, operator: GE, value: 299.01 }";
    let scene = scene(facts, conditions, |plan| plan.more("order_amount_unit: fen"));
    assert_eq!(scene.lane("x-amount: 29901\r\n"), "gray");
    assert_eq!(scene.lane("x-amount: 29900\r\n"), "stable");
    assert_eq!(scene.lane_of("{\"amount\":29901}"), "gray");
    assert_eq!(scene.lane("x-amount: 1e9\r\n"), "stable");
    scene.sidecar.wait_for_metric("graylane_facts_rejected_total", &[("fact", "order_amount")], 1.0);
    let fact = scene.explained(serde_json::json!({ "url": "/", "headers": { "x-amount": "1" } }), "order_amount");
    assert_eq!((&fact["value"], &fact["source"]), (&"0.01".into(), &"header x-amount".into()));
}
