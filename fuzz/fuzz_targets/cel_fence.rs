//! Whatever an expression holds, it is refused or evaluates within its steps.

#![no_main]

use graylane::config::check_expression;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_expression(bytes));
