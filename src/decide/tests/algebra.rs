//! All, any and not: a logic of two values, in which an absent fact makes a test false.

use proptest::prelude::*;

use super::*;
use Operator::*;

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
}
