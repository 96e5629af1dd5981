//! Whatever a chunked body holds, it is refused or read, and the same in pieces.

#![no_main]

use graylane::wire::h1::check_chunked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_chunked(bytes));
