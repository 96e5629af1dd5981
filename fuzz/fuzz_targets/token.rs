//! Whatever an override holds, it counts only if it is signed.

#![no_main]

use graylane::decide::check_token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_token(bytes));
