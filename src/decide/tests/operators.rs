//! Every operator on facts that meet it, fail it, are absent, or are of another kind.

use proptest::prelude::*;

use super::*;
use Operator::*;

fn holds(key: &str, operator: Operator, values: Vec<Scalar>, actual: Option<&str>) -> bool {
    let mut table = FactTable::new();
    let _ = table.declare("region");
    let condition = Condition::test(&mut table, key, operator, values).unwrap();
    let fact = table.resolve(key).unwrap();
    condition.holds(&Known(actual.map(|value| (fact, value.to_owned())).into_iter().collect()))
}

#[track_caller]
fn check(key: &str, operator: Operator, values: &[&str], actual: &str, expected: bool) {
    let values: Vec<Scalar> = values.iter().map(|value| text(value)).collect();
    assert_eq!(holds(key, operator, values.clone(), Some(actual)), expected, "{actual} {operator} {values:?}");
    assert!(!holds(key, operator, values, None), "absent {operator}");
}

#[test]
fn codes_compare_as_text() {
    check("category_id", Eq, &["1001"], "1001", true);
    check("category_id", Eq, &["1001"], "01001", false);
    check("category_id", Eq, &["1001"], "1001.0", false);
    check("category_id", Ne, &["1001"], "1002", true);
    check("category_id", Ne, &["1001"], "1001", false);
    check("category_id", In, &["1001", "1002"], "1002", true);
    check("category_id", NotIn, &["1001", "1002"], "1003", true);
    check("category_id", NotIn, &["1001", "1002"], "1001", false);
    check("user_tier", Eq, &["金牌"], "金牌", true);
    check("user_tier", Eq, &["VIP"], "vip", false);
    assert!(holds("category_id", In, vec![number_of("1001")], Some("1001")));
    assert!(!holds("category_id", In, vec![number_of("1001")], Some("1001.0")));
}

#[test]
fn numbers_compare_exactly() {
    for equal in ["500", "500.0", "500.00", "+500", "0500"] {
        check("order_amount", Eq, &["500"], equal, true);
    }
    check("order_amount", Eq, &["0.3"], "0.30000000000000000001", false);
    check("stock_level", Gt, &["500"], "501", true);
    check("stock_level", Gt, &["500"], "500", false);
    check("stock_level", Ge, &["500"], "500", true);
    check("stock_level", Lt, &["500"], "499.99", true);
    check("stock_level", Le, &["500"], "500.01", false);
    check("stock_level", Between, &["1", "10"], "1", true);
    check("stock_level", Between, &["1", "10"], "10", true);
    check("stock_level", Between, &["1", "10"], "10.1", false);
    check("stock_level", In, &["1", "2.50"], "2.5", true);
    check("stock_level", NotIn, &["1", "2"], "3", true);
    check("order_amount", Gt, &["12345678901234567890.10"], "12345678901234567890.11", true);
    assert!(holds("stock_level", Gt, vec![number_of("500")], Some("501")));
}

#[test]
fn what_is_no_number_meets_no_number() {
    for odd in ["abc", "NaN", "1e999", "inf", &"9".repeat(400), "", "5 0"] {
        for (operator, values) in
            [(Eq, &["5"][..]), (Ne, &["5"]), (NotIn, &["5"]), (Gt, &["5"]), (Lt, &["5"]), (Between, &["0", "9"])]
        {
            check("stock_level", operator, values, odd, false);
        }
    }
}

#[test]
fn open_facts_compare_as_the_value_is_written() {
    assert!(holds("header:x-count", Eq, vec![number_of("500")], Some("500.0")));
    assert!(!holds("header:x-count", Eq, vec![text("500")], Some("500.0")));
    assert!(!holds("header:x-count", Ne, vec![number_of("500")], Some("abc")));
    assert!(holds("header:x-count", Ne, vec![text("500")], Some("abc")));
    assert!(holds("query:beta", Eq, vec![Scalar::Bool(true)], Some("true")));
    assert!(holds("header:x-count", In, vec![number_of("1"), text("many")], Some("many")));
    assert!(holds("header:x-count", In, vec![number_of("1"), text("many")], Some("1.0")));
    assert!(holds("header:x-count", NotIn, vec![number_of("1"), text("many")], Some("few")));
    assert!(holds("region", Eq, vec![text("cn-east")], Some("cn-east")));
}

