//! Codes of regions in expressions: brought to six digits where they are compared with `province_code` or `city_id`, as the
//! values of conditions are, and refused where there is no such region.

use super::super::fact::{FactId, FactKind};
use super::super::region;
use super::compile::{Compiled, Compiler};
use super::node::Text;

impl Compiler<'_> {
    /// Two texts that are compared, each literal as the other one's region writes it.
    pub(super) fn same_codes(&self, one: Text, two: Text) -> Compiled<(Text, Text)> {
        let (first, second) = (region_of(&one), region_of(&two));
        Ok((self.code(one, second)?, self.code(two, first)?))
    }

    /// A text, its literals in six digits where it is compared with a region.
    pub(super) fn code(&self, text: Text, region: Option<FactId>) -> Compiled<Text> {
        let Some(fact) = region else { return Ok(text) };
        match text {
            Text::Literal(code) => match region::configured(fact, code.trim(), 0) {
                Ok(code) => Ok(Text::Literal(code)),
                Err(why) => Err(self.wrong_at(self.table.name(fact), why.to_string())),
            },
            Text::If(parts) => {
                let (test, yes, no) = *parts;
                Ok(Text::If(Box::new((test, self.code(yes, region)?, self.code(no, region)?))))
            }
            fact @ Text::Fact(..) => Ok(fact),
        }
    }
}

/// The region that a text is, whatever is chosen; nothing where it may be something else.
pub(super) fn region_of(text: &Text) -> Option<FactId> {
    match text {
        Text::Fact(fact, FactKind::Region) => Some(*fact),
        Text::If(parts) => region_of(&parts.1).filter(|fact| region_of(&parts.2) == Some(*fact)),
        _ => None,
    }
}
