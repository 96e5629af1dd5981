use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::config::{KeyTemplate, LookupStore};
use crate::decide::FactId;

fn plan() -> LookupPlan {
    LookupPlan {
        name: "product".into(),
        store: LookupStore::Http,
        key: KeyTemplate::parse("{sku_id}", |_| Ok(FactId::SKU_ID)).unwrap(),
        fields: vec!["category_id".into(), "stock_level".into()],
        deadline: Duration::from_secs(5),
        ttl: Duration::from_secs(60),
        stale: Duration::from_secs(60),
        negative_ttl: Duration::from_secs(60),
        entries: 100,
    }
}

/// An HTTP server that answers every request with this, slowly, and counts them.
fn server(answer: &'static str, after: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, counted) = (socket.unwrap(), counted.clone());
            std::thread::spawn(move || {
                let mut read = [0; 4096];
                while socket.read(&mut read).is_ok_and(|n| n > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    // The time that the answer takes.
                    std::thread::sleep(after);
                    if socket.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (format!("http://{address}"), count)
}

fn started(plan: LookupPlan) -> Arc<Lookup> {
    let lookup = Arc::new(Lookup::new(plan));
    tokio::spawn(lookup.desk().expect("nobody has it yet").run());
    lookup
}

const RECORD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 71\r\n\r\n{\"stock_level\":501,\"category_id\":\"1001\",\"other\":[1],\"x\":null,\"y\":false}";

#[tokio::test]
async fn many_requests_share_one_look_up_and_what_was_found_is_kept() {
    let (url, count) = server(RECORD, Duration::from_millis(50));
    let lookup = started(plan());
    let key = format!("{url}/7");
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (lookup, key) = (lookup.clone(), key.clone());
        asking.spawn(async move { lookup.get(&key, 0).await });
    }
    while let Some(answer) = asking.join_next().await {
        let Answer::Found(record) = answer.unwrap() else { panic!("found") };
        assert_eq!((record.field("stock_level"), record.field("category_id")), (Some("501"), Some("1001")));
        assert_eq!(record.field("other"), None);
    }
    assert!(matches!(lookup.get(&key, 0).await, Answer::Found(_)));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_late_look_up_is_nothing_now_and_there_for_the_next() {
    let (url, _) = server(RECORD, Duration::from_millis(60));
    let lookup = started(LookupPlan { deadline: Duration::from_millis(20), ..plan() });
    let key = format!("{url}/7");
    assert_eq!(lookup.get(&key, 0).await, Answer::Nothing("the look-up was too late"));
    tokio::time::timeout(Duration::from_secs(10), async {
        while !matches!(lookup.get(&key, 0).await, Answer::Found(_)) {
            // The pause between two looks.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_stale_record_is_given_while_it_is_looked_up_anew() {
    let (url, count) = server(RECORD, Duration::ZERO);
    let lookup = started(LookupPlan { ttl: Duration::from_millis(1), ..plan() });
    let key = format!("{url}/7");
    assert!(matches!(lookup.get(&key, 0).await, Answer::Found(_)));
    // Longer than the record is fresh.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(matches!(lookup.get(&key, 0).await, Answer::Found(_)));
    tokio::time::timeout(Duration::from_secs(10), async {
        while count.load(Ordering::SeqCst) < 2 {
            // The pause between two looks.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_as_well() {
    let (url, count) = server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Duration::ZERO);
    let lookup = started(plan());
    for _ in 0..5 {
        assert_eq!(lookup.get(&format!("{url}/7"), 0).await, Answer::Nothing(NOT_THERE));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

/// What five keys in a row get from a server that always answers so.
async fn five(answer: &'static str) -> [Answer; 2] {
    let (url, _) = server(answer, Duration::ZERO);
    let lookup = started(plan());
    let mut answers = Vec::new();
    for sku in 0..5 {
        answers.push(lookup.get(&format!("{url}/{sku}"), 0).await);
    }
    [answers.swap_remove(0), answers.swap_remove(0)]
}

#[tokio::test]
async fn a_bad_record_is_nothing_for_its_key_and_the_store_stays_up() {
    let (odd, no_object) = ("the store answered with neither a record nor 404", "what the store has is no JSON object");
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n{}", " ".repeat(70_000)).leak();
    for (answer, why) in [
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", odd),
        ("HTTP/1.1 204 No Content\r\n\r\n", odd),
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", no_object),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", no_object),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", no_object),
        (large, "the record is larger than 64 KiB"),
    ] {
        let expected = Answer::Unusable(why);
        assert_eq!(five(answer).await, [expected.clone(), expected], "{answer}");
    }
}

#[tokio::test]
async fn a_bad_record_is_kept_as_long_as_one_that_is_not_there() {
    let (url, count) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", Duration::ZERO);
    let lookup = started(plan());
    for _ in 0..5 {
        assert!(matches!(lookup.get(&format!("{url}/7"), 0).await, Answer::Unusable(_)));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_that_refuses_or_cannot_answer_counts_as_failing() {
    for status in [
        "301 Moved",
        "302 Found",
        "401 Unauthorized",
        "403 Forbidden",
        "405 Method Not Allowed",
        "406 Not Acceptable",
        "415 Unsupported Media Type",
        "421 Misdirected Request",
        "425 Too Early",
        "426 Upgrade Required",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "503 Away",
    ] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").leak();
        let (url, _) = server(answer, Duration::ZERO);
        let lookup = started(plan());
        let mut last = lookup.get(&format!("{url}/first"), 0).await;
        assert_eq!(last, Answer::Nothing(FAILED), "{status}");
        for sku in 0..5 {
            last = lookup.get(&format!("{url}/{sku}"), 0).await;
        }
        assert_eq!(last, Answer::Nothing("the store is down"), "{status}");
    }
}

#[test]
fn a_stale_record_outlives_answers_that_are_none_and_is_asked_for_later() {
    let (cache, start) = (Cache::new(16), Instant::now());
    let (second, found) = (Duration::from_secs(1), Answer::Found(Arc::new(Record::default())));
    let land = |answer: &Answer, at: u32, stale| {
        cache.fly("k", watch::channel(None).1);
        cache.land("k", Some((answer.clone(), start + at * second, second, stale)));
    };
    let unusable = Answer::Unusable("what the store has is no JSON object");
    land(&found, 0, 10 * second);
    for at in 2..11 {
        land(&unusable, at, Duration::ZERO);
        let now = start + at * second;
        assert!(matches!(cache.place("k", now), Place::Fresh(answer) if answer == found), "{at}");
    }
    assert!(matches!(cache.place("k", start + 11 * second), Place::Unknown), "no longer than it would have been given");
    land(&unusable, 11, Duration::ZERO);
    assert!(matches!(cache.place("k", start + 11 * second), Place::Fresh(answer) if answer == unusable));
    land(&found, 12, 10 * second);
    land(&Answer::Nothing(NOT_THERE), 14, Duration::ZERO);
    assert!(matches!(cache.place("k", start + 14 * second), Place::Fresh(Answer::Nothing(_))), "it was taken away");
}

/// A Redis error as a server sends it.
fn redis_error(line: &str) -> redis::RedisError {
    let answer = redis::parse_redis_value(line.as_bytes()).and_then(redis::Value::extract_error);
    answer.expect_err("an error")
}

#[test]
fn errors_of_redis_are_about_the_key_or_about_the_server() {
    use super::store::of_this_key;
    for line in ["-WRONGTYPE Operation against a key\r\n", "-MOVED 3999 127.0.0.1:6381\r\n", "-CROSSSLOT Keys\r\n"] {
        assert!(matches!(of_this_key(&redis_error(line)), Some(Answer::Unusable(_))), "{line}");
    }
    for line in ["-LOADING Redis is loading\r\n", "-NOAUTH Authentication required.\r\n", "-ERR max clients\r\n"] {
        assert_eq!(of_this_key(&redis_error(line)), None, "{line}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_soon_not_waited_for() {
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lookup = started(plan());
    let mut answers = Vec::new();
    for sku in 0..10 {
        answers.push(lookup.get(&format!("http://{away}/{sku}"), 0).await);
    }
    assert_eq!(answers[0], Answer::Nothing(FAILED));
    assert_eq!(answers[9], Answer::Nothing("the store is down"));
}

#[tokio::test]
async fn the_cache_is_bounded() {
    let (url, _) = server(RECORD, Duration::ZERO);
    let lookup = started(LookupPlan { entries: 16, ..plan() });
    for sku in 0..200 {
        lookup.get(&format!("{url}/{sku}"), 0).await;
    }
    assert!(lookup.shared.cache.len() <= 16, "{}", lookup.shared.cache.len());
}