#[test]
fn texts_are_searched() {
    check("sku_id", Prefix, &["HOT-", "NEW-"], "NEW-1", true);
    check("sku_id", Prefix, &["HOT-"], "hot-1", false);
    check("sku_id", Suffix, &["-cn"], "a-cn", true);
    check("sku_id", Contains, &["gift"], "a-gift-b", true);
    check("sku_id", Contains, &["gift"], "a-gif", false);
    check("sku_id", Regex, &["^[A-Z]{3}-[0-9]+$"], "ABC-12", true);
    check("sku_id", Regex, &["^[A-Z]{3}-[0-9]+$"], "ABC-x", false);
    check("header:user-agent", Regex, &["(?i)iphone"], "Mozilla (iPhone)", true);
}

#[test]
fn presence_is_a_test_of_its_own() {
    check("device_id", Exists, &[], "d1", true);
    assert!(!holds("device_id", Exists, vec![], None));
}

#[test]
fn addresses_lie_in_networks() {
    check("client_ip", Cidr, &["10.0.0.0/8", "fd00::/8"], "10.1.2.3", true);
    check("client_ip", Cidr, &["10.0.0.0/8"], "::ffff:10.1.2.3", true);
    check("client_ip", Cidr, &["10.0.0.0/8"], "11.1.2.3", false);
    check("client_ip", Cidr, &["10.1.2.3/8"], "10.9.9.9", true);
    check("client_ip", Cidr, &["fd00::/8"], "fd00::1", true);
    check("client_ip", Eq, &["10.1.2.3"], "10.1.2.3", true);
    check("client_ip", Eq, &["2001:db8::1"], "2001:0db8:0::1", true);
    check("client_ip", NotIn, &["10.1.2.3"], "10.1.2.4", true);
    check("client_ip", NotIn, &["10.1.2.3"], "unknown", false);
    check("header:x-office", Cidr, &["192.168.0.0/16"], "192.168.7.7", true);
}

#[test]
fn versions_meet_requirements() {
    for (actual, expected) in [
        ("2.4.0", true),
        ("2.4.1", true),
        ("v2.5", true),
        ("3", true),
        ("2.3.9", false),
        ("2.10.0", true),
        ("two", false),
        ("2.4.x", false),
        ("", false),
        ("2.", false),
        ("+3", false),
    ] {
        check("header:x-app-version", Semver, &[">=2.4.0"], actual, expected);
    }
    check("header:x-app-version", Semver, &[">=2.4, <3"], "3.0.0", false);
}

#[test]
fn tags_are_a_set() {
    check("tag", AnyOf, &["vip", "new"], "old, new", true);
    check("tag", AnyOf, &["vip"], "svip", false);
    check("tags", AllOf, &["vip", "new"], "new,vip , x", true);
    check("tags", AllOf, &["vip", "new"], "vip", false);
    check("tags", Contains, &["vip"], "a,vip", true);
    check("tags", Contains, &["vip"], "svip", false);
    check("header:x-groups", AllOf, &["a", "b"], "b, a", true);
}

#[test]
fn region_codes_are_brought_to_six_digits() {
    check("province_code", Eq, &["33"], "330000", true);
    check("province_code", In, &["330000", "44"], "44", true);
    check("city_id", Eq, &["3301"], "330100", true);
    check("city_id", Eq, &["330100"], "3301", true);
    check("city_id", Ne, &["330100"], "440300", true);
    check("city_id", Ne, &["330100"], "nowhere", false);
    check("city_id", Prefix, &["33"], "3301", true);
    for whole in ["710000", "810000", "820000", "540000"] {
        check("province_code", Eq, &[whole], &whole[..2], true);
    }
}

