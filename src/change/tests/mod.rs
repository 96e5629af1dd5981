//! Plans over configurations as users write them.

mod concerning;
mod effects;
mod guarding;
mod past;
mod properties;
mod readable;
mod trail;

use std::path::Path;

use super::*;
use crate::config::{self, KeyFiles, Loaded};

/// A configuration with one release on one route, and whatever else is given.
fn with_release(release: &str, more: &str) -> Loaded {
    load(&format!(
        "upstreams:\n  s: {{ endpoints: [127.0.0.1:9001] }}\n  g: {{ endpoints: [127.0.0.1:9002] }}\nroutes:\n  - {{ \
         name: all, match: {{ path: '/{{*rest}}' }}, lanes: {{ stable: s, gray: g }}, release: r }}\nreleases:\n  r: \
         {release}\n{more}"
    ))
}

fn load(text: &str) -> Loaded {
    config::load_text(Path::new("t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent)
        .unwrap_or_else(|problems| panic!("{}\n{text}", problems.render(config::Style::Plain)))
}

fn plan(old: &Loaded, new: &Loaded) -> Plan {
    Plan::between(old.into(), new.into(), &Standing::default(), None)
}
