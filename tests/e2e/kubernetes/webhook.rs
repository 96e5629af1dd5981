//! `graylane inject-webhook`, called by curl over TLS.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::certificates::{self, HOST};
use crate::harness::{Port, Process, eventually};

const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/graylane";
const SECRET: &str = "/api/v1/namespaces/graylane-system/secrets/graylane-webhook-tls";

pub(super) struct Webhook {
    pub(super) process: Process,
    port: Port,
}

impl Webhook {
    fn start(more: &[&str]) -> Self {
        let port = Port::reserve();
        let listen = port.address().to_string();
        let mut arguments = vec!["inject-webhook", "--listen", &listen, "--log-format", "text"];
        arguments.extend(more);
        Self { process: Process::start(arguments), port }
    }

    /// With certificates from files.
    fn of_files(folder: &Path) -> Self {
        Self::of_files_and(folder, &[])
    }

    /// The same with more options.
    pub(super) fn of_files_and(folder: &Path, more: &[&str]) -> Self {
        let (cert, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let own = ["--cert", &cert, "--key", &key, "--kubernetes-version", "1.33"];
        let webhook = Self::start(&[&own, more].concat());
        eventually("the webhook to answer", || webhook.curl(&["-k"], "/healthz", &[]).status.success().then_some(()));
        webhook
    }

    /// Calls it by its name in the cluster.
    fn curl(&self, trust: &[&str], path: &str, more: &[&str]) -> Output {
        let port = self.port.address().port();
        let (resolve, url) = (format!("{HOST}:{port}:127.0.0.1"), format!("https://{HOST}:{port}{path}"));
        let mut command = Command::new("curl");
        command.args(["-sS", "--noproxy", "*", "--max-time", "20", "--resolve", &resolve]).args(trust).args(more);
        command.arg(url).output().expect("curl is installed")
    }

    /// Sends a review; the status and the body.
    pub(super) fn review(&self, trust: &[&str], body: &[u8]) -> (u16, Vec<u8>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), body).unwrap();
        let body = format!("@{}", file.path().display());
        let kind = "content-type: application/json";
        let done = self.curl(trust, "/mutate", &["-H", kind, "--data-binary", &body, "-w", "\n%{http_code}"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let end = done.stdout.len() - 4;
        let status = std::str::from_utf8(&done.stdout[end + 1..]).unwrap().parse().unwrap();
        (status, done.stdout[..end].to_vec())
    }
}

pub(super) fn review() -> Value {
    let containers =
        json!([{ "name": "app", "image": "goods:1", "ports": [{ "name": "http", "containerPort": 8080 }] }]);
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": "CREATE", "namespace": "shop", "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "object": { "metadata": { "name": "goods" }, "spec": { "containers": containers } },
        },
    })
}

fn trust(folder: &Path) -> [String; 2] {
    ["--cacert".to_owned(), folder.join("ca.pem").display().to_string()]
}

#[test]
fn a_pod_is_patched_over_tls_and_what_is_no_review_is_told() {
    let folder = tempfile::tempdir().unwrap();
    certificates::write(folder.path(), 2099);
    let mut webhook = Webhook::of_files(folder.path());
    let trust = trust(folder.path());
    let trust: Vec<&str> = trust.iter().map(String::as_str).collect();
    let (status, body) = webhook.review(&trust, review().to_string().as_bytes());
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["response"]["allowed"], &answer["response"]["uid"]), (200, &json!(true), &json!("1")));
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(patch).unwrap().contains("graylane"));

    for broken in [&b"{"[..], b"", b"[]", b"\xff\xfe"] {
        let (status, body) = webhook.review(&trust, broken);
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(&body));
    }
    let mut beta = review();
    beta["apiVersion"] = "admission.k8s.io/v1beta1".into();
    let (status, body) = webhook.review(&trust, beta.to_string().as_bytes());
    assert!(status == 400 && String::from_utf8_lossy(&body).contains("admission.k8s.io/v1"));
    let mut large = review();
    large["request"]["object"]["metadata"]["annotations"] = json!({ "x": "y".repeat(3 << 20) });
    assert_eq!(webhook.review(&trust, large.to_string().as_bytes()).0, 200);
    // It stops listening to it, which curl may call a failure; and goes on.
    let huge = folder.path().join("huge");
    std::fs::write(&huge, vec![b' '; 9 << 20]).unwrap();
    let huge = format!("@{}", huge.display());
    let said = webhook.curl(&trust, "/mutate", &["--data-binary", &huge, "-o", "/dev/null", "-w", "%{http_code}"]);
    let code = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(code == "413" || !said.status.success(), "{code}");
    assert_eq!(webhook.review(&trust, review().to_string().as_bytes()).0, 200);
    // Somebody who believes nobody of ours learns nothing.
    assert!(!webhook.curl(&[], "/healthz", &[]).status.success());
    webhook.process.signal("TERM");
    assert!(webhook.process.wait().success(), "{}", webhook.process.stderr());
}

