//! Ten million lines of an access log: how many a second, and that memory does not grow with the log; a million of each other
//! form of a log.
//!
//! The lines are made by a formula and written into the pipe of the real process, so no disk is needed. Figures of a debug build
//! say nothing of speed: `GRAYLANE_REPLAY=target/release/graylane` measures another build.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

const CONFIGURATION: &str = "\
version: 1
facts:
  user_id: [{ cookie: uid }]
  sku_id: [{ path: sku_id }]
  category_id: [{ header: x-category-id }]
  order_amount: [{ header: x-order-amount }]
  stock_level: [{ header: x-stock-level }]
trust: [127.0.0.0/8]
upstreams: { s: { endpoints: [127.0.0.1:1] }, g: { endpoints: [127.0.0.1:2] } }
releases:
  r:
    level: permille
    permille: PERMILLE
    conditions:
      - { key: category_id, operator: IN, values: [\"1001\", \"1002\"] }
      - { key: stock_level, operator: GT, value: 500 }
routes:
  - { name: sku, match: { path: '/api/v1/sku/{sku_id}' }, lanes: { stable: s, gray: g }, release: r }
";
const LINES: u64 = 10_000_000;
const USERS: u64 = 500_000;

/// A form of a log: what is said of it on the command line, and how a request is written.
struct Form {
    name: &'static str,
    arguments: &'static [&'static str],
    write: fn(&Request, &mut dyn Write) -> std::io::Result<()>,
}

const OWN: Form = Form { name: "own", arguments: &[], write: write_own };
const OTHERS: [Form; 3] = [
    Form {
        name: "combined, four facts mapped",
        arguments: &[
            "--format",
            "combined",
            "--field",
            "user_id=field10",
            "--field",
            "category_id=field11",
            "--field",
            "order_amount=field12",
            "--field",
            "stock_level=field13",
        ],
        write: |request, to| {
            let Request { user, sku, category, stock, roll, .. } = request;
            writeln!(
                to,
                "203.0.113.9 - - [01/Mar/2026:10:00:00 +0800] \"GET /api/v1/sku/S{sku} HTTP/1.1\" 200 512 \"-\" \"curl/8.5.0\" \
                 \"u{user}\" \"{category}\" \"{}.{:02}\" \"{stock}\"",
                roll % 500,
                roll % 100
            )
        },
    },
    Form {
        name: "combined, all in headers and cookies",
        arguments: &[
            "--format",
            "combined",
            "--field",
            "header:cookie=field10",
            "--field",
            "header:x-category-id=field11",
            "--field",
            "header:x-order-amount=field12",
            "--field",
            "header:x-stock-level=field13",
        ],
        write: |request, to| {
            let Request { user, sku, category, stock, roll, .. } = request;
            writeln!(
                to,
                "203.0.113.9 - - [01/Mar/2026:10:00:00 +0800] \"GET /api/v1/sku/S{sku}?page=1 HTTP/1.1\" 200 512 \"-\" \"curl/8.5.0\" \
                 \"theme=dark; uid=u{user}\" \"{category}\" \"{}.{:02}\" \"{stock}\"",
                roll % 500,
                roll % 100
            )
        },
    },
    Form {
        name: "JSON lines",
        arguments: &[
            "--format",
            "json",
            "--field",
            "method=verb",
            "--field",
            "uri=request",
            "--field",
            "user_id=/user/id",
            "--field",
            "category_id=category",
            "--field",
            "order_amount=amount",
            "--field",
            "stock_level=stock",
        ],
        write: |request, to| {
            let Request { user, sku, category, stock, roll, .. } = request;
            writeln!(
                to,
                "{{\"ts\":\"2026-03-01T10:00:00.000Z\",\"verb\":\"GET\",\"request\":\"/api/v1/sku/S{sku}?page=1\",\"user\":{{\"id\":{user},\
                 \"tier\":\"VIP\"}},\"category\":\"{category}\",\"amount\":{}.{:02},\"stock\":{stock},\"status\":200,\"took_ms\":1.234}}",
                roll % 500,
                roll % 100
            )
        },
    },
];

/// Request `n`: a user of half a million with a bucket, one of 40,000 SKUs, one of four categories.
struct Request {
    n: u64,
    user: u64,
    bucket: u64,
    roll: u64,
    sku: u64,
    category: u64,
    stock: u64,
}

fn request(n: u64) -> Request {
    let mixed = |n: u64| {
        let mut hash = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^ (hash >> 32)
    };
    let (user, roll) = (mixed(n) % USERS, mixed(n ^ 0x5555_0000_0000));
    let bucket = mixed(user ^ 0xaaaa_0000_0000) % 1000;
    Request { n, user, bucket, roll, sku: roll % 40_000, category: 1001 + roll / 7 % 4, stock: roll / 31 % 1000 }
}

fn write_own(request: &Request, to: &mut dyn Write) -> std::io::Result<()> {
    let Request { n, user, bucket, roll, sku, category, stock } = request;
    let admitted = *category < 1003 && *stock > 500;
    let gray = *bucket < 50 && admitted;
    let lane = if gray { "gray" } else { "stable" };
    let (level, reason) = match (gray, admitted) {
        (true, _) => ("permille", "bucket"),
        (false, true) => ("none", "bucket_out"),
        (false, false) => ("none", "conditions"),
    };
    writeln!(
        to,
        "{{\"time\":\"2026-03-01T10:00:00.000Z\",\"request_id\":\"{n:032x}\",\"client\":\"203.0.113.9\",\"protocol\":\"HTTP/1.1\",\
         \"method\":\"GET\",\"host\":\"goods.shop.example\",\"path\":\"/api/v1/sku/S{sku}\",\"user\":\"{user:016x}\",\"sku_id\":\"S{sku}\",\
         \"category_id\":\"{category}\",\"order_amount\":\"{}.{:02}\",\"facts\":{{\"stock_level\":\"{stock}\"}},\"route\":\"sku\",\"lane\":\"{lane}\",\
         \"level\":\"{level}\",\"reason\":\"{reason}\",\"release\":\"r\",\"bucket\":{bucket},\"salt\":\"r\",\"key\":\"user_id\",\"status\":200,\
         \"upstream\":\"s\",\"duration_ms\":1.234,\"upstream_duration_ms\":1.1,\"bytes_in\":0,\"bytes_out\":512}}",
        roll % 500,
        roll % 100,
    )
}

/// The peak of the process's resident memory, in bytes.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn program() -> PathBuf {
    std::env::var_os("GRAYLANE_REPLAY").map_or_else(|| env!("CARGO_BIN_EXE_graylane").into(), PathBuf::from)
}

