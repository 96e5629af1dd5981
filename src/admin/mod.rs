//! The port for people and tools.
