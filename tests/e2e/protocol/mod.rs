//! Being a good proxy: `docs/protocol.md` has the table, and the tests here carry the number of its row.

mod across;
mod bodies;
mod expect;
mod fields;
mod framing;
mod grpc;
mod http2;
mod reuse;
mod slow;
mod streams;
mod target;
mod upgrade;
