//! Where product facts are looked up, and what a look-up may cost.

use std::time::Duration;

use crate::decide::FactId;

/// One store of product facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupPlan {
    /// The name in the configuration.
    pub name: String,
    /// Where it is.
    pub store: LookupStore,
    /// What is asked for: the key of a Redis hash, or a URL.
    pub key: KeyTemplate,
    /// The fields that facts come from, each once.
    pub fields: Vec<String>,
    /// How long a request waits for it at most.
    pub deadline: Duration,
    /// How long what was found counts.
    pub ttl: Duration,
    /// How much longer it is given while it is looked up anew.
    pub stale: Duration,
    /// How long it counts that nothing was found.
    pub negative_ttl: Duration,
    /// Most records that are kept.
    pub entries: usize,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupStore {
    /// A Redis server by its URL: the key names a hash.
    Redis(String),
    /// An HTTP server: the key is the URL of a JSON object.
    Http,
}

/// Text with the values of facts in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    parts: Vec<KeyPart>,
}

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// As it is.
    Text(String),
    /// The value of a fact.
    Fact(FactId),
}

impl KeyTemplate {
    /// Text with `{fact}` in it, `find` knowing the facts; the fault in words.
    pub fn parse(text: &str, mut find: impl FnMut(&str) -> Result<FactId, String>) -> Result<KeyTemplate, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) =
                after.split_once('}').ok_or_else(|| format!("`{text}` has a `{{` without its `}}`"))?;
            if !before.is_empty() {
                parts.push(KeyPart::Text(before.to_owned()));
            }
            parts.push(KeyPart::Fact(find(name)?));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(KeyPart::Text(rest.to_owned()));
        }
        let template = KeyTemplate { parts };
        if template.facts().next().is_none() {
            return Err(format!("`{text}` names no fact: every request would look up the same; write `{{sku_id}}`"));
        }
        Ok(template)
    }

    /// The facts it needs.
    pub fn facts(&self) -> impl Iterator<Item = FactId> + '_ {
        self.parts.iter().filter_map(|part| match part {
            KeyPart::Fact(fact) => Some(*fact),
            KeyPart::Text(_) => None,
        })
    }

    /// The text with values in it; nothing where one is absent.
    pub fn fill(&self, mut value: impl FnMut(FactId, &mut String) -> bool) -> Option<String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                KeyPart::Text(text) => filled.push_str(text),
                KeyPart::Fact(fact) if !value(*fact, &mut filled) => return None,
                KeyPart::Fact(_) => {}
            }
        }
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Result<FactId, String> {
        if name == "sku_id" { Ok(FactId::SKU_ID) } else { Err(format!("unknown {name}")) }
    }

    #[test]
    fn a_key_is_filled_with_facts_or_not_at_all() {
        let key = KeyTemplate::parse("product:{sku_id}:v1", find).unwrap();
        let fill = |value: Option<&str>| key.fill(|_, out| value.map(|value| out.push_str(value)).is_some());
        assert_eq!(fill(Some("7")).as_deref(), Some("product:7:v1"));
        assert_eq!(fill(None), None);
    }

    #[test]
    fn a_key_without_a_fact_or_with_a_wrong_one_is_refused() {
        for (text, expected) in [("product", "names no fact"), ("p:{sku", "without its"), ("p:{moon}", "unknown moon")]
        {
            assert!(KeyTemplate::parse(text, find).unwrap_err().contains(expected), "{text}");
        }
    }
}
