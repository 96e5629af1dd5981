//! A real Redis server on a port of its own; killed with the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use super::{PATIENCE, Port, eventually};

pub(crate) struct Redis {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
    _port: Port,
}

impl Redis {
    /// Starts the server and waits until it answers. A test that cannot find it fails.
    pub(crate) fn start() -> Self {
        let port = Port::reserve();
        let folder = tempfile::TempDir::new().expect("a temporary directory");
        let child = run(&port, &folder);
        let redis = Self { child, address: port.address(), folder, _port: port };
        redis.wait();
        redis
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends one command and gives the first line of its answer.
    pub(crate) fn say(&self, command: &str) -> String {
        self.try_say(command).expect("the server answers")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Starts it again on the same port, empty.
    pub(crate) fn again(&mut self) {
        self.child = run(&self._port, &self.folder);
        self.wait();
    }

    /// `STOP` makes it silent with its connections open, `CONT` lets it go on.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().expect("a shell").success(), "{command}");
    }

    fn wait(&self) {
        eventually("redis-server to answer", || self.try_say("PING").ok().filter(|said| said == "+PONG"));
    }

    fn try_say(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut said = [0; 256];
        let length = stream.read(&mut said)?;
        let said = String::from_utf8_lossy(&said[..length]);
        Ok(said.lines().next().unwrap_or_default().to_owned())
    }
}

fn run(port: &Port, folder: &tempfile::TempDir) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
        .arg(port.address().port().to_string())
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is missing: run `scripts/setup-test-env` once")
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
