//! Whatever a JSON body holds, it is read as others read it, and the same for one value as for several.

#![no_main]

use graylane::extract::check_json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_json(bytes));
