//! Whatever a configuration holds, it loads or is refused with problems that can be told.

#![no_main]

use graylane::config::check_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_bytes(bytes));
