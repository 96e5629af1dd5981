//! `GrayRelease` documents: those of this sidecar's service become releases of the native form, each under its name.

use std::collections::HashMap;

use super::gather::Gathered;
use super::problem::Findings;
use super::text::{At, Span};

/// Puts the releases among those of the native form.
pub(super) fn adopt(gathered: &mut Gathered, findings: &mut Findings) {
    let documents = std::mem::take(&mut gathered.gray_releases);
    if documents.is_empty() {
        return;
    }
    let service = gathered.config.service.clone();
    let table = gathered.config.releases.get_or_insert_default();
    let mut known: HashMap<String, Span> =
        table.entries.iter().map(|(name, _)| (name.value.clone(), name.at)).collect();
    for document in documents {
        let (Some(metadata), Some(spec)) = (&document.metadata, &document.spec) else { continue };
        let Some(name) = &metadata.name else { continue };
        let unused = format!("nothing uses the GrayRelease `{}`", name.value.0);
        match (&service, &spec.service) {
            _ if !gathered.native => {
                findings.warn(metadata.at, format!("{unused}: no routes are configured beside it"));
                continue;
            }
            (None, _) => {
                let told = findings.warn(metadata.at, format!("{unused}: the configuration names no `service`"));
                told.help("write `service: NAME`");
                continue;
            }
            (Some(own), Some(named)) if own.value != named.value => {
                let told = findings.warn(named.at, format!("{unused}: this sidecar's service is `{}`", own.value.0));
                told.suggest(&named.value.0, [own.value.0.as_str()]);
                continue;
            }
            _ => {}
        }
        if let Some(first) = known.insert(name.value.0.clone(), name.at) {
            findings.error(name.at, format!("release `{}` is defined twice", name.value.0)).also(first, "first");
            continue;
        }
        table.entries.push((At { value: name.value.0.clone(), at: name.at }, Some(spec.native())));
    }
}
