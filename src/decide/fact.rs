//! The names of what is known of a request, and the door through which their values come.

use std::borrow::Cow;

use super::bucket::{Bucket, bucket};
use super::trace::FactTrace;

/// The place of a fact in a [`FactTable`](super::FactTable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactId(pub(super) u16);

impl FactId {
    /// The user.
    pub const USER_ID: FactId = FactId(0);
    /// The device.
    pub const DEVICE_ID: FactId = FactId(1);
    /// The stock keeping unit asked for.
    pub const SKU_ID: FactId = FactId(2);
    /// The category of the product.
    pub const CATEGORY_ID: FactId = FactId(3);
    /// The tier of the user.
    pub const USER_TIER: FactId = FactId(4);
    /// The tags of the user, comma separated.
    pub const TAGS: FactId = FactId(5);
    /// The amount of the order.
    pub const ORDER_AMOUNT: FactId = FactId(6);
    /// How much of the SKU is in stock.
    pub const STOCK_LEVEL: FactId = FactId(7);
    /// The province, GB/T 2260.
    pub const PROVINCE_CODE: FactId = FactId(8);
    /// The city, GB/T 2260.
    pub const CITY_ID: FactId = FactId(9);
    /// The address of the client.
    pub const CLIENT_IP: FactId = FactId(10);

    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the values of a fact are, which says the operators that make sense for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactKind {
    /// An id, a code, a word: compared as text, even where it is made of digits.
    Code,
    /// A code of GB/T 2260, brought to six digits.
    Region,
    /// A decimal number.
    Number,
    /// A set of words, comma separated.
    Tags,
    /// An internet address.
    Address,
    /// Not known beforehand: declared facts, headers, query parameters.
    Open,
}

/// Whether a text has the form of an SKU's code, where the configuration names no other: 1 to 64 letters, digits, dots,
/// hyphens and underscores.
pub fn is_sku_code(value: &str) -> bool {
    (1..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Where a fact of the table comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FactOrigin {
    /// One that every configuration has.
    BuiltIn,
    /// Named in the configuration.
    Declared,
    /// The request header of this name, in lower case.
    Header(Box<str>),
    /// The query parameter of this name.
    Query(Box<str>),
}

/// The values of one request's facts. Lazy: an implementation may look the value up on every call, so a caller asks
/// no more often than it must.
pub trait Facts {
    /// The value, or nothing where the request has none that is valid. Where several sources speak of a region, the
    /// province is that of the city: [`region`](super::region::region) says which.
    fn get(&self, fact: FactId) -> Option<Cow<'_, str>>;

    /// An expression could not be computed from the facts as they are; called once for each time.
    fn expression_failed(&self) {}

    /// The bucket of `key`, the value of `fact`, under `salt`. Whoever knows the key only as a hash of it, as an access
    /// log does, has to know the bucket from elsewhere.
    fn bucket(&self, salt: &str, fact: FactId, key: &str) -> Bucket {
        let _ = fact;
        bucket(salt, key)
    }

    /// The value with where it came from and what was tried before, for an explanation.
    fn trace(&self, fact: FactId) -> FactTrace {
        FactTrace { value: self.get(fact).map(Cow::into_owned), ..FactTrace::default() }
    }
}
