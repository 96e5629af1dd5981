//! Documents of custom resources that the webhook rendered into the files of a pod, for sidecars that may not watch.
//!
//! One ConfigMap serves every service of a namespace, so what is of another service is no mistake here and passes in silence. And
//! it is written by a process that does not know everything that a sidecar knows: what one sidecar cannot take of it is left out
//! and told, so that a resource that is wrong keeps no new pod from starting.

use std::collections::HashSet;
use std::path::Path;

use super::disk::ReadFiles;
use super::gather::{Gathered, gather};
use super::problem::{Findings, Problem, Problems, Severity};
use super::text::{Span, Texts};
use super::units::Name;
use super::{At, KeyFiles, Loaded, Source, finish};

/// The name of the ConfigMap.
pub const RENDERED_MAP: &str = "graylane-resources";
/// Its keys, which are the names of files, begin so.
pub const RENDERED_FILE: &str = "graylane-resource-";

/// Whether a file of this path was rendered.
fn is_rendered(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(RENDERED_FILE.as_bytes()))
}

/// Lets go of the rendered documents of other services; of all where there is no configuration that they could stand beside.
pub(super) fn keep_own(gathered: &mut Gathered, texts: &Texts) {
    let (own, is_native) = (gathered.config.service.clone(), gathered.native);
    let is_kept = |at: Span, named: Option<&At<Name>>| {
        let of_others = match (&own, named) {
            (Some(own), Some(named)) => own.value != named.value,
            _ => false,
        };
        !is_rendered(&texts.get(at.source()).path) || (is_native && !of_others)
    };
    gathered.rules.retain(|rule| is_kept(rule.at, rule.spec.as_ref().and_then(|spec| spec.service.as_ref())));
    gathered
        .gray_releases
        .retain(|release| is_kept(release.at, release.spec.as_ref().and_then(|spec| spec.service.as_ref())));
}

/// Loads by `load`; rendered files that a problem names are left out, and the problem becomes a warning. Where that does not help,
/// all of it is refused as it was.
pub(super) fn forgiving(
    files: &ReadFiles,
    load: impl Fn(&ReadFiles) -> Result<Loaded, Problems>,
) -> Result<Loaded, Problems> {
    let first = match load(files) {
        Err(problems) if files.0.iter().any(|(path, _)| is_rendered(path)) => problems,
        done => return done,
    };
    let mut told: Vec<Problem> = Vec::new();
    let mut problems = first.clone();
    loop {
        let blamed: Vec<&Problem> = problems.iter().filter(|problem| is_rendered(Path::new(&problem.file))).collect();
        // Each round leaves out another file, so this ends.
        if blamed.is_empty() {
            return Err(first);
        }
        told.extend(blamed.into_iter().cloned());
        let names: HashSet<&str> = told.iter().map(|problem| problem.file.as_str()).collect();
        match load(&files.without(&names)) {
            Ok(mut loaded) => {
                loaded.warnings.extend(told.into_iter().map(left_out));
                return Ok(loaded);
            }
            Err(next) => problems = next,
        }
    }
}

fn left_out(mut problem: Problem) -> Problem {
    problem.severity = Severity::Warning;
    problem.message = format!("this file is left out: {}", problem.message);
    problem
}

