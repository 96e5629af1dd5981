//! Kubernetes manifests as files: YAML or JSON, several documents in one.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// The most bytes of a file.
const MOST_BYTES: u64 = 64 << 20;

/// The documents of a file, `-` being standard input; of a folder, those of its `*.yaml`, `*.yml` and `*.json`. Empty ones
/// are left out.
///
/// # Errors
/// What cannot be read, with its name.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let mut documents = Vec::new();
    for file in files(path)? {
        let name = file.display();
        let text = text(&file).with_context(|| format!("cannot read {name}"))?;
        let read: Vec<Value> =
            serde_yaml::from_multiple(&text).with_context(|| format!("{name} is no list of YAML documents"))?;
        documents.extend(read.into_iter().filter(|document| !document.is_null()));
    }
    Ok(documents)
}

/// The documents as YAML, each after `---`.
pub(super) fn write(documents: &[Value]) -> anyhow::Result<String> {
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        text.push_str(&serde_yaml::to_string(document).context("cannot write a document")?);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.with_context(|| format!("cannot read {}", path.display()))?.path();
        let ours = file.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if ours && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    anyhow::ensure!(!files.is_empty(), "there is no *.yaml, *.yml or *.json in {}", path.display());
    Ok(files)
}

fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(MOST_BYTES + 1).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    }
    anyhow::ensure!(text.len() as u64 <= MOST_BYTES, "it is larger than {} MiB", MOST_BYTES >> 20);
    Ok(text)
}
