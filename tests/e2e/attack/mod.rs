//! What an attacker tries: every test here failed once, or guards a place where others have failed.

mod bodies;
mod smuggling;
