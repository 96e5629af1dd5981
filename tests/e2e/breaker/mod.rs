//! A lane that hurts is taken out, tried again, and let back in.

mod clients;
mod lanes;
mod rollback;
mod worse;
