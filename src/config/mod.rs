//! Bytes to file mirror to runtime settings.
mod file;
mod gather;
mod merge;
mod nearest;
mod node;
mod pending;
mod problem;
mod read;
mod text;
mod units;
