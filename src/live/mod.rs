//! One writer publishes, many read.
