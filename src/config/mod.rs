//! Bytes to file mirror to runtime settings.
