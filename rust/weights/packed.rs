//! Packed weights on disk: whoever loads a model a second time maps what the first one packed, and all processes share
//! its pages.
//!
//! One file per model, numbers, instruction set and release; its name is a hash of its key, and the key stands in it in
//! full. A file that is not what it should be, to the last byte, is as good as none; so is a folder that can't be used.
//!
//! ```text
//! magic, length and checksum of the header | header: JSON | layers, each on pages of its own
//! ```

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fs, io};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use crate::kernels::{self, Packed};
use crate::types::Dtype;

const MAGIC: &[u8; 16] = b"candlewick/pack1";
/// Magic, then the header's length and checksum.
const PREAMBLE: usize = MAGIC.len() + size_of::<u64>() + size_of::<u32>();
const PAGE: usize = 4096;
/// What files of packed weights end in.
pub(super) const SUFFIX: &str = "packed";

/// Where packed weights of one model are to be found.
#[derive(Debug)]
pub struct Slot {
    folder: Folder,
    file: PathBuf,
    key: String,
}

/// Dense layers of one model, packed and mapped.
#[derive(Debug)]
pub struct PackedFile {
    map: Arc<Mmap>,
    header: Header,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// What the weights were packed from, and for what.
    key: String,
    /// For people: which model this is.
    model: String,
    /// What was found out while they were packed.
    note: serde_json::Value,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Layer {
    name: String,
    dtype: String,
    outputs: usize,
    inputs: usize,
    start: usize,
    length: usize,
    checksum: u32,
}

/// One file of the cache, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The model's folder or Hub id.
    pub model: String,
    /// What its layers are held in.
    pub dtypes: String,
    /// Size of the file.
    pub bytes: u64,
    /// When it was last loaded.
    pub used: SystemTime,
}

impl Slot {
    /// The place for weights of this key in a cache folder, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder can't be made, belongs to somebody else or may be written by others.
    pub fn new(folder: &Path, key: &str) -> io::Result<Self> {
        let folder = Folder::open(folder)?;
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let file = folder.path().join(format!("{:016x}.{SUFFIX}", hasher.finish()));
        Ok(Self { folder, file, key: key.to_owned() })
    }

    /// What lies there, if it is whole; what is not is removed.
    pub fn read(&self) -> Option<PackedFile> {
        let found = PackedFile::open(&self.file, &self.key);
        match &found {
            Ok(_) => self.folder.touch(&self.file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => _ = fs::remove_file(&self.file),
        }
        found.ok()
    }

    /// Puts layers there, with a note for who reads them; older files make room if the folder gets too large.
    ///
    /// # Errors
    /// When the disk is full or can't be written; then nothing is left behind.
    pub fn write<'a>(
        &self,
        model: &str,
        note: serde_json::Value,
        layers: impl Iterator<Item = (&'a str, &'a Packed)>,
    ) -> io::Result<()> {
        let packed: Vec<_> = layers.collect();
        let checksums = kernels::map(packed.len(), |at| crc32fast::hash(packed[at].1.bytes()));
        let mut layers: Vec<_> = packed
            .iter()
            .zip(checksums)
            .map(|((name, packed), checksum)| Layer {
                name: (*name).to_owned(),
                dtype: packed.dtype().to_string(),
                outputs: packed.outputs(),
                inputs: packed.inputs(),
                start: 0,
                length: packed.bytes().len(),
                checksum,
            })
            .collect();
        let mut header = Header { key: self.key.clone(), model: model.to_owned(), note, layers: Vec::new() };
        // Places have no more digits than their sum, so a header with the sum everywhere is long enough.
        let whole = layers.iter().map(|layer| layer.length.next_multiple_of(PAGE)).sum::<usize>();
        for layer in &mut layers {
            layer.start = whole + (1 << 30);
        }
        header.layers = layers;
        let begin = (PREAMBLE + serde_json::to_vec(&header)?.len()).next_multiple_of(PAGE);
        let mut end = begin;
        for layer in &mut header.layers {
            layer.start = end;
            end += layer.length.next_multiple_of(PAGE);
        }
        let text = serde_json::to_vec(&header)?;
        self.folder.write(&self.file, |file| {
            let mut out = Padded { file, written: 0 };
            out.put(MAGIC)?;
            out.put(&(text.len() as u64).to_le_bytes())?;
            out.put(&crc32fast::hash(&text).to_le_bytes())?;
            out.put(&text)?;
            for (layer, (_, packed)) in header.layers.iter().zip(&packed) {
                out.pad(layer.start)?;
                out.put(packed.bytes())?;
            }
            out.pad(end)
        })
    }
}

