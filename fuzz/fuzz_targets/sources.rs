//! Whatever cookies, queries and baggage hold, they are read the same however they are spread over lines.

#![no_main]

use graylane::extract::check_sources;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_sources(bytes));
