//! A request to facts.