#[test]
fn another_certificate_counts_without_a_restart_and_an_ended_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    certificates::write(folder.path(), 2099);
    let webhook = Webhook::of_files(folder.path());
    let before = std::fs::read(folder.path().join("ca.pem")).unwrap();
    let old = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(old.path(), before).unwrap();
    let (old, new) = (old.path().display().to_string(), folder.path().join("ca.pem").display().to_string());
    let takes = |ca: &str| webhook.curl(&["--cacert", ca], "/readyz", &["-f"]).status.success();
    assert!(takes(&old));
    certificates::write(folder.path(), 2099);
    eventually("the new certificate", || takes(&new).then_some(()));
    assert!(!takes(&old));
    certificates::write(folder.path(), 2021);
    eventually("the end of the certificate to be told", || {
        let said = webhook.curl(&["-k"], "/readyz", &["-w", "%{http_code}"]);
        String::from_utf8_lossy(&said.stdout).ends_with("503").then_some(())
    });
    assert!(!takes(&new), "an ended certificate is believed");
    std::fs::write(folder.path().join("tls.key"), "no key").unwrap();
    eventually("the fault in the log", || webhook.process.stderr().contains("cannot be used").then_some(()));
    assert!(webhook.curl(&["-k"], "/healthz", &["-f"]).status.success());
}

/// On one connection, as an API server keeps it. The figures are printed; half of the answers have to be within ten milliseconds,
/// in a build without optimisation and beside other tests.
#[test]
fn an_answer_takes_less_than_ten_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    certificates::write(folder.path(), 2099);
    let webhook = Webhook::of_files(folder.path());
    let body = folder.path().join("review.json");
    std::fs::write(&body, review().to_string()).unwrap();
    let ca = trust(folder.path());
    let port = webhook.port.address().port();
    let url = format!("url = \"https://{HOST}:{port}/mutate\"\noutput = \"/dev/null\"\n");
    let config = folder.path().join("curl");
    std::fs::write(&config, url.repeat(200)).unwrap();
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "--resolve", &format!("{HOST}:{port}:127.0.0.1"), &ca[0], &ca[1]]);
    command.args(["-w", "%{time_pretransfer} %{time_total} %{num_connects}\n", "--data-binary"]);
    let done = command.arg(format!("@{}", body.display())).arg("-K").arg(config).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    let mut times: Vec<f64> = Vec::new();
    for line in text.lines() {
        let figures: Vec<f64> = line.split(' ').map(|figure| figure.parse().unwrap()).collect();
        times.push((figures[1] - figures[0]) * 1e3);
    }
    assert_eq!(times.len(), 200);
    times.sort_by(f64::total_cmp);
    println!(
        "answers in ms: median {:.2}, of a hundred 99 within {:.2}, slowest {:.2}",
        times[100], times[197], times[199]
    );
    assert!(times[100] < 10.0, "{} ms", times[100]);
}

#[test]
fn replicas_share_a_certificate_of_their_own_and_have_it_believed() {
    let folder = tempfile::tempdir().unwrap();
    let hook = |name: &str| json!({ "name": name, "clientConfig": { "service": { "name": "graylane-webhook" } } });
    let configuration = json!({ "metadata": { "name": "graylane" }, "webhooks": [hook("one"), hook("two")] });
    let version = json!({ "major": "1", "minor": "31+" });
    // As the manifests make it, so that nobody needs the right to make one.
    let labels = json!({ "app.kubernetes.io/name": "graylane" });
    let secret = json!({ "metadata": { "name": "graylane-webhook-tls", "labels": labels.clone(), "resourceVersion": "0" }, "type": "kubernetes.io/tls", "data": { "tls.crt": "", "tls.key": "" } });
    let cluster = ApiServer::start([
        (CONFIGURATION.to_owned(), configuration),
        ("/version".to_owned(), version),
        (SECRET.to_owned(), secret),
    ]);
    let arguments = cluster.arguments(folder.path());
    let mut all = vec!["--self-signed", "--namespace", "graylane-system"];
    all.extend(arguments.iter().map(String::as_str));
    let replicas = [Webhook::start(&all), Webhook::start(&all)];
    let bundle = eventually("the caBundle", || {
        let bundle = |at: usize| {
            let hooks = cluster.object(CONFIGURATION)?;
            hooks["webhooks"][at]["clientConfig"]["caBundle"].as_str().map(str::to_owned)
        };
        bundle(0).filter(|first| bundle(1).as_ref() == Some(first))
    });
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, STANDARD.decode(bundle).unwrap()).unwrap();
    let ca = ca.display().to_string();
    for replica in &replicas {
        eventually("a replica that is believed", || {
            replica.curl(&["--cacert", &ca], "/readyz", &["-f"]).status.success().then_some(())
        });
        assert!(replica.process.stderr().contains("1.31"), "{}", replica.process.stderr());
    }
    let secret = cluster.object(SECRET).unwrap();
    assert_eq!((&secret["type"], &secret["metadata"]["labels"]), (&json!("kubernetes.io/tls"), &labels));

    // A restart shows the same, and what somebody removed comes back.
    cluster.kept.lock().unwrap().objects.get_mut(CONFIGURATION).unwrap()["webhooks"][1]["clientConfig"]["caBundle"] =
        "".into();
    let third = Webhook::start(&all);
    eventually("the caBundle again", || {
        let hooks = cluster.object(CONFIGURATION)?;
        (hooks["webhooks"][1]["clientConfig"]["caBundle"] == hooks["webhooks"][0]["clientConfig"]["caBundle"])
            .then_some(())
    });
    eventually("the third replica", || {
        third.curl(&["--cacert", &ca], "/readyz", &["-f"]).status.success().then_some(())
    });
    assert_eq!(cluster.object(SECRET), Some(secret));
}
