//! The listener's own way of writing lists: `\u{2}` between words, `\u{1}` behind each configuration. Nothing is called
//! here.

use percent_encoding::percent_decode_str;

use super::super::SourceError;

const WORD: char = '\u{2}';
const LINE: char = '\u{1}';

/// A configuration that is listened to.
pub(super) struct Watched<'p> {
    pub(super) data_id: &'p str,
    pub(super) group: &'p str,
    /// The id of a namespace; empty for the public one.
    pub(super) tenant: &'p str,
    /// Of the text that is known.
    pub(super) md5: String,
}

/// A configuration that changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    data_id: String,
    group: String,
    tenant: String,
}

impl Changed {
    /// Whether it is this one.
    pub(super) fn is(&self, data_id: &str, group: &str, tenant: &str) -> bool {
        self.data_id == data_id && self.group == group && self.tenant == tenant
    }
}

/// What is sent: data id, group, MD5, and the tenant where there is one.
pub(super) fn listening<'p>(watched: impl Iterator<Item = Watched<'p>>) -> String {
    let mut text = String::new();
    for Watched { data_id, group, tenant, md5 } in watched {
        text.extend([data_id, "\u{2}", group, "\u{2}", &md5]);
        if !tenant.is_empty() {
            text.extend(["\u{2}", tenant]);
        }
        text.push(LINE);
    }
    text
}

/// What comes back: data id, group, and the tenant where there is one, percent-encoded as a whole.
pub(super) fn changed(body: &str) -> Result<Vec<Changed>, SourceError> {
    let text = percent_decode_str(body.trim()).decode_utf8();
    let text = text.map_err(|_| SourceError::Garbled("the listener's answer is no UTF-8 text".to_owned()))?;
    let line = |line: &str| {
        let mut words = line.split(WORD).map(str::to_owned);
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(data_id), Some(group), tenant, None) => {
                Ok(Changed { data_id, group, tenant: tenant.unwrap_or_default() })
            }
            _ => Err(SourceError::Garbled("the listener's answer is no list of configurations".to_owned())),
        }
    };
    text.split(LINE).filter(|text| !text.is_empty()).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data_id: &str, group: &str, tenant: &str) -> Changed {
        Changed { data_id: data_id.to_owned(), group: group.to_owned(), tenant: tenant.to_owned() }
    }

    #[test]
    fn what_is_sent_has_separators_behind_and_between() {
        let watched = [("a", "", "00"), ("b", "t", "")];
        let watched =
            watched.map(|(data_id, tenant, md5)| Watched { data_id, group: "G", tenant, md5: md5.to_owned() });
        assert_eq!(listening(watched.into_iter()), "a\u{2}G\u{2}00\u{1}b\u{2}G\u{2}\u{2}t\u{1}");
    }

    #[test]
    fn what_comes_back_is_read_with_and_without_a_tenant() {
        assert_eq!(changed("").unwrap(), []);
        // The first is what Nacos 0.8.0 said, with its line end.
        assert_eq!(changed("a%02DEFAULT_GROUP%01\n").unwrap(), [of("a", "DEFAULT_GROUP", "")]);
        assert_eq!(changed("a.yaml%02G%02t%01b%02G%01").unwrap(), [of("a.yaml", "G", "t"), of("b", "G", "")]);
    }

    #[test]
    fn anything_else_is_an_error() {
        for body in ["<html>", "a%02b%02c%02d%01", "%FF%01"] {
            assert!(changed(body).is_err(), "{body}");
        }
    }
}
