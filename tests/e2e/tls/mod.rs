//! TLS on both sides and the PROXY protocol, with certificates made for each test and clients of other people: rustls,
//! OpenSSL (`openssl s_client`, `curl`), Python's `ssl`, `websockets` and `grpcio`.

mod kit;

mod clients;
mod collector;
mod inbound;
mod names;
mod outbound;
mod proxied;
mod renewal;
