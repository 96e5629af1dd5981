use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{ApiError, Client, Listing, Want};
use crate::config::KubernetesAccess;

/// A server that gives each connection the answer of its turn once `go` allows it, and how often it was asked.
fn server(answers: Vec<String>, go: mpsc::Receiver<()>) -> (KubernetesAccess, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let access = KubernetesAccess {
        url: Some(format!("http://{}", listener.local_addr().unwrap())),
        ..KubernetesAccess::default()
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut socket, _) = listener.accept().unwrap();
            let mut read = [0; 4096];
            let _ = socket.read(&mut read);
            count.fetch_add(1, SeqCst);
            if go.recv().is_err() {
                return;
            }
            let _ = socket.write_all(answer.as_bytes());
        }
    });
    (access, asked)
}

fn whole(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn listing(access: &KubernetesAccess) -> Listing {
    let want = Want { version: "g/v1".into(), plural: "things".into(), namespace: Some("n".into()), selector: None };
    Listing::new(Client::new(access).unwrap(), &want).unwrap()
}

const ONE: &str = r#"{ "metadata": { "resourceVersion": "5" }, "items": [{ "metadata": { "name": "a" } }] }"#;

#[tokio::test]
async fn a_wait_that_is_given_up_again_and_again_asks_once() {
    let (allow, go) = mpsc::channel();
    let (access, asked) = server(vec![whole(200, ONE)], go);
    let mut listing = listing(&access);
    for _ in 0..20 {
        assert!(tokio::time::timeout(Duration::from_millis(5), listing.changed()).await.is_err());
    }
    allow.send(()).unwrap();
    listing.changed().await.unwrap();
    assert_eq!((listing.objects().len(), listing.version(), asked.load(SeqCst)), (1, "5", 1));
    assert!(listing.heard_within(Duration::from_secs(60)));
}

#[tokio::test]
async fn pages_are_one_list_and_a_version_that_is_gone_is_listed_again() {
    let (allow, go) = mpsc::channel();
    let first = r#"{ "metadata": { "continue": "more/1" }, "items": [{ "metadata": { "name": "a" } }] }"#;
    let second = r#"{ "metadata": { "resourceVersion": "5" }, "items": [{ "metadata": { "name": "b" } }] }"#;
    let answers = vec![whole(200, first), whole(200, second), whole(410, "{}"), whole(200, ONE)];
    let (access, asked) = server(answers, go);
    (0..4).for_each(|_| allow.send(()).unwrap());
    let mut listing = listing(&access);
    listing.changed().await.unwrap();
    assert_eq!(listing.objects().keys().collect::<Vec<_>>(), ["a", "b"]);
    listing.changed().await.unwrap();
    assert_eq!((listing.objects().len(), asked.load(SeqCst)), (1, 4));
}

#[tokio::test]
async fn refusals_and_nonsense_are_errors_that_say_what_was_said() {
    let (allow, go) = mpsc::channel();
    let status = r#"{ "kind": "Status", "message": "things is forbidden" }"#;
    let (access, _) = server(vec![whole(403, status), whole(200, "[]"), whole(200, "{")], go);
    (0..3).for_each(|_| allow.send(()).unwrap());
    let mut listing = listing(&access);
    let refused = listing.changed().await.unwrap_err();
    assert_eq!(refused.to_string(), "answered 403: things is forbidden");
    for _ in 0..2 {
        assert!(matches!(listing.changed().await, Err(ApiError::Garbled(_))));
    }
    assert!(listing.objects().is_empty());
}

#[test]
fn whoever_is_in_no_pod_has_to_say_where_the_server_is() {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        let error = Client::new(&KubernetesAccess::default()).unwrap_err();
        assert!(error.to_string().contains("kubernetes.url"), "{error}");
    }
}
