//! Tells what was measured: [`result`] is what is kept, [`table`] is for the terminal, [`markdown`] for the documentation,
//! [`plot`] draws.

pub mod markdown;
pub mod plot;
pub mod result;
pub mod table;
