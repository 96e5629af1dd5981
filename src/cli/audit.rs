//! `graylane audit verify PATH`: whether somebody cut or edited the audit trail.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::change::{ChainError, Verified, verify};

/// What can be done with an audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no record was changed, cut out or put in
    Verify {
        /// The state directory, its folder `audit`, or one file of that
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
}

/// Checks and tells: 0 where the chain holds, 1 where it does not.
pub fn run(command: &AuditCommand) -> ExitCode {
    let AuditCommand::Verify { path } = command;
    let (text, code) = report(path, verify(path));
    // Whoever closed the pipe has read enough; the exit code still tells.
    let _ = std::io::Write::write_all(&mut anstream::stdout().lock(), text.as_bytes());
    ExitCode::from(code)
}

fn report(path: &Path, verified: Result<Verified, ChainError>) -> (String, u8) {
    match verified {
        Ok(good) => {
            let end = match good.against_head {
                true => "its end is the one that the head names".to_owned(),
                false => "there is no head to compare its end with: a cut there would not show".to_owned(),
            };
            let text = format!(
                "good: {} records, {} to {}; {end}\nlast record: {}\n",
                good.records, good.first, good.last, good.hash
            );
            (text, 0)
        }
        Err(error @ ChainError::Broken { .. }) => (format!("broken: {error}\n"), 1),
        Err(error) => (format!("{}: cannot be verified: {error}\n", path.display()), 1),
    }
}
