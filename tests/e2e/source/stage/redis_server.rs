//! A real Redis server.

use std::net::SocketAddr;

use redis::Commands;

use super::Server;
use crate::harness::{Port, eventually};

/// A Redis server with a client that writes.
pub(crate) struct RedisServer {
    pub(crate) server: Server,
    port: Port,
    _folder: tempfile::TempDir,
    /// The password of the default user.
    password: &'static str,
}

impl RedisServer {
    /// With settings as on its command line; every write is on disk before it is answered.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::with_password("", settings)
    }

    pub(crate) fn with_password(password: &'static str, settings: &[&str]) -> Self {
        let (port, folder) = (Port::reserve(), tempfile::tempdir().unwrap());
        let (number, place) = (port.address().port().to_string(), folder.path().display().to_string());
        let fixed = ["--port", &number, "--bind", "127.0.0.1", "--dir", &place, "--save", ""];
        let kept = ["--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"];
        let all = fixed.iter().chain(&kept).chain(settings).map(ToString::to_string).collect();
        let server = Self { server: Server::start("redis-server", all), port, _folder: folder, password };
        server.ready();
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn again(&mut self) {
        self.server.again();
        self.ready();
    }

    fn ready(&self) {
        eventually("Redis to answer", || {
            let mut client = self.connect(0).ok()?;
            redis::cmd("PING").query::<String>(&mut client).ok()
        });
    }

    fn connect(&self, database: u32) -> redis::RedisResult<redis::Connection> {
        let who = if self.password.is_empty() { String::new() } else { format!(":{}@", self.password) };
        redis::Client::open(format!("redis://{who}{}/{database}", self.address()))?.get_connection()
    }

    /// A client of this database.
    pub(crate) fn client(&self, database: u32) -> redis::Connection {
        self.connect(database).expect("Redis is there")
    }

    pub(crate) fn set(&self, key: &str, value: impl redis::ToSingleRedisArg) {
        self.client(0).set::<_, _, ()>(key, value).expect("Redis takes a value");
    }

    pub(crate) fn delete(&self, key: &str) {
        self.client(0).del::<_, ()>(key).expect("Redis deletes a key");
    }
}
