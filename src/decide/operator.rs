//! The operators of conditions, and which of them make sense for which kind of fact.

use super::fact::FactKind;
use super::word::{nearest, words};

words! {
    /// How a condition compares a fact with its values.
    Operator {
        /// Equal to the value.
        Eq = "EQ",
        /// Not equal to the value.
        Ne = "NE",
        /// Equal to one of the values.
        In = "IN",
        /// Equal to none of the values.
        NotIn = "NOT_IN",
        /// Greater.
        Gt = "GT",
        /// Greater or equal.
        Ge = "GE",
        /// Less.
        Lt = "LT",
        /// Less or equal.
        Le = "LE",
        /// From the first value to the second, both included.
        Between = "BETWEEN",
        /// Begins with one of the values.
        Prefix = "PREFIX",
        /// Ends with one of the values.
        Suffix = "SUFFIX",
        /// Contains one of the values; of tags: has one of them.
        Contains = "CONTAINS",
        /// Matches the expression, anywhere unless anchored.
        Regex = "REGEX",
        /// There is a value.
        Exists = "EXISTS",
        /// An address inside one of the networks.
        Cidr = "CIDR",
        /// A version that meets the requirement.
        Semver = "SEMVER",
        /// The set has one of the values.
        AnyOf = "ANY_OF",
        /// The set has all of the values.
        AllOf = "ALL_OF",
    }
}

impl Operator {
    /// The operator that a word or sign of another language of rules stands for, in any case, with or without hyphens,
    /// underscores and spaces: to be suggested, never accepted.
    pub fn meant_by(word: &str) -> Option<Operator> {
        Operator::meant_by_plain(&plain(word))
    }

    /// The operator that a word denies, where the opposite has no name of its own, as `NOT_CONTAINS`; nothing inside where it
    /// denies something unknown. To be told, as the operator itself would mean the contrary.
    pub fn denied_by(word: &str) -> Option<Option<Operator>> {
        let plain = plain(word);
        let known = |rest: &str| {
            let named = Operator::ALL.iter().find(|operator| operator.as_str().replace('_', "") == rest).copied();
            named.or_else(|| Operator::meant_by_plain(rest))
        };
        let like = |rest: &str| nearest(rest, Operator::NAMES.iter().copied()).and_then(|name| name.parse().ok());
        let denial = ["DOESNOT", "ISNOT", "NOT", "!"].iter().find_map(|denial| plain.strip_prefix(denial));
        // `N` is the beginning of many a word.
        let short = || plain.strip_prefix('N').and_then(known).map(Some);
        denial.map(|rest| known(rest).or_else(|| like(rest))).or_else(short)
    }

    fn meant_by_plain(plain: &str) -> Option<Operator> {
        Some(match plain {
            "=" | "==" | "===" | "EQUAL" | "EQUALS" | "EQUALTO" | "IS" => Operator::Eq,
            "!=" | "!==" | "<>" | "NEQ" | "NEQUAL" | "NEQUALS" | "NOTEQ" | "NOTEQUAL" | "NOTEQUALS" | "NOTEQUALTO"
            | "ISNOT" | "DOESNOTEQUAL" => Operator::Ne,
            ">" | "GREATER" | "GREATERTHAN" | "MORETHAN" => Operator::Gt,
            ">=" | "=>" | "GTE" | "GEQ" | "GREATEROREQUAL" | "GREATERTHANOREQUAL" | "ATLEAST" => Operator::Ge,
            "<" | "LESS" | "LESSTHAN" => Operator::Lt,
            "<=" | "=<" | "LTE" | "LEQ" | "LESSOREQUAL" | "LESSTHANOREQUAL" | "ATMOST" => Operator::Le,
            "ONEOF" => Operator::In,
            "NIN" | "!IN" | "NOTIN" | "ISNOTIN" | "NONEOF" | "NOTONEOF" => Operator::NotIn,
            "RANGE" => Operator::Between,
            "STARTSWITH" | "BEGINSWITH" => Operator::Prefix,
            "ENDSWITH" => Operator::Suffix,
            "INCLUDES" | "SUBSTRING" => Operator::Contains,
            "=~" | "~" | "~=" | "MATCH" | "MATCHES" => Operator::Regex,
            "PRESENT" | "DEFINED" | "ISSET" => Operator::Exists,
            "SUBNET" | "IPRANGE" => Operator::Cidr,
            "VERSION" => Operator::Semver,
            "HASANY" => Operator::AnyOf,
            "HASALL" => Operator::AllOf,
            _ => return None,
        })
    }

    /// How many values it takes: the least and the most, with words for it.
    pub(super) const fn arity(self) -> (usize, usize, &'static str) {
        use Operator::{Between, Eq, Exists, Ge, Gt, Le, Lt, Ne, Regex, Semver};
        match self {
            Eq | Ne | Gt | Ge | Lt | Le | Regex | Semver => (1, 1, "exactly one value"),
            Between => (2, 2, "two values, the lower and the upper"),
            Exists => (0, 0, "no value"),
            _ => (1, usize::MAX, "at least one value"),
        }
    }

    /// Whether it is true of what its opposite is false of.
    pub(super) const fn is_negative(self) -> bool {
        matches!(self, Operator::Ne | Operator::NotIn)
    }

    /// Whether the operator can ever be meant for a fact of this kind.
    pub(super) const fn suits(self, kind: FactKind) -> bool {
        use Operator::{AllOf, AnyOf, Between, Cidr, Contains, Eq, Exists, Ge, Gt, In, Le, Lt, Ne, NotIn, Semver};
        match kind {
            FactKind::Open => true,
            FactKind::Tags => matches!(self, AnyOf | AllOf | Contains | Exists),
            FactKind::Number => matches!(self, Eq | Ne | In | NotIn | Gt | Ge | Lt | Le | Between | Exists),
            FactKind::Address => matches!(self, Eq | Ne | In | NotIn | Cidr | Exists),
            FactKind::Region => !matches!(self, Gt | Ge | Lt | Le | Between | Cidr | Semver | AnyOf | AllOf),
            FactKind::Code => !matches!(self, Cidr | Semver | AnyOf | AllOf),
        }
    }

    /// What to write instead of an operator that does not suit.
    pub(super) const fn instead(self, kind: FactKind) -> &'static str {
        use Operator::{AllOf, AnyOf, Cidr, Ne, NotIn};
        match (kind, self) {
            (FactKind::Tags, Ne | NotIn) => "use `not:` around ANY_OF",
            (FactKind::Tags, _) => "use ANY_OF or ALL_OF",
            (FactKind::Number, _) => "use EQ, IN, GT, GE, LT, LE or BETWEEN",
            (FactKind::Address, _) => "use CIDR",
            (_, AnyOf | AllOf) => "use IN",
            (_, Cidr) => "use it on `client_ip`, or on a header or declared fact that holds an address",
            (FactKind::Region, _) => "use IN or PREFIX",
            _ => "use it on a header or declared fact that holds a version",
        }
    }
}

/// A word in capitals, without what joins its parts.
fn plain(word: &str) -> String {
    let plain: String = word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).take(24).collect();
    plain.to_ascii_uppercase()
}

impl FactKind {
    /// What a fact of this kind is, in words.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            FactKind::Code => "a code",
            FactKind::Region => "a region code",
            FactKind::Number => "a number",
            FactKind::Tags => "a set of tags",
            FactKind::Address => "an address",
            FactKind::Open => "a text",
        }
    }
}