/// Replays so many lines, and says how much memory that took at most, in bytes.
fn replay(folder: &Path, lines: u64, form: &Form) -> u64 {
    let config = |name: &str, permille: u32| {
        let path = folder.join(name);
        std::fs::write(&path, CONFIGURATION.replace("PERMILLE", &permille.to_string())).expect("a file");
        path
    };
    let (from, to) = (config("from.yaml", 50), config("to.yaml", 200));
    let mut child = Command::new(program())
        .args(["replay", "--json", "--from"])
        .arg(from)
        .arg("--to")
        .arg(to)
        .args(form.arguments)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("graylane starts");
    let began = Instant::now();
    let mut log = BufWriter::with_capacity(1 << 20, child.stdin.take().expect("its input"));
    let mut most = 0;
    for n in 0..lines {
        (form.write)(&request(n), &mut log).expect("it reads");
        if n % 50_000 == 0 {
            most = most.max(peak(&child));
        }
    }
    log.flush().expect("it reads");
    most = most.max(peak(&child));
    drop(log);
    let output = child.wait_with_output().expect("it ends");
    let took = began.elapsed();
    assert!(output.status.success(), "{:?}", output.status);
    let (rate, mib) = (lines as f64 / took.as_secs_f64(), most as f64 / (1 << 20) as f64);
    println!("{}: {lines} lines: {took:.1?}, {rate:.0} lines a second, peak {mib:.1} MiB", form.name);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["seen"]["requests"], &report["unreadable"], &report["undecided"]),
        (&lines.into(), &0.into(), &0.into())
    );
    assert_eq!(report["unlike_log"], Value::Null, "the log is what `--from` says");
    // Half of the categories and half of the stock, times the 150 permille that open.
    let moved = report["changed"]["requests"].as_f64().expect("a number") / lines as f64;
    assert!((0.035..0.040).contains(&moved), "{moved}");
    let users = report["seen"]["users"].as_f64().expect("a number");
    let expected = USERS as f64 * (1.0 - (1.0 - 1.0 / USERS as f64).powf(lines as f64));
    // Four standard errors of the estimate.
    assert!((users / expected - 1.0).abs() < 0.0325, "{users} of about {expected}");
    most
}

#[test]
fn ten_million_lines_need_no_more_memory_than_one_million() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let measured = [LINES / 10, LINES].map(|lines| replay(folder.path(), lines, &OWN));
    assert!(measured[1] < measured[0] + (4 << 20), "{measured:?} bytes");
    assert!(measured[1] < 64 << 20, "{measured:?} bytes");
}

#[test]
fn every_other_form_is_read_whole_in_as_little_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for form in &OTHERS {
        let peak = replay(folder.path(), LINES / 10, form);
        assert!(peak < 64 << 20, "{}: {peak} bytes", form.name);
    }
}
