//! Codes of regions in expressions: brought to six digits where they are compared with `province_code` or `city_id`, as the
//! values of conditions are, and refused where there is no such region.

use super::super::fact::{FactId, FactKind};
use super::super::region::{self, RegionError};
use super::ExpressionError;
use super::compile::{Compiled, Compiler};
use super::node::Text;

/// What a text may be, whatever is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A region; where it is not certain, a text that is written there too.
    Region { fact: FactId, certain: bool },
    /// A text that is written there.
    Literal,
    /// Something else: then nothing is said of what it is compared with.
    Other,
}

impl Compiler<'_> {
    /// Two texts that are compared, their literals as the region among them writes it.
    pub(super) fn same_codes(&self, one: Text, two: Text) -> Compiled<(Text, Text)> {
        let (first, second) = (Sort::of(&one), Sort::of(&two));
        Ok((self.code(one, second.beside(first))?, self.code(two, first.beside(second))?))
    }

    /// A text and those among which it is looked for, likewise.
    pub(super) fn codes_in(&self, one: Text, list: Vec<Text>) -> Compiled<(Text, Vec<Text>)> {
        let Some(all) = list.iter().map(Sort::of).reduce(Sort::or) else { return Ok((one, list)) };
        let sort = Sort::of(&one);
        let list = list.into_iter().map(|item| self.code(item, sort.beside(all))).collect::<Compiled<_>>()?;
        Ok((self.code(one, all.beside(sort))?, list))
    }

    /// A text, its literals in six digits where it is compared with a region.
    fn code(&self, text: Text, with: Sort) -> Compiled<Text> {
        let Sort::Region { fact, certain } = with else { return Ok(text) };
        match text {
            Text::Literal(code) => match region::configured(fact, code.trim(), 0) {
                Ok(code) => Ok(Text::Literal(code)),
                // What stands for a region that is absent may be any word.
                Err(_) if !certain => Ok(Text::Literal(code)),
                Err(why) => Err(self.no_code(fact, &code, &why)),
            },
            Text::If(parts) => {
                let (test, yes, no) = *parts;
                Ok(Text::If(Box::new((test, self.code(yes, with)?, self.code(no, with)?))))
            }
            fact @ Text::Fact(..) => Ok(fact),
        }
    }

    fn no_code(&self, fact: FactId, code: &str, why: &RegionError) -> ExpressionError {
        let name = self.table.name(fact);
        match code.trim() {
            "" => self.wrong_at(name, format!("a region is never empty: `has({name})` tells whether there is one")),
            _ => self.wrong_at(name, why.to_string()),
        }
    }
}

impl Sort {
    fn of(text: &Text) -> Sort {
        match text {
            Text::Fact(fact, FactKind::Region) => Sort::Region { fact: *fact, certain: true },
            Text::Fact(..) => Sort::Other,
            Text::Literal(_) => Sort::Literal,
            Text::If(parts) => Sort::of(&parts.1).or(Sort::of(&parts.2)),
        }
    }

    /// One of the two. A code of a province may be one of a city, not the other way round.
    fn or(self, other: Sort) -> Sort {
        use Sort::{Literal, Other, Region};
        match (self, other) {
            (Other, _) | (_, Other) => Other,
            (Literal, Literal) => Literal,
            (Literal, Region { fact, .. }) | (Region { fact, .. }, Literal) => Region { fact, certain: false },
            (Region { fact: one, certain: first }, Region { fact: two, certain: second }) => {
                let fact = if one == two { one } else { FactId::CITY_ID };
                Region { fact, certain: first && second }
            }
        }
    }

    /// What a text that may be `own` is compared with. A text that may be a region writes its own literals as it does.
    fn beside(self, own: Sort) -> Sort {
        match (self, own) {
            (Sort::Literal, Sort::Region { fact, .. }) => Sort::Region { fact, certain: false },
            _ => self,
        }
    }
}