#[test]
fn the_province_follows_from_the_city() {
    let mut table = FactTable::new();
    let condition = Condition::test(&mut table, "province_code", Eq, vec![text("33")]).unwrap();
    assert!(condition.holds(&Known::of(&[(FactId::CITY_ID, "330100")])));
    assert!(condition.holds(&Known::of(&[(FactId::CITY_ID, "3301"), (FactId::PROVINCE_CODE, "xx")])));
    assert!(!condition.holds(&Known::of(&[(FactId::CITY_ID, "3301"), (FactId::PROVINCE_CODE, "44")])));
}

#[test]
fn custom_region_codes_are_plain_text() {
    let mut table = FactTable::new();
    table.set_region_codes(RegionCodes::Custom);
    let condition = Condition::test(&mut table, "province_code", Eq, vec![text("east")]).unwrap();
    assert!(condition.holds(&Known::of(&[(FactId::PROVINCE_CODE, "east")])));
    assert!(!condition.holds(&Known::of(&[(FactId::CITY_ID, "330100")])));
}

#[test]
fn long_lists_are_hashed_and_mean_the_same() {
    let list: Vec<String> = (0..5000).map(|sku| format!("sku-{sku}")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    check("sku_id", In, &list, "sku-4999", true);
    check("sku_id", In, &list, "sku-5000", false);
    check("sku_id", NotIn, &list, "sku-5000", true);
}

#[track_caller]
fn refused(key: &str, operator: Operator, values: &[&str], expected: &str) {
    let values = values.iter().map(|value| text(value)).collect();
    let error = Condition::test(&mut FactTable::new(), key, operator, values).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn conditions_that_make_no_sense_are_refused() {
    refused("stock_level", Gt, &["abc"], "GT compares numbers, and `abc` is none");
    refused("stock_level", Eq, &["many"], "EQ compares numbers, and `many` is none");
    refused("stock_level", Between, &["9", "1"], "BETWEEN takes the lower value first, and 1 is below 9");
    refused("stock_level", Between, &["9"], "BETWEEN takes two values, the lower and the upper, not 1");
    refused("user_id", Eq, &["a", "b"], "EQ takes exactly one value, not 2; IN takes several");
    refused("user_id", In, &[], "IN takes at least one value, not 0");
    refused("user_id", Exists, &["x"], "EXISTS takes no value, not 1");
    refused("sku_id", Prefix, &[""], "the value is empty, so every text would do; use EXISTS");
    refused("sku_id", Regex, &["(a"], "`(a` is no regular expression: unclosed group");
    refused("sku_id", Regex, &["(?:a{1000}){1000}"], "the expression is too large when compiled");
    refused("client_ip", Cidr, &["10.0.0.0/33"], "`10.0.0.0/33` is no network; write one like 10.0.0.0/8 or fd00::/8");
    refused("client_ip", Eq, &["10.0.0.0/8"], "`10.0.0.0/8` is a network; use CIDR");
    refused("client_ip", Prefix, &["10."], "PREFIX makes no sense for `client_ip`, which is an address; use CIDR");
    refused("header:x-v", Semver, &["new"], "`new` is no version requirement; write one like \">=2.4.0\"");
    refused("tag", In, &["vip"], "IN makes no sense for `tag`, which is a set of tags; use ANY_OF or ALL_OF");
    refused("tag", Ne, &["vip"], "NE makes no sense for `tag`, which is a set of tags; use `not:` around ANY_OF");
    refused("tag", AnyOf, &["a,b"], "`a,b` holds a comma, which separates tags; write one value for each");
    refused("user_id", AnyOf, &["a"], "ANY_OF makes no sense for `user_id`, which is a code; use IN");
    refused("city_id", Gt, &["330000"], "GT makes no sense for `city_id`, which is a region code; use IN or PREFIX");
    refused("province_code", Eq, &["3301"], "`3301` is not a province; its province is \"330000\"");
    refused(
        "city_id",
        Eq,
        &["990100"],
        "`990100` is no region code of GB/T 2260: write six digits, such as \"330000\", or set `region_codes: custom`",
    );
    refused("catagory_id", Eq, &["1"], "unknown fact `catagory_id`, did you mean `category_id`?");
}

#[test]
fn conditions_nest_only_so_deep() {
    let nested = |depth| {
        let test = Condition::test(&mut FactTable::new(), "user_id", Exists, vec![]).unwrap();
        (0..depth).fold(test, |inner, _| Condition::Not(Box::new(inner)))
    };
    assert_eq!(nested(Condition::DEEPEST).check_depth(), Ok(()));
    assert_eq!(nested(Condition::DEEPEST + 1).check_depth(), Err(ConditionError::TooDeep));
}

#[test]
fn not_of_an_absent_fact_is_true() {
    let test = |operator| Condition::test(&mut FactTable::new(), "user_tier", operator, vec![text("VIP")]).unwrap();
    let nobody = Known::default();
    assert!(!test(Eq).holds(&nobody) && !test(Ne).holds(&nobody));
    assert!(Condition::Not(Box::new(test(Eq))).holds(&nobody));
    assert!(Condition::Not(Box::new(test(Ne))).holds(&nobody));
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let leaf = (0_u8..4, "[ab]").prop_map(|(operator, value)| {
        let operator = [Eq, Ne, In, NotIn][usize::from(operator)];
        Condition::test(&mut FactTable::new(), "user_tier", operator, vec![text(&value)]).unwrap()
    });
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Condition::Any),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn de_morgan_holds(parts in proptest::collection::vec(any_condition(), 0..4), tier in proptest::option::of("[abc]")) {
        let facts = Known(tier.map(|tier| (FactId::USER_TIER, tier)).into_iter().collect());
        let negated = parts.iter().cloned().map(|part| Condition::Not(Box::new(part))).collect::<Vec<_>>();
        let none = Condition::Not(Box::new(Condition::Any(parts.clone())));
        prop_assert_eq!(none.holds(&facts), Condition::All(negated.clone()).holds(&facts));
        let not_all = Condition::Not(Box::new(Condition::All(parts)));
        prop_assert_eq!(not_all.holds(&facts), Condition::Any(negated).holds(&facts));
    }

    #[test]
    fn double_negation_changes_nothing(condition in any_condition(), tier in proptest::option::of("[abc]")) {
        let facts = Known(tier.map(|tier| (FactId::USER_TIER, tier)).into_iter().collect());
        let twice = Condition::Not(Box::new(Condition::Not(Box::new(condition.clone()))));
        prop_assert_eq!(twice.holds(&facts), condition.holds(&facts));
    }

    #[test]
    fn comparisons_agree_with_integers(actual in -1000_i32..1000, wanted in -1000_i32..1000) {
        let (left, right) = (actual.to_string(), wanted.to_string());
        for (operator, expected) in [
            (Eq, actual == wanted), (Ne, actual != wanted), (Gt, actual > wanted),
            (Ge, actual >= wanted), (Lt, actual < wanted), (Le, actual <= wanted),
        ] {
            prop_assert_eq!(holds("stock_level", operator, vec![text(&right)], Some(&left)), expected);
        }
    }

    #[test]
    fn no_value_of_a_request_makes_a_test_panic(actual in "\\PC{0,60}", index in 0..Operator::ALL.len()) {
        let operator = Operator::ALL[index];
        let values = match operator {
            Exists => vec![],
            Between => vec![text("1"), text("2")],
            Cidr => vec![text("10.0.0.0/8")],
            _ => vec![text("1")],
        };
        holds("header:x", operator, values, Some(&actual));
    }
}
