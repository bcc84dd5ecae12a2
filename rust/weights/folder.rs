//! The folder of the packed cache: ours alone, bounded, written atomically.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::packed::SUFFIX;

/// Bytes that the folder may hold; the files used least recently go first.
const LIMIT: u64 = 8 << 30;
/// What files that are being written end in, and how old one is that somebody left behind.
const PARTIAL: &str = "partial";
const ABANDONED: Duration = Duration::from_hours(24);

/// A folder that only this user can write to.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder with mode 0700 if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        #[cfg(unix)]
        belongs_to_us(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Path, time of last use and bytes of each file, the one used last at the end.
    pub(super) fn files(&self) -> io::Result<Vec<(PathBuf, SystemTime, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|suffix| suffix == SUFFIX) {
                let meta = entry.metadata()?;
                files.push((entry.path(), meta.modified()?, meta.len()));
            }
        }
        files.sort_by_key(|file| file.1);
        Ok(files)
    }

    /// Marks a file as used now; a disk that can't be written forgets it.
    pub(super) fn touch(&self, file: &Path) {
        debug_assert!(file.starts_with(&self.0));
        if let Ok(file) = OpenOptions::new().append(true).open(file) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// A file that appears when it is complete, or not at all.
    pub(super) fn write(&self, file: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let unique = format!("{}-{}.{PARTIAL}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let partial = file.with_extension(unique);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&partial).and_then(|mut file| write(&mut file));
        let moved = written.and_then(|()| fs::rename(&partial, file));
        if moved.is_err() {
            let _ = fs::remove_file(&partial); // it may never have been there
        }
        self.make_room(file, LIMIT);
        moved
    }

    /// Removes what was used least recently until the limit is kept, but not `newest`, and what was left behind.
    fn make_room(&self, newest: &Path, limit: u64) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let old = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > ABANDONED));
            if old && entry.path().extension().is_some_and(|suffix| suffix == PARTIAL) {
                let _ = fs::remove_file(entry.path()); // somebody else may have been faster
            }
        }
        let files = self.files().unwrap_or_default();
        let mut bytes: u64 = files.iter().map(|file| file.2).sum();
        for (path, _, size) in files.iter().filter(|file| file.0 != newest) {
            if bytes <= limit {
                return;
            }
            if fs::remove_file(path).is_ok() {
                bytes -= size;
            }
        }
    }
}

/// Refuses a folder in which somebody else could lay weights before us.
#[cfg(unix)]
fn belongs_to_us(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let meta = fs::metadata(path)?;
    let refused = |what: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, what.to_owned()));
    // SAFETY: it has no conditions.
    #[allow(unsafe_code)]
    let ours = unsafe { libc::geteuid() };
    if meta.uid() != ours {
        return refused("the folder belongs to another user");
    }
    if meta.mode() & 0o022 != 0 {
        return refused("other users may write to the folder");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        let file = |name: &str| folder.path().join(format!("{name}.{SUFFIX}"));
        for (age, name) in ["new", "older", "oldest"].into_iter().enumerate() {
            folder.write(&file(name), |file| io::Write::write_all(file, &[0; 100])).unwrap();
            let time = SystemTime::now() - Duration::from_secs(60 * age as u64);
            File::options().append(true).open(file(name)).unwrap().set_modified(time).unwrap();
        }
        folder.touch(&file("oldest"));
        folder.make_room(&file("new"), 250);
        let left: Vec<_> = folder.files().unwrap().into_iter().map(|found| found.0).collect();
        assert_eq!(left, [file("new"), file("oldest")]);
        folder.make_room(&file("new"), 10);
        assert_eq!(folder.files().unwrap().len(), 1, "the newest stays, however large");
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        let file = folder.path().join("a.packed");
        let full = |file: &mut File| {
            io::Write::write_all(file, b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        assert_eq!(folder.write(&file, full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_left_behind_goes_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        for (name, age) in [("now", Duration::ZERO), ("yesterday", 2 * ABANDONED)] {
            let file = File::create(folder.path().join(format!("{name}.{PARTIAL}"))).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        folder.make_room(Path::new(""), LIMIT);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["now.partial"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("deep/cache");
        Folder::open(&inner).unwrap();
        assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).unwrap();
        let error = Folder::open(&inner).unwrap_err();
        assert_eq!(error.to_string(), "other users may write to the folder");
    }
}
