//! Safety: faults on purpose stay within their bounds, deadlines hold, and whoever leaves frees what worked for them.

mod deadlines;
mod departures;
mod fault_api;
mod faults;
mod scene;
mod verdicts;
