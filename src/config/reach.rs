//! Which files a configuration may have opened that somebody only asks about.
//!
//! Whoever writes the configuration may name any file that the process can read. Whoever asks at the admin port what a
//! configuration would do is not always the one who writes it, and the answer says of each file whether it is there and
//! whether it can be used. So there a file is looked at only beside those that the configuration in force is made of. A pipe
//! that nobody writes to would hold the call for ever, so it has to be a plain file, too.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::problem::Findings;
use super::text::{At, Texts};

/// The folders that files may be opened in.
#[derive(Debug, Default)]
pub struct Reach(HashSet<PathBuf>);

impl Reach {
    /// The folders that these files lie in, as they are named. Folders below them are others.
    pub fn beside<'f>(files: impl IntoIterator<Item = &'f Path>) -> Self {
        Self(files.into_iter().filter_map(Path::parent).map(Path::to_owned).collect())
    }

    /// Why a file is not looked at.
    fn refuses(&self, file: &Path) -> Option<&'static str> {
        if !file.parent().is_some_and(|folder| self.0.contains(folder)) {
            return Some("no file of the configuration in force lies in its folder, so it is not looked at here");
        }
        // What is not there is told by whoever wants to read it.
        let known = std::fs::metadata(file).ok();
        known.is_some_and(|known| !known.is_file()).then_some("it is no plain file")
    }
}

/// The path of a file that is to be read, from the folder of the file that names it; `None` where it may not be, which is told.
pub(super) fn readable(written: &At<String>, texts: &Texts, findings: &mut Findings) -> Option<PathBuf> {
    let file = texts.path_of(written);
    findings.note_file(&file);
    let Some(why) = texts.reach().and_then(|reach| reach.refuses(&file)) else { return Some(file) };
    findings
        .error(written.at, format!("`{}`: {why}", file.display()))
        .help("`graylane check`, run where the files are, looks at every one");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_beside_those_in_force_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("below")).unwrap();
        std::fs::write(at("own.key"), "").unwrap();
        let reach = Reach::beside([at("graylane.yaml").as_path(), Path::new("/keys/a.key")]);
        for file in [at("own.key"), at("missing.key"), "/keys/other.key".into()] {
            assert_eq!(reach.refuses(&file), None, "{}", file.display());
        }
        let beyond = ["/etc/hostname", "/keys/../etc/hostname", "/keys/below/a.key", "/", "relative.key"];
        for file in beyond.map(PathBuf::from).into_iter().chain([at("below/a.key"), at("below")]) {
            assert!(reach.refuses(&file).is_some(), "{}", file.display());
        }
    }
}