/// A file that is written from its start, with holes.
struct Padded<'a> {
    file: &'a mut fs::File,
    written: usize,
}

impl Padded<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self.file, bytes)?;
        self.written += bytes.len();
        Ok(())
    }

    fn pad(&mut self, place: usize) -> io::Result<()> {
        self.put(&vec![0; place.saturating_sub(self.written)])
    }
}

impl PackedFile {
    fn open(path: &Path, key: &str) -> io::Result<Self> {
        let (map, header) = open(path)?;
        if header.key != key {
            return Err(damaged());
        }
        let file = Self { map: Arc::new(map), header };
        let layers = &file.header.layers;
        let whole = kernels::map(layers.len(), |at| {
            let layer = &layers[at];
            let bytes = layer.start.checked_add(layer.length).and_then(|end| file.map.get(layer.start..end));
            bytes.is_some_and(|bytes| crc32fast::hash(bytes) == layer.checksum)
        });
        if whole.into_iter().all(|whole| whole) { Ok(file) } else { Err(damaged()) }
    }

    /// What was noted when it was written.
    pub fn note(&self) -> &serde_json::Value {
        &self.header.note
    }

    /// The layer of a name, if it was packed in these numbers and has this shape.
    pub(super) fn get(&self, name: &str, dtype: Dtype, outputs: usize, inputs: usize) -> Option<Packed> {
        let layer = self.header.layers.iter().find(|layer| layer.name == name)?;
        let same = layer.dtype == dtype.to_string() && (layer.outputs, layer.inputs) == (outputs, inputs);
        let range = layer.start..layer.start + layer.length;
        same.then(|| Packed::from_map(dtype, outputs, inputs, Arc::clone(&self.map), range)).flatten()
    }
}

/// The files in a cache folder, the one used last first.
///
/// # Errors
/// When the folder can't be used; one that does not exist is empty.
pub fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entry = |path: PathBuf| {
        let (_, header) = open(&path).ok()?;
        let meta = fs::metadata(&path).ok()?;
        let mut dtypes: Vec<_> = header.layers.iter().map(|layer| layer.dtype.clone()).collect();
        dtypes.sort_unstable();
        dtypes.dedup();
        Some(Entry {
            model: header.model,
            dtypes: dtypes.join(", "),
            bytes: meta.len(),
            used: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        })
    };
    Ok(Folder::open(folder)?.files()?.into_iter().rev().filter_map(|(path, ..)| entry(path)).collect())
}

/// Removes all files of a cache folder: how many there were, and their bytes.
///
/// # Errors
/// When the folder can't be used; one that does not exist is empty.
pub fn clear(folder: &Path) -> io::Result<(usize, u64)> {
    if !folder.exists() {
        return Ok((0, 0));
    }
    let files = Folder::open(folder)?.files()?;
    for (path, ..) in &files {
        fs::remove_file(path)?;
    }
    Ok((files.len(), files.iter().map(|file| file.2).sum()))
}

