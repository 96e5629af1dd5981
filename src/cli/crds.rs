//! `graylane crds`: the CustomResourceDefinitions for Kubernetes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::config::custom_resource_definitions;

/// Where the definitions go.
#[derive(Debug, clap::Args)]
pub struct CrdsArgs {
    /// Write each into a file of this folder instead of standard output
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
}

/// Writes the definitions.
pub fn run(args: &CrdsArgs) -> anyhow::Result<ExitCode> {
    let mut all = String::new();
    for (file, definition) in custom_resource_definitions() {
        let text = serde_yaml::to_string(&definition).context("a definition cannot be written as YAML")?;
        match &args.dir {
            Some(dir) => {
                let path = dir.join(file);
                std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
            None => {
                all.push_str("---\n");
                all.push_str(&text);
            }
        }
    }
    std::io::stdout().lock().write_all(all.as_bytes()).context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
