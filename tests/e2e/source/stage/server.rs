//! A server of other people's as a process that can be killed and started again.

use std::process::{Child, Command, Stdio};

/// A server; killed with the test.
pub(crate) struct Server {
    program: &'static str,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn start(program: &'static str, arguments: Vec<String>) -> Self {
        let mut server = Self { program, arguments, child: None };
        server.again();
        server
    }

    /// Kills it as a lost machine would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
    }

    /// Starts it as it was started first.
    pub(crate) fn again(&mut self) {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{} cannot be started ({error}): scripts/setup-test-env installs it", self.program)
        });
        self.child = Some(child);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
