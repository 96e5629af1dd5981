//! Whatever a connection begins with, a PROXY header is taken off it to the byte, or it is refused.

#![no_main]

use graylane::wire::check_proxy_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_proxy_header(bytes));
