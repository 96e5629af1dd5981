//! State machines that keep one failing part from hurting the others. Pure: time and chance are arguments.

mod retry_budget;

pub use retry_budget::RetryBudget;
