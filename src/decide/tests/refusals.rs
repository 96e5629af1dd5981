//! Conditions that can never be meant, and what their author is told.

use super::*;
use Operator::*;

#[track_caller]
fn refused(key: &str, operator: Operator, values: &[&str], expected: &str) {
    let values = values.iter().map(|value| text(value)).collect();
    let error = Condition::test(&mut FactTable::new(), key, operator, values).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn conditions_that_make_no_sense_are_refused() {
    refused("stock_level", Gt, &["abc"], "GT compares numbers, and `abc` is none");
    let long = "1".repeat(30);
    refused(
        "stock_level",
        Gt,
        &[&long],
        &format!("`{long}` has too many digits to be compared exactly; 28 always fit"),
    );
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
