//! The only wiring place.
