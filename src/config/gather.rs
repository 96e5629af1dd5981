//! From paths to documents: which files there are, what they hold, and everything that is no text at all.

use std::path::Path;
use std::rc::Rc;

use super::Source;
use super::beside;
use super::disk::{MAX_FILE_BYTES, ReadFiles};
use super::file::{
    API_VERSION, FileBusinessRule, FileConfig, FileGrayRelease, FileSidecar, GRAY_RELEASE, GRAY_RELEASE_VERSION, KIND,
    SIDECAR_KIND,
};
use super::merge::merge;
use super::node::{self, Kind, Node};
use super::outset::refuse_in_documents;
use super::problem::Findings;
use super::read::Read;
use super::text::{At, Span, Texts};

/// Everything that was written, of all files together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) config: FileConfig,
    pub(super) rules: Vec<FileBusinessRule>,
    /// What the pod says of its own.
    pub(super) sidecar: Option<FileSidecar>,
    /// Those that `gray_release::adopt` has not put among the releases yet.
    pub(super) gray_releases: Vec<FileGrayRelease>,
    /// A document of the native form was read.
    pub(super) native: bool,
    /// A file could not be read to its end, so what it defines is not known.
    pub(super) incomplete: bool,
    /// What is read now comes from sources.
    of_sources: bool,
}

/// Reads files and folders of files.
pub(super) fn gather(files: &ReadFiles, texts: &mut Texts, findings: &mut Findings) -> Gathered {
    let mut gathered = Gathered::default();
    for (path, read) in &files.0 {
        match read {
            Ok(bytes) => gathered.bytes(path, bytes, texts, findings),
            Err(message) => {
                let source = texts.add(path, String::new());
                findings.error(Span::start_of(source), message.clone());
                gathered.incomplete = true;
            }
        }
    }
    gathered
}

/// Reads one text as if it were a file of this name.
pub(super) fn gather_text(path: &Path, bytes: &[u8], texts: &mut Texts, findings: &mut Findings) -> Gathered {
    let mut gathered = Gathered::default();
    gathered.bytes(path, bytes, texts, findings);
    gathered
}

/// The one document of a text that is no configuration of its own.
pub(super) fn document_of(path: &Path, bytes: &[u8], texts: &mut Texts, findings: &mut Findings) -> Option<Rc<Node>> {
    let source = text_of(path, bytes, texts, findings)?;
    let mut documents = node::documents(&texts.get(source).text, source, findings)?;
    documents.retain(|document| !document.is_null());
    if documents.len() != 1 {
        findings.error(Span::start_of(source), format!("expected one document, found {}", documents.len()));
    }
    documents.pop().filter(|_| documents.is_empty())
}

impl Gathered {
    /// Adds texts that were read elsewhere.
    pub(super) fn add(&mut self, more: &[Source], texts: &mut Texts, findings: &mut Findings) {
        for source in more {
            self.bytes(&source.path, source.text.as_bytes(), texts, findings);
        }
    }

    /// Adds the documents of sources: what only files may say is refused in them.
    pub(super) fn add_documents(&mut self, more: &[Source], texts: &mut Texts, findings: &mut Findings) {
        self.of_sources = true;
        self.add(more, texts, findings);
    }

    /// Adds a text of our own.
    pub(super) fn text(&mut self, path: &Path, bytes: &[u8], texts: &mut Texts, findings: &mut Findings) {
        self.bytes(path, bytes, texts, findings);
    }

    fn bytes(&mut self, path: &Path, bytes: &[u8], texts: &mut Texts, findings: &mut Findings) {
        let Some(source) = text_of(path, bytes, texts, findings) else {
            self.incomplete = true;
            return;
        };
        let text = &texts.get(source).text;
        let Some(documents) = node::documents(text, source, findings) else {
            self.incomplete = true;
            return;
        };
        let written: Vec<Rc<Node>> = documents.into_iter().filter(|document| !document.is_null()).collect();
        if written.is_empty() {
            findings
                .error(Span::start_of(source), "this file is empty")
                .help("`config/goods.yaml` shows what a configuration holds");
            self.incomplete = true;
        }
        for document in written {
            self.document(&document, findings);
        }
    }

    fn document(&mut self, document: &Node, findings: &mut Findings) {
        if let Kind::Map(_) = &document.kind
            && (document.get("apiVersion").is_some() || document.get("kind").is_some())
        {
            if document.get("kind").is_some_and(|kind| kind.is_word(SIDECAR_KIND)) {
                if let Some(sidecar) = FileSidecar::read(document, findings) {
                    beside::take(self, sidecar, self.of_sources, findings);
                }
                return;
            }
            if is_gray_release(document) {
                if let Some(release) = FileGrayRelease::read(document, findings) {
                    let said = [(&release.apiVersion, GRAY_RELEASE_VERSION), (&release.kind, GRAY_RELEASE)];
                    check_kind(said, findings);
                    self.gray_releases.push(release);
                }
            } else if let Some(rule) = FileBusinessRule::read(document, findings) {
                check_kind([(&rule.apiVersion, API_VERSION), (&rule.kind, KIND)], findings);
                self.rules.push(rule);
            }
            return;
        }
        match FileConfig::read(document, findings) {
            Some(config) => {
                self.native = true;
                if self.of_sources {
                    refuse_in_documents(&config, findings);
                }
                merge(&mut self.config, config, findings);
            }
            None => self.incomplete = true,
        }
    }
}

/// Whatever does not look like a `GrayRelease` is read as a `BusinessRule`, and told as such.
pub(super) fn is_gray_release(document: &Node) -> bool {
    let says = |field: &str, word: &str| match document.get(field).map(|value| &value.kind) {
        Some(Kind::Scalar(scalar)) => scalar.text == word,
        _ => false,
    };
    says("kind", GRAY_RELEASE) || says("apiVersion", GRAY_RELEASE_VERSION)
}

fn check_kind(said: [(&Option<At<String>>, &str); 2], findings: &mut Findings) {
    for (found, expected) in said {
        if let Some(found) = found.as_ref().filter(|found| found.value != expected) {
            findings
                .error(found.at, format!("`{}` is not known here, only `{expected}` is", found.value))
                .suggest(found, [expected]);
        }
    }
}

/// The bytes as text, kept with their name; what is no text is told with the place it stops being one.
fn text_of(path: &Path, bytes: &[u8], texts: &mut Texts, findings: &mut Findings) -> Option<usize> {
    if bytes.len() > MAX_FILE_BYTES {
        let source = texts.add(path, String::new());
        let message = format!("this file is larger than {} MiB, the most a file may have", MAX_FILE_BYTES >> 20);
        findings.error(Span::start_of(source), message).help("split it into several files of one folder");
        return None;
    }
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let source = texts.add(path, valid.strip_prefix('\u{feff}').unwrap_or(valid).to_owned());
    if let Some(offset) = valid.find('\0') {
        findings.error(Span::new(source, offset..offset + 1), "a NUL byte: this is a binary file, not YAML");
        return None;
    }
    if valid.len() < bytes.len() {
        let byte = bytes[valid.len()];
        findings.error(Span::new(source, valid.len()..valid.len()), format!("not UTF-8 text: byte 0x{byte:02x}"));
        return None;
    }
    Some(source)
}
