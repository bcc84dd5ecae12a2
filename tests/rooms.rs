//! The arrows between the rooms: a room may use only those that stand before it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Each room with the rooms that it may use; `error`, `types` and `config` may be used from anywhere.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("types", &[]),
    ("config", &[]),
    ("kernels", &[]),
    ("weights", &["kernels"]),
    ("layers", &["kernels", "weights"]),
    ("models", &["kernels", "weights", "layers"]),
    ("tokenizer", &[]),
    ("batch", &["tokenizer"]),
    ("postprocess", &["kernels"]),
    ("quality", &["kernels", "weights", "layers", "models", "tokenizer", "batch", "postprocess"]),
    ("pipeline", &["kernels", "weights", "layers", "models", "tokenizer", "batch", "quality", "postprocess"]),
    ("engine", &["pipeline"]),
    ("server", &["kernels", "pipeline", "engine"]),
    ("python", &["kernels", "weights", "layers", "quality", "pipeline", "engine", "server"]),
];
const EVERYWHERE: &[&str] = &["error", "types", "config"];

/// The rooms that a file reaches by `crate::room`, with the item behind it dropped.
fn used(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = code.flat_map(|line| line.match_indices("crate::").map(move |(at, path)| &line[at + path.len()..]));
    let names = paths.map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default());
    // `crate::Error` and the like are re-exports of the rooms that are free to all, or of what stands to the right.
    names.filter(|name| name.starts_with(char::is_lowercase)).collect()
}

fn forbidden<'a>(room: &str, source: &'a str) -> Vec<&'a str> {
    let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("unknown room {room}"));
    let free = |name: &str| name == room || EVERYWHERE.contains(&name) || allowed.contains(&name);
    used(source).into_iter().filter(|name| !free(name)).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

#[test]
fn no_arrow_points_to_the_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("rust");
    let mut found = Vec::new();
    files(&root, &mut found);
    for file in found.iter().filter(|file| !file.ends_with("rust/lib.rs")) {
        let inside = file.strip_prefix(&root).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let source = std::fs::read_to_string(file).unwrap();
        let wrong = forbidden(room, &source);
        assert!(wrong.is_empty(), "{} uses {wrong:?}", inside.display());
    }
}

/// A clock that is set back or forward must not end a request, nor keep one for ever: what is measured by is monotonic.
/// Spans alone tell when they ended.
#[test]
fn nothing_that_serves_reads_the_wall_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("rust");
    let mut found = Vec::new();
    for room in ["kernels", "pipeline", "engine", "server"] {
        files(&root.join(room), &mut found);
    }
    assert!(found.iter().any(|file| std::fs::read_to_string(file).unwrap().contains("Instant::now")));
    let spans = Path::new("otlp/span.rs");
    for file in found.into_iter().filter(|file| !file.ends_with(spans)) {
        let source = std::fs::read_to_string(&file).unwrap();
        assert!(!source.contains("SystemTime"), "{} reads the wall clock", file.display());
    }
}

#[test]
fn an_arrow_to_the_right_is_seen() {
    assert_eq!(forbidden("kernels", "use crate::layers::Linear;\n// crate::models"), ["layers"]);
    assert_eq!(forbidden("layers", "fn f(x: &crate::models::Model, e: crate::error::Error) {}"), ["models"]);
    assert!(forbidden("models", "use crate::{Error};\nuse crate::layers::{Context, Linear};").is_empty());
}
