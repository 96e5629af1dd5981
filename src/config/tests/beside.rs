//! What a pod says of its sidecar, over what many pods share.

use std::path::Path;
use std::time::Duration;

use crate::config::settings::Endpoint;
use crate::config::{KeyFiles, Loaded, load_text, load_texts};

const SHARED: &str = "service: goods\nlane: stable\nlocal: 127.0.0.1:1\nworkers: 4\ndrain: 30s\nlisteners:\n  - bind: \
                      127.0.0.1:15080\n  - bind: 127.0.0.1:15081\nupstreams: { own: { endpoints: [local] } }\nroutes: [{ name: \
                      all, match: { path: \"/{*rest}\" }, lanes: { stable: own } }]\n";

fn beside(spec: &str) -> String {
    format!("apiVersion: graylane.io/v1alpha1\nkind: Sidecar\nspec: {{ {spec} }}\n")
}

fn load(text: &str) -> Result<Loaded, String> {
    let loaded = load_text(Path::new("/etc/graylane/graylane.yaml"), text.as_bytes(), KeyFiles::Needed);
    loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn what_the_pod_says_wins_in_whatever_order_it_is_read() {
    let spec = "listen: \"0.0.0.0:15080\", local: \"127.0.0.1:8080\", lane: gray, workers: 1, drain: 9s, drainWait: 0s, probes: \
                \"0.0.0.0:15091\", passThrough: true";
    for text in [format!("{SHARED}---\n{}", beside(spec)), format!("{}---\n{SHARED}", beside(spec))] {
        let settings = load(&text).unwrap().settings;
        let binds: Vec<String> = settings.listeners.iter().map(|listener| listener.bind.to_string()).collect();
        assert_eq!(binds, ["0.0.0.0:15080", "127.0.0.1:15081"]);
        assert_eq!(settings.local, Some(Endpoint::Host { host: "127.0.0.1".into(), port: 8080 }));
        assert_eq!(settings.workers.map(std::num::NonZeroUsize::get), Some(1));
        assert_eq!((settings.drain, settings.drain_wait), (Duration::from_secs(9), Some(Duration::ZERO)));
        assert_eq!(settings.probes.map(|address| address.port()), Some(15091));
        assert_eq!(settings.routes.len(), 1);
        assert_eq!(settings.program.lanes().name(settings.lane), "gray");
    }
}

#[test]
fn what_it_does_not_say_stays() {
    let settings = load(&format!("{SHARED}---\n{}", beside("probes: \"0.0.0.0:15091\""))).unwrap().settings;
    assert_eq!(settings.listeners[0].bind.to_string(), "127.0.0.1:15080");
    assert_eq!(settings.drain, Duration::from_secs(30));
}

#[test]
fn without_a_configuration_everything_goes_to_the_pods_own_service() {
    let loaded = load(&beside("local: \"127.0.0.1:8080\", passThrough: true")).unwrap();
    assert_eq!((loaded.settings.routes.len(), loaded.settings.upstreams.len()), (1, 1));
    // The texts alone make the same again: an earlier version can be put in force.
    let again = load_texts(&loaded.sources).unwrap();
    assert_eq!(again.settings.routes.len(), 1);
    let outbound = load(&beside("listen: \"127.0.0.1:15080\", passThrough: true")).unwrap();
    assert!(outbound.settings.routes.is_empty());
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    for (text, expected) in [
        (beside("lokal: \"127.0.0.1:8080\""), "local"),
        (beside("listen: 15080"), "listen"),
        (beside("workers: 0"), "workers"),
        (beside("drain: soon"), "soon"),
        (beside("local: here"), "here"),
        (beside("probes: \"0.0.0.0\""), "no address"),
        (format!("{}---\n{}", beside("lane: gray"), beside("lane: gray")), "once"),
        ("apiVersion: graylane.io/v1\nkind: Sidecar\nspec: {}\n".to_owned(), "graylane.io/v1alpha1"),
    ] {
        let error = load(&text).map(|_| ()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
