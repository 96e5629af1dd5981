//! Which folders to watch so that no change of a file goes unseen.
//!
//! A watch on a file follows what the name stood for when it was set, and dies with the first rename over it. A folder
//! tells of every name in it. So it is the folder of each name that is watched, and where a name is a symbolic link, the
//! folder of what it points to as well, link by link: a ConfigMap is changed by turning `..data`, two links away.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Links that are followed for one name; the kernel follows as many.
const MOST_LINKS: usize = 40;

/// The folders for these files and folders. One that does not exist stands for the nearest one above it that does, where
/// it will appear.
pub(super) fn places<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in paths {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        follow(&path, MOST_LINKS, &mut found);
        if path.is_dir() {
            found.insert(path);
        }
    }
    found
}

/// Notes the folder of a name and of every link on the way to it.
fn follow(path: &Path, links: usize, found: &mut BTreeSet<PathBuf>) {
    let mut prefix = PathBuf::new();
    for component in path.components() {
        prefix = match component {
            Component::ParentDir => prefix.parent().map(Path::to_owned).unwrap_or_default(),
            component => prefix.join(component),
        };
        let Ok(target) = std::fs::read_link(&prefix) else { continue };
        if links == 0 {
            break;
        }
        let folder = prefix.parent().unwrap_or(Path::new("/")).to_owned();
        follow(&folder.join(target), links - 1, found);
        found.insert(folder);
    }
    let above = path.ancestors().skip(1).find(|folder| folder.is_dir());
    found.extend(above.map(Path::to_owned));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(path: &Path) -> BTreeSet<PathBuf> {
        places([path.to_owned()].iter())
    }

    #[test]
    fn a_file_is_seen_by_its_folder_and_a_folder_by_itself_too() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), "").unwrap();
        assert!(found(&folder.join("a.yaml")).contains(&folder));
        assert!(found(&folder).is_superset(&[folder.clone(), root.path().to_owned()].into()));
        assert!(found(&root.path().join("no/such/file")).contains(root.path()), "where it will appear");
    }

    #[test]
    fn every_link_of_a_config_map_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let (mount, real) = (root.path().join("mount"), root.path().join("mount/..2026"));
        std::fs::create_dir_all(&real).unwrap();
        std::fs::write(real.join("a.yaml"), "").unwrap();
        symlink("..2026", mount.join("..data")).unwrap();
        symlink("..data/a.yaml", mount.join("a.yaml")).unwrap();
        let found: BTreeSet<PathBuf> =
            found(&mount.join("a.yaml")).iter().map(|folder| folder.canonicalize().unwrap()).collect();
        let wanted = [mount, real].map(|folder| folder.canonicalize().unwrap());
        assert!(found.is_superset(&wanted.into()), "{found:?}");
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let root = tempfile::tempdir().unwrap();
        symlink("two", root.path().join("one")).unwrap();
        symlink("one", root.path().join("two")).unwrap();
        assert!(found(&root.path().join("one/a.yaml")).contains(root.path()));
    }
}
