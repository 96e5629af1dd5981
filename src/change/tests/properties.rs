//! What holds of every plan.

use proptest::prelude::*;

use super::*;
use crate::config::Guard;

/// A release over everything that moves users, and whether its route follows it.
#[derive(Debug, Clone)]
struct Shape {
    permille: u16,
    full: bool,
    group: Option<u16>,
    conditions: Vec<u8>,
    regions: Vec<u8>,
}

impl Shape {
    fn load(&self) -> Loaded {
        let level = if self.full { "full" } else { "permille" };
        let share = if self.full { String::new() } else { format!("permille: {}, ", self.permille) };
        let ab = if self.group.is_some() { "ab: { experiment: e, groups: [a] }, " } else { "" };
        let a = self.group.unwrap_or(0);
        let conditions: Vec<String> = self
            .conditions
            .iter()
            .map(|value| format!("{{ key: stock_level, operator: GT, value: {value} }}"))
            .collect();
        let regions: Vec<String> = self.regions.iter().map(|code| format!("'c{code}'")).collect();
        with_release(
            &format!(
                "{{ level: {level}, {share}{ab}conditions: [{}], regions: {{ city_id: [{}] }} }}",
                conditions.join(", "),
                regions.join(", ")
            ),
            &format!(
                "region_codes: custom\nfacts: {{ stock_level: [{{ header: x }}], city_id: [{{ header: y }}] \
                 }}\nexperiments: {{ e: {{ groups: {{ a: {a}, b: {} }} }} }}\n",
                1000 - a
            ),
        )
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    let values = || proptest::collection::btree_set(0_u8..4, 0..4).prop_map(|set| set.into_iter().collect());
    (0_u16..=1000, proptest::bool::weighted(0.1), proptest::option::of(0_u16..=1000), values(), values())
        .prop_map(|(permille, full, group, conditions, regions)| Shape { permille, full, group, conditions, regions })
}

/// The same release, open for fewer in some ways.
fn narrowed(wide: &Shape, share: u16, group: u16, keep_regions: usize, further: &[u8]) -> Shape {
    let mut conditions = wide.conditions.clone();
    conditions.extend(further.iter().map(|value| value + 10));
    Shape {
        permille: if wide.full { share } else { wide.permille.min(share) },
        full: false,
        group: wide.group.map(|there| there.min(group)),
        conditions,
        regions: wide.regions.iter().copied().take(keep_regions).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_plan_of_equal_configurations_is_empty(shape in shape()) {
        let plan = plan(&shape.load(), &shape.load());
        prop_assert!(plan.is_empty() && plan.effects.is_empty() && plan.needs.is_empty(), "{:?}", plan);
    }

    #[test]
    fn taking_users_out_of_gray_never_needs_a_confirmation(
        wide in shape(), share in 0_u16..=1000, group in 0_u16..=1000, keep in 0_usize..4,
        further in proptest::collection::vec(0_u8..4, 0..2),
    ) {
        let narrow = narrowed(&wide, share, group, keep, &further);
        let plan = plan(&wide.load(), &narrow.load());
        prop_assert!(plan.effects.iter().all(|effect| effect.to_gray == 0.0), "{:?}", plan.effects);
        let strict = Guard { most: crate::decide::Permille::ZERO, files: true, sources: true };
        prop_assert!(plan.allow::<&str>(strict, Origin::Shared, &[]).is_ok());
    }

    #[test]
    fn the_digest_follows_everything_that_matters(one in shape(), two in shape(), from in shape()) {
        let (one, two, from) = (one.load(), two.load(), from.load());
        let same = one.sources == two.sources;
        prop_assert_eq!(plan(&from, &one).digest == plan(&from, &two).digest, same);
        prop_assert_eq!(plan(&one, &from).digest == plan(&two, &from).digest, same);
        let digest = plan(&from, &one).digest;
        let rotated = Loaded { keys: "another".to_owned(), ..one };
        prop_assert_ne!(digest, plan(&from, &rotated).digest);
    }

    #[test]
    fn the_way_back_is_the_way_there_reversed(one in shape(), two in shape()) {
        let (there, back) = (plan(&one.load(), &two.load()), plan(&two.load(), &one.load()));
        for (way, other) in there.effects.iter().zip(&back.effects) {
            prop_assert_eq!((way.to_gray, way.to_stable), (other.to_stable, other.to_gray));
            prop_assert!(way.to_gray <= 1000.0 && way.to_stable <= 1000.0);
        }
        prop_assert_eq!(there.effects.len(), back.effects.len());
    }
}
