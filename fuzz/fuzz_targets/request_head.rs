//! Whatever a head holds, a request's or an answer's, it is refused or read, and the same however slowly it arrives.

#![no_main]

use graylane::wire::h1::{check_answer, check_arrival, check_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_head(bytes);
    check_answer(bytes);
    check_arrival(bytes);
});
