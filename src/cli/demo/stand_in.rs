//! What takes the sidecar's place in the tests of this room: it forwards one request per connection by the user's
//! bucket, just enough to tell whether the demo around it works.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Running;
use super::configuration::{FILE, OPEN_CITY, OPEN_PROVINCE, PERMILLE, RELEASE};

/// The bucket by the reference implementation of the hash.
pub(super) fn bucket(salt: &str, key: &str) -> u16 {
    let hash = murmur3::murmur3_32(&mut std::io::Cursor::new(format!("{salt}{key}")), 0).unwrap();
    u16::try_from((u64::from(hash) * 1000) >> 32).unwrap()
}

/// A [`super::StartSidecar`].
pub(super) fn start(folder: &Path) -> anyhow::Result<Running> {
    let text = std::fs::read_to_string(folder.join(FILE))?;
    let value: serde_json::Value = serde_yaml::from_str(&text)?;
    let upstream =
        |name: &str| -> SocketAddr { value["upstreams"][name]["endpoints"][0].as_str().unwrap().parse().unwrap() };
    let (stable, gray) = (upstream("goods-stable"), upstream("goods-gray"));
    let bind = |bind: &serde_json::Value| TcpListener::bind(bind.as_str().unwrap());
    let listener = bind(&value["listeners"][0]["bind"])?;
    let admin = bind(&value["admin"]["bind"])?;
    let traffic = listener.local_addr()?;
    let admin_address = admin.local_addr()?;
    let stopped = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stopped);
    let thread = std::thread::spawn(move || {
        for client in listener.incoming() {
            if stops.load(Ordering::SeqCst) {
                break;
            }
            let client = client.unwrap();
            // A visitor may leave in the middle when the demo ends.
            std::thread::spawn(move || drop(forward(client, stable, gray)));
        }
    });
    let stop = Box::new(move || {
        stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(traffic));
        thread.join().unwrap();
        drop(admin);
    });
    Ok(Running { traffic, admin: admin_address, stop })
}

fn forward(client: TcpStream, stable: SocketAddr, gray: SocketAddr) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length, mut is_gray, mut line) = (String::new(), 0, false, String::new());
    while reader.read_line(&mut line)? > 2 {
        let (name, value) = line.trim().split_once(": ").unwrap_or((line.trim(), ""));
        match name {
            "content-length" => length = value.parse().unwrap(),
            "x-user-id" => is_gray |= bucket(RELEASE, value) < PERMILLE,
            "x-province-code" => is_gray |= value == OPEN_PROVINCE,
            "x-city-id" => is_gray |= value == OPEN_CITY,
            _ => {}
        }
        head.push_str(&line);
        line.clear();
    }
    let is_released = !head.starts_with("GET /api/v1/stock/") && !head.contains("x-user-tags: wholesale");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut shop = TcpStream::connect(if is_gray && is_released { gray } else { stable })?;
    write!(shop, "{head}connection: close\r\n\r\n")?;
    shop.write_all(&body)?;
    std::io::copy(&mut shop, &mut &client)?;
    client.shutdown(Shutdown::Both)
}
