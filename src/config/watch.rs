//! Watches files.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Editors write a file in several steps; changes this close together count as one.
const SETTLE: Duration = Duration::from_millis(200);

/// Ends the watching when it is dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Calls `changed` on a thread of its own whenever the content of one of `files` changed, appeared or went.
///
/// The folders are watched rather than the files, because editors, Kubernetes and `mv` replace files; a file that is
/// mounted by itself is watched as well.
///
/// # Errors
/// The operating system cannot watch a folder.
pub fn watch(files: &[PathBuf], mut changed: impl FnMut() + Send + 'static) -> notify::Result<Watch> {
    let (sender, receiver) = mpsc::channel();
    let watched = files.to_vec();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // A failed event may hide a change, so it counts as one; a closed channel means that nobody listens any more.
        if event.as_ref().map_or(true, |event| concerns(event, &watched)) {
            let _ = sender.send(());
        }
    })?;
    for folder in files.iter().map(|file| folder(file)).collect::<BTreeSet<_>>() {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    for file in files.iter().filter(|file| file.is_file()) {
        watcher.watch(file, RecursiveMode::NonRecursive)?;
    }

    let files = files.to_vec();
    let mut content = contents(&files);
    thread::Builder::new().name("file-watch".to_owned()).spawn(move || {
        while receiver.recv().is_ok() {
            while !matches!(
                receiver.recv_timeout(SETTLE),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)
            ) {}
            let latest = contents(&files);
            if latest != content {
                content = latest;
                changed();
            }
        }
    })?;
    Ok(Watch { _watcher: watcher })
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether `event` is about one of `files`, or swaps the folder behind the links of a mounted Kubernetes volume.
fn concerns(event: &Event, files: &[PathBuf]) -> bool {
    let named = |path: &PathBuf| {
        path.file_name() == Some(OsStr::new("..data")) || files.iter().any(|file| file.file_name() == path.file_name())
    };
    !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(named)
}

fn contents(files: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    files.iter().map(|file| fs::read(file).ok()).collect()
}
