//! When a change needs a confirmation, and which one counts.

use super::*;
use crate::config::Guard;

const ON: Guard = Guard { most: crate::decide::Permille::new(200).unwrap(), files: true, sources: true };

fn refused(plan: &Plan, confirmations: &[&str]) -> Option<String> {
    plan.allow(ON, Origin::Files, confirmations).err().map(|error| error.to_string())
}

#[test]
fn a_step_over_the_share_needs_the_digest_of_its_plan() {
    let (old, new) = (with_release("{ permille: 50 }", ""), with_release("{ permille: 251 }", ""));
    let plan = plan(&old, &new);
    assert_eq!(
        refused(&plan, &[]).unwrap(),
        format!(
            "release `r` would move up to 201 of 1000 users into gray, route `all` would move up to 201 of 1000 users \
             into gray; nothing was changed: confirm this change with `confirm: {}`",
            plan.digest
        )
    );
    assert!(refused(&plan, &["0000000000000000"]).is_some());
    assert_eq!(refused(&plan, &["0000000000000000", &plan.digest]), None);
    assert_eq!(refused(&super::plan(&old, &with_release("{ permille: 250 }", "")), &[]), None);
}

#[test]
fn the_digest_of_one_plan_confirms_no_other() {
    let [a, b, c] = ["{ permille: 10 }", "{ permille: 300 }", "{ permille: 600 }"].map(|text| with_release(text, ""));
    let first = plan(&a, &b).digest;
    assert!(refused(&plan(&b, &c), &[&first]).is_some());
    assert!(refused(&plan(&a, &c), &[&first]).is_some());
    let again = Plan::between((&a).into(), (&b).into(), &Standing::default(), Some(&b.version));
    assert!(refused(&again, &[&first]).is_some(), "what was rolled back is confirmed anew");
}

#[test]
fn a_confirmation_in_the_document_does_not_change_the_plan_it_confirms() {
    let (old, new) = (with_release("{ permille: 50 }", ""), with_release("{ permille: 500 }", ""));
    let digest = plan(&old, &new).digest;
    let confirmed = with_release("{ permille: 500 }", &format!("confirm: {digest}\n"));
    assert_eq!(plan(&old, &confirmed).digest, digest);
    assert_eq!(confirmed.settings.confirmations, [digest.as_str()]);
    assert_ne!(confirmed.version, new.version);
}

#[test]
fn a_change_from_where_nobody_guards_needs_nothing() {
    let plan = plan(&with_release("{ permille: 0 }", ""), &with_release("{ level: full }", ""));
    let guard = Guard::default();
    assert!(plan.allow::<&str>(guard, Origin::Files, &[]).is_ok());
    assert!(plan.allow::<&str>(guard, Origin::Shared, &[]).is_err());
}

#[test]
fn taking_the_stable_endpoints_away_needs_one() {
    let (old, new) = (with_release("{ permille: 0 }", ""), with_release("{ permille: 0 }", ""));
    let moved = |loaded: &Loaded, address: &str| {
        let text = loaded.sources[0].text.replace("[127.0.0.1:9001]", address);
        load(&text)
    };
    let told = |address: &str| refused(&plan(&old, &moved(&new, address)), &[]);
    assert!(told("[127.0.0.1:9009]").unwrap().contains("the stable lane of route `all` would lose all its endpoints"));
    assert_eq!(told("[127.0.0.1:9009, 127.0.0.1:9001]"), None);
}

#[test]
fn removing_a_route_needs_one_only_where_it_has_requests() {
    let old = with_release("{ permille: 900 }", "");
    let text = "upstreams:\n  s: { endpoints: [127.0.0.1:9001] }\nroutes: [{ name: b, match: { path: /b }, lanes: { \
                stable: s } }]\n";
    let new = load(text);
    assert_eq!(refused(&plan(&old, &new), &[]), None);
    let busy = Standing { busy: ["all".to_owned()].into(), ..Standing::default() };
    let plan = Plan::between((&old).into(), (&new).into(), &busy, None);
    assert!(refused(&plan, &[]).unwrap().contains("route `all` would go, and it has requests"));
}

#[test]
fn a_change_that_switches_the_guard_off_is_still_guarded() {
    let guard = "guard: { move: 10%, files: on }\n";
    let old = with_release("{ permille: 0 }", guard);
    let new = with_release("{ permille: 500 }", "guard: { files: off }\n");
    assert_eq!(old.settings.guard, Guard { most: crate::decide::Permille::new(100).unwrap(), ..ON });
    let plan = plan(&old, &new);
    assert!(plan.allow(old.settings.guard, Origin::Files, &new.settings.confirmations).is_err());
}

#[test]
fn a_change_is_shared_where_a_shared_text_differs() {
    let source = |path: &str, text: &str| config::Source { path: path.into(), text: text.to_owned() };
    let old = [source("f.yaml", "1"), source("redis:a", "1")];
    let origin = |new: &[config::Source]| Origin::of(&old, new, |path| path.ends_with("redis:a"));
    assert_eq!(origin(&[source("f.yaml", "2"), source("redis:a", "1")]), Origin::Files);
    assert_eq!(origin(&[source("f.yaml", "1"), source("redis:a", "2")]), Origin::Shared);
    assert_eq!(origin(&[source("f.yaml", "1")]), Origin::Shared);
}
