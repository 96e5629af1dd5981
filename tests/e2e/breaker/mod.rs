//! A lane that hurts is taken out, tried again, and let back in.

mod lanes;
mod rollback;
mod worse;
