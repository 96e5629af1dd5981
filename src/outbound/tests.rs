use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// A server that reads one request and says `answer`, then waits until the client leaves.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut read = [0; 4096];
        let _ = socket.read(&mut read);
        let _ = socket.write_all(answer);
        let _ = socket.read(&mut read);
    });
    format!("http://{address}/")
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

const BOUNDS: Bounds = Bounds { within: Duration::from_millis(500), bytes: 8 };

#[tokio::test]
async fn an_answer_comes_whole() {
    let caller = Caller::new(&Roots::default()).unwrap();
    let url = server(b"HTTP/1.1 203 Ok\r\netag: a\r\ncontent-length: 5\r\n\r\nhello");
    let answer = caller.call(get(&url), BOUNDS).await.unwrap();
    assert_eq!((answer.status, &answer.body[..], answer.fields["etag"].as_bytes()), (203, &b"hello"[..], &b"a"[..]));
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_bound() {
    let caller = Caller::new(&Roots::default()).unwrap();
    let url = server(b"HTTP/1.1 200 Ok\r\n\r\n123456789");
    let error = caller.call(get(&url), BOUNDS).await.unwrap_err();
    assert!(matches!(error, CallError::TooLarge(8)), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_late() {
    let caller = Caller::new(&Roots::default()).unwrap();
    let error = caller.call(get(&server(b"")), BOUNDS).await.unwrap_err();
    assert!(matches!(error, CallError::Late(_)), "{error}");
}

#[tokio::test]
async fn nobody_there_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error =
        Caller::new(&Roots::default()).unwrap().call(get(&format!("http://{free}/")), BOUNDS).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_file_without_a_certificate_is_named() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let roots = Roots { ca: Some(empty.path().to_owned()), identity: None };
    assert!(client_tls(&roots).unwrap_err().to_string().contains("no certificate"));
}