/// Whether the resources of a service are good, as far as it can be told where no sidecar runs: with the files of its configuration
/// where `files` are those, else by their form alone. Key files may be missing.
///
/// # Errors
/// What is wrong with the resources; what is wrong with the files alone is not told.
pub fn judge_resources(files: &[Source], service: &str, resources: &[Source]) -> Result<(), Problems> {
    let (mut texts, mut findings) = (Texts::default(), Findings::default());
    let mut gathered = gather(&ReadFiles(Vec::new()), &mut texts, &mut findings);
    gathered.add(files, &mut texts, &mut findings);
    let is_own = gathered.config.service.as_ref().is_some_and(|own| own.value.0 == service);
    if is_own && !findings.refused() {
        gathered.add_documents(resources, &mut texts, &mut findings);
        let Err(problems) = finish(gathered, KeyFiles::MayBeAbsent, texts, findings) else { return Ok(()) };
        let is_blamed = |problem: &Problem| resources.iter().any(|one| one.path.to_string_lossy() == problem.file);
        if problems.iter().any(is_blamed) {
            return Err(problems);
        }
        // It is the files that cannot be loaded here, such as one that names what only the pod has.
    }
    let (mut texts, mut findings) = (Texts::default(), Findings::default());
    let mut gathered = Gathered::default();
    gathered.add_documents(resources, &mut texts, &mut findings);
    if findings.refused() { findings.resolve(&texts).map(|_| ()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{load, load_documents};
    use super::*;

    const CONFIG: &str = "version: 1\nservice: goods\nupstreams:\n  a: { endpoints: [\"127.0.0.1:1\"] }\n  b: { endpoints: \
                          [\"127.0.0.1:2\"] }\nroutes:\n  - name: all\n    match: { path: \"/{*rest}\" }\n    lanes: { \
                          stable: a, gray: b }\n";

    fn rule(name: &str, service: &str, more: &str) -> String {
        format!(
            "apiVersion: gray.alibaba.com/v1\nkind: BusinessRule\nmetadata: {{ name: {name} }}\nspec: {{ service: \
             {service}, trafficWeight: \"5%\"{more} }}\n"
        )
    }

    const UNKNOWN: &str = ", conditions: [{ key: no_such_fact, operator: EQ, value: x }]";

    /// The releases and the warnings of a folder with these files.
    fn loaded(files: &[(&str, String)]) -> Result<(Vec<String>, Vec<String>), Problems> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let loaded = load(&[folder.path().to_owned()])?;
        let releases = loaded.settings.program.releases().iter().map(|release| release.name.to_string()).collect();
        Ok((releases, loaded.warnings.iter().map(|warning| warning.message.clone()).collect()))
    }

    #[test]
    fn what_is_of_another_service_passes_in_silence() {
        let files = [
            ("goods.yaml", CONFIG.to_owned()),
            ("graylane-resource-businessrule-r.yaml", rule("r", "goods", "")),
            ("graylane-resource-businessrule-s.yaml", rule("s", "price", UNKNOWN)),
        ];
        let (releases, warnings) = loaded(&files).unwrap();
        assert_eq!(releases, ["r"]);
        assert!(!warnings.iter().any(|warning| warning.contains("rule")), "{warnings:?}");
        // Elsewhere it is a mistake.
        let [goods, own, (_, other)] = files;
        assert!(loaded(&[goods, own, ("other.yaml", other)]).is_err());
    }

    #[test]
    fn what_cannot_be_taken_is_left_out_and_told() {
        let bad = ("graylane-resource-businessrule-r.yaml", rule("r", "goods", UNKNOWN));
        let (releases, warnings) = loaded(&[("goods.yaml", CONFIG.to_owned()), bad.clone()]).unwrap();
        assert!(releases.is_empty());
        let said = warnings
            .iter()
            .any(|warning| warning.starts_with("this file is left out") && warning.contains("no_such_fact"));
        assert!(said, "{warnings:?}");
        // Not where the configuration itself is wrong, nor in another file.
        let broken = ("goods.yaml", CONFIG.replace("stable: a", "stable: c"));
        let refused = loaded(&[broken, bad]).unwrap_err();
        assert!(refused.iter().count() == 2, "{refused}");
        assert!(loaded(&[("goods.yaml", CONFIG.to_owned()), ("rule.yaml", rule("r", "goods", UNKNOWN))]).is_err());
    }

    #[test]
    fn a_pod_without_a_configuration_still_passes_everything_through() {
        let note =
            "apiVersion: graylane.io/v1alpha1\nkind: Sidecar\nspec: { local: \"127.0.0.1:1\", passThrough: true }\n";
        let (releases, _) = loaded(&[
            ("graylane-pod.yaml", note.to_owned()),
            ("graylane-resource-businessrule-r.yaml", rule("r", "goods", "")),
        ])
        .unwrap();
        assert!(releases.is_empty());
    }

    #[test]
    fn resources_are_judged_with_their_configuration_where_it_is_known() {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.to_owned() };
        let files = [source("goods.yaml", CONFIG)];
        let judge = |service: &str, text: &str| judge_resources(&files, service, &[source("cluster:x", text)]);
        assert!(judge("goods", &rule("r", "goods", "")).is_ok());
        assert!(judge("goods", &rule("r", "goods", UNKNOWN)).unwrap_err().to_string().contains("no_such_fact"));
        // Which facts another service has nobody knows here, but what a rule looks like.
        assert!(judge("price", &rule("r", "price", UNKNOWN)).is_ok());
        let wrong = judge("price", &rule("r", "price", "").replace("5%", "500%")).unwrap_err();
        assert_eq!((wrong.iter().count(), wrong.iter().next().unwrap().file.as_str()), (1, "cluster:x"));
        let broken = [source("goods.yaml", &CONFIG.replace("stable: a", "stable: c"))];
        assert!(judge_resources(&broken, "goods", &[source("cluster:x", &rule("r", "goods", ""))]).is_ok());
        assert!(load_documents(&ReadFiles(Vec::new()), &files).is_ok());
    }
}
