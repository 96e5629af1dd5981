//! Conditions that are said never to hold never do.

use proptest::prelude::*;

use super::*;

fn test(table: &mut FactTable, key: &str, operator: Operator, values: &[&str]) -> Condition {
    let values = values.iter().map(|value| text(value)).collect();
    Condition::test(table, key, operator, values).unwrap()
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

#[track_caller]
fn check(expected: bool, list: &[(&str, Operator, &[&str], bool)]) {
    let mut table = FactTable::new();
    table.declare("x").unwrap();
    let conditions: Vec<Condition> = list
        .iter()
        .map(|(key, operator, values, wanted)| {
            let one = test(&mut table, key, *operator, values);
            if *wanted { one } else { not(one) }
        })
        .collect();
    assert_eq!(Condition::never_hold(&conditions), expected, "{list:?}");
}

#[test]
fn contradictions_are_found() {
    use Operator::{
        AllOf, AnyOf, Between, Cidr, Eq, Exists, Ge, Gt, In, Le, Lt, Ne, NotIn, Prefix, Regex, Semver, Suffix,
    };
    check(true, &[("category_id", Eq, &["a"], true), ("category_id", Eq, &["b"], true)]);
    check(true, &[("category_id", In, &["a", "b"], true), ("category_id", In, &["c", "d"], true)]);
    check(true, &[("category_id", In, &["a", "b"], true), ("category_id", NotIn, &["b", "a"], true)]);
    check(true, &[("category_id", Eq, &["a"], true), ("category_id", Eq, &["a"], false)]);
    check(true, &[("category_id", Eq, &["abc"], true), ("category_id", Prefix, &["x"], true)]);
    check(true, &[("category_id", Prefix, &["a"], true), ("category_id", Prefix, &["b"], true)]);
    check(true, &[("category_id", Suffix, &["a"], true), ("category_id", Suffix, &["b"], true)]);
    check(true, &[("category_id", Exists, &[], false), ("category_id", Ne, &["a"], true)]);
    check(true, &[("category_id", Regex, &["^a"], true), ("category_id", Regex, &["^a"], false)]);
    check(true, &[("stock_level", Gt, &["5"], true), ("stock_level", Lt, &["3"], true)]);
    check(true, &[("stock_level", Gt, &["5"], true), ("stock_level", Le, &["5"], true)]);
    check(
        true,
        &[("stock_level", Ge, &["5"], true), ("stock_level", Le, &["5"], true), ("stock_level", Ne, &["5.0"], true)],
    );
    check(true, &[("stock_level", Between, &["1", "4"], true), ("stock_level", Between, &["5", "9"], true)]);
    check(true, &[("stock_level", Gt, &["5"], true), ("stock_level", Gt, &["3"], false)]);
    check(true, &[("stock_level", In, &["1", "2"], true), ("stock_level", Gt, &["2"], true)]);
    check(true, &[("province_code", Eq, &["33"], true), ("province_code", Eq, &["440000"], true)]);
    check(true, &[("tag", AllOf, &["a", "b"], true), ("tag", AnyOf, &["b", "c"], false)]);
    check(true, &[("tag", AnyOf, &["a"], true), ("tag", AnyOf, &["a", "b"], false)]);
    check(true, &[("client_ip", Cidr, &["10.0.0.0/8"], true), ("client_ip", Cidr, &["192.168.0.0/16"], true)]);
    check(true, &[("client_ip", Cidr, &["10.1.0.0/16"], true), ("client_ip", Cidr, &["10.0.0.0/8"], false)]);
    check(true, &[("province_code", Eq, &["33"], true), ("city_id", Eq, &["4403"], true)]);
    check(true, &[("province_code", In, &["33", "32"], true), ("city_id", In, &["4403", "4401"], true)]);
    check(true, &[("province_code", Eq, &["44"], false), ("city_id", Eq, &["4403"], true)]);
    check(true, &[("x", Semver, &[">2, <1"], true)]);
    check(true, &[("x", Semver, &[">=2"], true), ("x", Semver, &["<1"], true)]);
    check(true, &[("x", Semver, &["^1.2"], true), ("x", Semver, &["~2.0"], true)]);
}

#[test]
fn what_can_hold_is_none() {
    use Operator::{AnyOf, Between, Cidr, Eq, Exists, Ge, Gt, In, Le, Ne, Prefix, Regex, Semver};
    check(false, &[]);
    check(false, &[("category_id", Eq, &["a"], true), ("user_tier", Eq, &["b"], true)]);
    check(false, &[("category_id", Eq, &["a"], false), ("category_id", Eq, &["b"], false)]);
    check(false, &[("category_id", Exists, &[], false)]);
    check(false, &[("category_id", In, &["a", "b"], true), ("category_id", In, &["b", "c"], true)]);
    check(false, &[("category_id", Prefix, &["ab"], true), ("category_id", Prefix, &["abc"], true)]);
    check(false, &[("category_id", Regex, &["^a"], true), ("category_id", Regex, &["^b"], true)]);
    check(false, &[("stock_level", Ge, &["5"], true), ("stock_level", Le, &["5"], true)]);
    check(false, &[("stock_level", Gt, &["5"], true), ("stock_level", Gt, &["7"], false)]);
    check(false, &[("stock_level", Between, &["1", "9"], true), ("stock_level", Ne, &["5"], true)]);
    check(false, &[("tag", AnyOf, &["a", "b"], true), ("tag", AnyOf, &["b"], false)]);
    check(false, &[("client_ip", Cidr, &["10.0.0.0/8"], true), ("client_ip", Cidr, &["10.1.0.0/16"], false)]);
    check(false, &[("province_code", Eq, &["44"], true), ("city_id", In, &["3301", "4403"], true)]);
    check(false, &[("province_code", Eq, &["33"], true), ("city_id", Eq, &["4403"], false)]);
    check(false, &[("x", Semver, &[">=2"], true), ("x", Semver, &["<3"], true)]);
    check(false, &[("x", Semver, &[">=2.0.0-rc.1"], true), ("x", Semver, &["<2.0.0"], true)]);
}

#[test]
fn one_of_several_alternatives_is_enough() {
    let mut table = FactTable::new();
    let mut category = |value: &str| test(&mut table, "category_id", Operator::Eq, &[value]);
    let (a, b, c) = (category("a"), category("b"), category("c"));
    let any = |parts: &[&Condition]| Condition::Any(parts.iter().map(|part| (*part).clone()).collect());
    assert!(Condition::never_hold(&[any(&[&a, &b]), c.clone()]));
    assert!(!Condition::never_hold(&[any(&[&a, &c]), c.clone()]));
    assert!(Condition::never_hold(&[not(any(&[&a, &b])), a.clone()]));
    assert!(Condition::never_hold(&[Condition::All(vec![a.clone(), not(Condition::All(vec![a.clone()]))])]));
    assert!(!Condition::never_hold(&[not(Condition::All(vec![a.clone(), b.clone()]))]));
}

fn leaf() -> impl Strategy<Value = Condition> {
    use Operator::{AllOf, AnyOf, Between, Contains, Eq, Exists, Ge, Gt, In, Le, Lt, Ne, NotIn, Prefix, Regex, Suffix};
    let word = prop::sample::select(vec!["1", "2", "02", "1.0", "a", "ab", "b"]);
    let number = prop::sample::select(vec!["1", "2", "3"]);
    let open = (prop::sample::select(vec![Eq, Ne, In, NotIn, Prefix, Suffix, Contains, Regex, AnyOf, AllOf]), word)
        .prop_map(|(operator, value)| ("x", operator, vec![text(value)]));
    let range = (prop::sample::select(vec![Gt, Ge, Lt, Le, Eq, Ne]), number.clone())
        .prop_map(|(operator, value)| ("x", operator, vec![number_of(value)]));
    let two = (prop::sample::select(vec![In, NotIn]), number.clone(), number.clone())
        .prop_map(|(operator, one, other)| ("x", operator, vec![number_of(one), text(other)]));
    let between = (number.clone(), number).prop_filter_map("in order", |(low, high)| {
        (low <= high).then(|| ("x", Between, vec![number_of(low), number_of(high)]))
    });
    let exists = Just(("x", Exists, Vec::new()));
    let region = (prop::sample::select(vec![Eq, Ne]), prop::sample::select(vec!["33", "440000"]))
        .prop_map(|(operator, value)| ("province_code", operator, vec![text(value)]));
    prop_oneof![4 => open, 4 => range, 2 => two, 2 => between, 1 => exists, 1 => region].prop_map(
        |(key, operator, values)| {
            let mut table = FactTable::new();
            table.declare("x").unwrap();
            Condition::test(&mut table, key, operator, values).unwrap()
        },
    )
}

fn condition() -> impl Strategy<Value = Condition> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::Any),
            inner.prop_map(not),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_is_said_never_to_hold_holds_for_no_request(conditions in prop::collection::vec(condition(), 1..4)) {
        if Condition::never_hold(&conditions) {
            let mut table = FactTable::new();
            let fact = table.declare("x").unwrap();
            let values = [
                None, Some("1"), Some("2"), Some("3"), Some("02"), Some("1.0"), Some("2.5"), Some("0"), Some("9"), Some(" 1"),
                Some("a"), Some("ab"), Some("b"), Some("ba"), Some(""), Some("a,b"), Some("1,2"), Some("ab,1"), Some("+3"),
            ];
            for value in values {
                for province in [None, Some("330000"), Some("44"), Some("zz")] {
                    let mut known = Known::default();
                    known.0.extend(value.map(|value| (fact, value.to_owned())));
                    known.0.extend(province.map(|value| (FactId::PROVINCE_CODE, value.to_owned())));
                    let holds = conditions.iter().all(|condition| condition.holds(&known));
                    prop_assert!(!holds, "{value:?} {province:?}");
                }
            }
        }
    }
}
