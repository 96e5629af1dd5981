//! Whatever a request's header, cookie, query and path hold, deciding and explaining come to the same lane.

#![no_main]

use graylane::extract::check_request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_request(bytes));
