//! Whatever a line of a log holds, a replay reads it or counts it as not readable.

#![no_main]

use graylane::replay::check_log_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_log_line(bytes));
