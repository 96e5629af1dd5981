//! What an attacker tries: every test here failed once, or guards a place where others have failed.

mod answers;
mod bodies;
mod crowds;
mod early;
mod floods;
mod http2;
mod lessons;
mod patience;
mod raw;
mod replies;
mod sections;
mod smuggling;
mod trust;
mod weight;