/// The map and the header of a file whose header is whole.
#[allow(unsafe_code)]
fn open(path: &Path) -> io::Result<(Mmap, Header)> {
    let file = fs::File::open(path)?;
    // SAFETY: the map is read-only; files of the cache are replaced, never written again, in a folder that is ours alone.
    let map = unsafe { Mmap::map(&file)? };
    let (preamble, rest) = map.split_at_checked(PREAMBLE).ok_or_else(damaged)?;
    let (magic, numbers) = preamble.split_at(MAGIC.len());
    let (length, checksum) = numbers.split_at(size_of::<u64>());
    let length = u64::from_le_bytes(length.try_into().map_err(|_| damaged())?);
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(damaged)?;
    if magic != MAGIC || crc32fast::hash(header).to_le_bytes() != checksum {
        return Err(damaged());
    }
    let header = serde_json::from_slice(header)?;
    Ok((map, header))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "damaged file of packed weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(dtype: Dtype, outputs: usize, inputs: usize) -> Packed {
        let fill = |output: usize, row: &mut [f32]| {
            for (input, weight) in row.iter_mut().enumerate() {
                *weight = (output * 31 + input * 7 % 13) as f32 - 20.0;
            }
            Ok::<_, ()>(())
        };
        Packed::pack(dtype, outputs, inputs, fill).unwrap()
    }

    fn write(slot: &Slot) -> Vec<(&'static str, Packed)> {
        let layers = vec![
            ("a", layer(Dtype::Float32, 5, 3)),
            ("b", layer(Dtype::Bfloat16, 70, 9)),
            ("c", layer(Dtype::Int8, 3, 66)),
        ];
        let note = serde_json::json!({"kept": ["a"]});
        slot.write("some/model", note, layers.iter().map(|(name, packed)| (*name, packed))).unwrap();
        layers
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let slot = Slot::new(folder.path(), "key").unwrap();
        assert!(slot.read().is_none());
        let layers = write(&slot);
        let file = slot.read().unwrap();
        assert_eq!(file.note()["kept"][0], "a");
        for (name, packed) in &layers {
            let (dtype, outputs, inputs) = (packed.dtype(), packed.outputs(), packed.inputs());
            assert_eq!(file.get(name, dtype, outputs, inputs).unwrap().bytes(), packed.bytes(), "{name}");
            assert!(file.get(name, dtype, outputs, inputs + 1).is_none());
        }
        assert!(file.get("a", Dtype::Int8, 5, 3).is_none() && file.get("d", Dtype::Int8, 5, 3).is_none());
        let found = list(folder.path()).unwrap();
        assert_eq!((found.len(), &*found[0].model, &*found[0].dtypes), (1, "some/model", "bfloat16, float32, int8"));
        assert_eq!(clear(folder.path()).unwrap(), (1, found[0].bytes));
        assert!(slot.read().is_none());
    }

    #[test]
    fn any_damage_is_found_and_the_file_removed() {
        let folder = tempfile::tempdir().unwrap();
        let slot = Slot::new(folder.path(), "key").unwrap();
        write(&slot);
        let whole = fs::read(&slot.file).unwrap();
        let layers = open(&slot.file).unwrap().1.layers;
        let inside = layers.iter().flat_map(|layer| [layer.start, layer.start + layer.length - 1]);
        for at in [0, 15, 16, 23, 24, 27, 28, 60].into_iter().chain(inside) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&slot.file, bytes).unwrap();
            assert!(slot.read().is_none(), "byte {at}");
            assert!(!slot.file.exists());
        }
        for length in [0, 10, PREAMBLE, PREAMBLE + 10, whole.len() - PAGE] {
            fs::write(&slot.file, &whole[..length]).unwrap();
            assert!(slot.read().is_none(), "{length} bytes");
        }
        fs::write(&slot.file, whole).unwrap();
        assert!(slot.read().is_some());
    }

    #[test]
    fn another_key_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|key| Slot::new(folder.path(), key).unwrap());
        write(&one);
        assert!(other.read().is_none());
        // Two keys of one hash: the key inside decides.
        fs::rename(&one.file, &other.file).unwrap();
        assert!(other.read().is_none());
    }
}
