//! The binding to product data.

use crate::config::file::{FileConfig, FileInvalidate};
use crate::config::problem::Findings;
use crate::config::products::ProductsPlan;
use crate::config::text::At;

pub(super) fn products(config: &FileConfig, findings: &mut Findings) -> ProductsPlan {
    let Some(written) = &config.products else { return ProductsPlan::default() };
    let (redis, webhook) = written.invalidate.as_ref().map(|to| targets(to, findings)).unwrap_or_default();
    ProductsPlan { version: written.version.as_ref().map(|version| version.value), redis, webhook }
}

type Targets = (Option<(String, String)>, Option<String>);

fn targets(written: &FileInvalidate, findings: &mut Findings) -> Targets {
    if written.redis.is_none() && written.webhook.is_none() && !written.flawed {
        findings.error(written.at, "nobody is told").help("give `redis` or `webhook`");
    }
    let redis = written.redis.as_ref().and_then(|redis| {
        let (url, channel) = (redis.url.as_ref()?, redis.channel.as_ref()?);
        if let Err(error) = redis::Client::open(url.value.as_str()) {
            findings.error(url.at, format!("this is no URL of a Redis server: {error}"));
        }
        if channel.value.is_empty() {
            findings.error(channel.at, "a channel has a name");
        }
        Some((url.value.clone(), channel.value.clone()))
    });
    let webhook = written.webhook.as_ref().and_then(|webhook| webhook.url.as_ref()).map(|url| {
        check_http(url, findings);
        url.value.clone()
    });
    (redis, webhook)
}

fn check_http(url: &At<String>, findings: &mut Findings) {
    let parsed = url.value.parse::<http::Uri>();
    let fits = parsed.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if !fits {
        findings.error(url.at, format!("`{}` is no URL of an HTTP server", url.value));
    }
}
