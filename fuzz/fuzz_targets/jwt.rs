//! Whatever a token or a file of keys holds, only what our key signed counts.

#![no_main]

use graylane::extract::check_jwt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_jwt(bytes));
