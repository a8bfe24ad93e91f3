//! Where the programs `postgres` and `initdb` are.
//!
//! PATH first, since whoever put a Postgres there wants that one; then the folders of the distributions,
//! which keep the server's programs off PATH so that several major versions can be installed at once. Of
//! those the newest wins, unless a data directory exists already: that needs the version that made it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::Error;

/// Folders whose children are named after major versions and hold `bin/postgres`.
const VERSIONED_FOLDERS: [&str; 2] = ["/usr/lib/postgresql", "/usr/lib64/postgresql"];

/// Folders that hold `bin/postgres` themselves: the RPM packages' `pgsql-16` style is searched separately.
const PLAIN_FOLDERS: [&str; 2] = ["/usr/local/pgsql", "/usr/pgsql"];

/// An installation: the folder with the server's programs, and its major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The folder that holds `postgres` and `initdb`.
    pub bin: PathBuf,
    /// The major version, from the folder or from the program itself.
    pub major: String,
}

impl Installation {
    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }
}

/// Every installation of this machine, the preferred one first.
pub fn installations() -> Vec<Installation> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    search(&on_path, Path::new("/"))
}

/// The installation to use: the one that made the data directory (`wanted`), or the preferred one.
pub(crate) fn choose(wanted: Option<&str>, data: &Path) -> Result<Installation, Error> {
    let installed = installations();
    let Some(preferred) = installed.first() else {
        let searched =
            VERSIONED_FOLDERS.iter().chain(&PLAIN_FOLDERS).map(|folder| (*folder).to_owned()).collect();
        return Err(Error::NotInstalled { searched });
    };
    let Some(wanted) = wanted else { return Ok(preferred.clone()) };
    installed.iter().find(|found| found.major == wanted).cloned().ok_or_else(|| Error::OtherVersion {
        data: data.to_owned(),
        wanted: wanted.to_owned(),
        installed: installed.into_iter().map(|found| found.major).collect(),
    })
}

/// `root` is `/` but for tests.
fn search(path: &OsStr, root: &Path) -> Vec<Installation> {
    let on_path = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let mut in_folders: Vec<PathBuf> = Vec::new();
    for folder in VERSIONED_FOLDERS {
        in_folders.extend(children(&below(root, folder)).map(|version| version.join("bin")));
    }
    in_folders.extend(
        children(&below(root, "/usr"))
            .filter(|child| name(child).starts_with("pgsql-"))
            .map(|child| child.join("bin")),
    );
    in_folders.extend(PLAIN_FOLDERS.iter().map(|folder| below(root, folder).join("bin")));

    let mut from_folders: Vec<Installation> = in_folders.into_iter().filter_map(installation).collect();
    from_folders.sort_by_key(|found| std::cmp::Reverse(found.major.parse::<u32>().unwrap_or(0)));
    let mut all: Vec<Installation> = on_path.filter_map(installation).collect();
    for found in from_folders {
        if !all.contains(&found) {
            all.push(found);
        }
    }
    all
}

/// The installation in a folder of programs, if both programs are there. Links are followed, because
/// Postgres finds its other files relative to the real program.
fn installation(bin: PathBuf) -> Option<Installation> {
    let server = bin.join("postgres").canonicalize().ok()?;
    let bin = server.parent()?.to_owned();
    if !bin.join("initdb").is_file() {
        return None;
    }
    let major = major_in_path(&bin).or_else(|| major_of_program(&server))?;
    Some(Installation { bin, major })
}

/// `/usr/lib/postgresql/15/bin` → `15`, `/usr/pgsql-16/bin` → `16`.
fn major_in_path(bin: &Path) -> Option<String> {
    let folder = name(bin.parent()?);
    let digits = folder.strip_prefix("pgsql-").unwrap_or(&folder);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.to_owned())
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → `15`.
fn major_of_program(server: &Path) -> Option<String> {
    let said = std::process::Command::new(server).arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let version = said.split_whitespace().nth(2)?;
    Some(version.split('.').next()?.to_owned())
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn below(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fake root with the given folders of programs.
    fn machine(folders: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("temporary directory");
        for folder in folders {
            let bin = below(root.path(), folder);
            std::fs::create_dir_all(&bin).expect("folder");
            for program in ["postgres", "initdb"] {
                std::fs::write(bin.join(program), "").expect("program");
            }
        }
        root
    }

    fn majors(path: &str, root: &Path) -> Vec<String> {
        search(OsStr::new(path), root).into_iter().map(|found| found.major).collect()
    }

    #[test]
    fn newest_of_the_distribution_folders_comes_first() {
        let root = machine(&["/usr/lib/postgresql/9/bin", "/usr/lib/postgresql/17/bin", "/usr/pgsql-16/bin"]);
        assert_eq!(majors("", root.path()), ["17", "16", "9"]);
    }

    #[test]
    fn path_beats_the_folders_and_is_not_listed_twice() {
        let root = machine(&["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/17/bin"]);
        let path = below(root.path(), "/usr/lib/postgresql/15/bin");
        assert_eq!(majors(path.to_str().expect("UTF-8"), root.path()), ["15", "17"]);
    }

    #[test]
    fn a_folder_without_initdb_is_no_installation() {
        let root = machine(&["/usr/lib/postgresql/15/bin"]);
        std::fs::remove_file(below(root.path(), "/usr/lib/postgresql/15/bin/initdb")).expect("remove");
        assert_eq!(majors("", root.path()), Vec::<String>::new());
    }
}
