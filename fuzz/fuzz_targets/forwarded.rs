//! Whatever X-Forwarded-For holds, nobody who is not trusted has a say.

#![no_main]

use graylane::extract::check_forwarded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_forwarded(bytes));
