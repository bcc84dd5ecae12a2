//! Mapped safetensors, as one file or as shards with an index.
//!
//! A file is mapped, never read as a whole: embeddings are gathered from the map row by row, linear weights are copied
//! out of it once. Everything a header claims is checked before it is used.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};

use super::packed::PackedFile;
use crate::config::read_object;
use crate::error::{Error, Result};
use crate::kernels::Packed;
use crate::types::Dtype as NumberType;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// What [`Weights::identity`] looks at: tensors up to this many bytes, and so many blocks of the file.
const WHOLE: usize = 64 * 1024;
const SAMPLES: usize = 256;
const BLOCK: usize = 4096;

/// All tensors of a checkpoint, by the names they have on disk.
#[derive(Debug)]
pub struct Weights {
    tensors: HashMap<String, Mapped>,
    /// The single file or the index, for messages.
    file: PathBuf,
    /// What was packed out of them before.
    packed: Option<PackedFile>,
}

/// One tensor of a mapped file.
#[derive(Debug, Clone)]
pub struct Mapped {
    file: Arc<MappedFile>,
    name: Arc<str>,
    range: Range<usize>,
    dtype: Dtype,
    shape: Vec<usize>,
}

#[derive(Debug)]
struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl Weights {
    /// Opens `model.safetensors`, else the shards of `model.safetensors.index.json`.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`] with neither, [`Error::Unsupported`] when there is only a pickled checkpoint,
    /// [`Error::ModelFormat`] when a header does not fit its file or the index names a tensor that its shard lacks.
    pub fn open(folder: &Path) -> Result<Self> {
        let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
        if single.is_file() {
            let tensors = MappedFile::open(&single)?.tensors()?;
            Ok(Self { tensors, file: single, packed: None })
        } else if index.is_file() {
            Self::open_shards(folder, index)
        } else if let Some(pickle) =
            ["pytorch_model.bin", "pytorch_model.bin.index.json"].into_iter().find(|name| folder.join(name).is_file())
        {
            Err(Error::Unsupported {
                what: "weight file",
                got: pickle.to_owned(),
                supported: format!("{SINGLE}, {INDEX}"),
            })
        } else {
            Err(Error::ModelNotFound {
                path: folder.to_owned(),
                message: format!("no weights here: looked for {SINGLE} and {INDEX}"),
            })
        }
    }

    fn open_shards(folder: &Path, index: PathBuf) -> Result<Self> {
        let values = read_object(&index)?;
        let map = values
            .get("weight_map")
            .and_then(|map| map.as_object())
            .ok_or_else(|| Error::format(&index, "weight_map: expected an object of tensor name to file name"))?;
        let mut shards = HashMap::new();
        let mut tensors = HashMap::with_capacity(map.len());
        for (name, shard) in map {
            // A shard lies beside its index: a name with a path could lead anywhere.
            let shard = shard
                .as_str()
                .filter(|shard| Path::new(shard).file_name().is_some_and(|name| name == *shard))
                .ok_or_else(|| {
                    Error::format(&index, format!("weight_map[{name:?}]: expected a file name, got {shard}"))
                })?;
            if !shards.contains_key(shard) {
                shards.insert(shard, MappedFile::open(&folder.join(shard))?.tensors()?);
            }
            let tensor = shards[shard].get(name).ok_or_else(|| {
                Error::format(&folder.join(shard), format!("tensor {name}: expected here by {INDEX}, got none"))
            })?;
            tensors.insert(name.clone(), tensor.clone());
        }
        Ok(Self { tensors, file: index, packed: None })
    }

    /// The same, with layers that were packed out of them before.
    #[must_use]
    pub fn with_packed(self, packed: PackedFile) -> Self {
        Self { packed: Some(packed), ..self }
    }

    /// A dense layer that was packed before, if it is of this type and shape.
    pub fn packed(&self, name: &str, dtype: NumberType, outputs: usize, inputs: usize) -> Option<Packed> {
        self.packed.as_ref()?.get(name, dtype, outputs, inputs)
    }

    /// What tells these weights from all others: for each file its size, name in the Hub's cache or time of change, and
    /// checksums of its header, its small tensors and samples of the large ones. Times alone would not do: images and
    /// archives set them all alike.
    pub fn identity(&self) -> String {
        let mut files: Vec<&Arc<MappedFile>> = self.tensors.values().map(|tensor| &tensor.file).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        let of_file = |file: &&Arc<MappedFile>| {
            let mut checksum = crc32fast::Hasher::new();
            let mut small: Vec<_> = self.tensors.values().filter(|tensor| Arc::ptr_eq(&tensor.file, file)).collect();
            small.sort_by_key(|tensor| tensor.range.start);
            checksum.update(&file.map[..small.first().map_or(0, |tensor| tensor.range.start)]);
            for tensor in small.iter().filter(|tensor| tensor.range.len() <= WHOLE) {
                checksum.update(&file.map[tensor.range.clone()]);
            }
            for block in file.map.chunks(BLOCK).step_by((file.map.len() / BLOCK / SAMPLES).max(1)) {
                checksum.update(block);
            }
            format!("{} {} {:08x}", file.version(), file.map.len(), checksum.finalize())
        };
        files.iter().map(of_file).collect::<Vec<_>>().join(", ")
    }

    /// The file that lists the tensors, for messages.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The names on disk, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor of a name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Mapped> {
        self.tensors.get(name)
    }
}

impl MappedFile {
    /// The name of its content where the Hub's cache knows one, else when it was changed.
    fn version(&self) -> String {
        let blob =
            std::fs::read_link(&self.path).ok().filter(|target| target.parent().is_some_and(|p| p.ends_with("blobs")));
        let name = blob.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let changed =
            || std::fs::metadata(&self.path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        name.unwrap_or_else(|| format!("{:?}", changed().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()))
    }

    #[allow(unsafe_code)]
    fn open(path: &Path) -> Result<Arc<Self>> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::ModelNotFound { path: path.to_owned(), message: "no such file".to_owned() }
            }
            _ => Error::format(path, error.to_string()),
        })?;
        // SAFETY: the map is read-only and private to us. Whoever truncates a model file while it is in use ends the
        // process with SIGBUS, as with every program that maps its data; the Hub's cache never changes a file in place.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::format(path, error.to_string()))?;
        Ok(Arc::new(Self { path: path.to_owned(), map }))
    }

    /// Every tensor of the file. `read_metadata` checks the header: its size, that offsets do not overlap, leave no
    /// holes, end where the file ends, and that each one fits its shape and dtype.
    fn tensors(self: &Arc<Self>) -> Result<HashMap<String, Mapped>> {
        let (header, metadata) = SafeTensors::read_metadata(&self.map)
            .map_err(|error| Error::format(&self.path, format!("damaged or truncated safetensors file: {error}")))?;
        let data = header + size_of::<u64>();
        let tensors = metadata.tensors().into_iter().map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let tensor = Mapped {
                file: Arc::clone(self),
                name: name.as_str().into(),
                range: data + start..data + end,
                dtype: info.dtype,
                shape: info.shape.clone(),
            };
            (name, tensor)
        });
        Ok(tensors.collect())
    }
}

impl Mapped {
    /// The tensor's shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The tensor itself, if it has the shape that the network needs and a float type that can be widened.
    ///
    /// # Errors
    /// [`Error::ModelFormat`] naming the tensor, what was expected and what the file holds.
    pub fn expect(&self, shape: &[usize]) -> Result<&Self> {
        if self.shape != shape {
            return Err(self.error(format!("expected shape {shape:?}, got {:?}", self.shape)));
        }
        if !matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(self.error(format!("expected dtype F32, F16 or BF16, got {:?}", self.dtype)));
        }
        Ok(self)
    }

    /// Copies the elements `start..start + out.len()` in row-major order, widened to f32.
    ///
    /// # Panics
    /// When the range is not inside the tensor, or the dtype was not checked by [`Mapped::expect`].
    pub fn read(&self, start: usize, out: &mut [f32]) {
        let bytes = &self.file.map[self.range.clone()];
        let size = self.range.len() / self.shape.iter().product::<usize>().max(1);
        let bytes = &bytes[start * size..(start + out.len()) * size];
        // By bytes, since nothing aligns a tensor inside its file; the compiler makes plain loads of it.
        match self.dtype {
            Dtype::F32 => convert::<4>(bytes, out, f32::from_le_bytes),
            Dtype::F16 => convert::<2>(bytes, out, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => convert::<2>(bytes, out, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            other => unreachable!("dtype {other:?} passed `expect`"),
        }
    }

    /// All elements, widened to f32 and finite.
    ///
    /// # Errors
    /// [`Error::ModelFormat`] when a value is NaN or infinite.
    pub fn append_finite(&self, out: &mut Vec<f32>) -> Result<()> {
        let start = out.len();
        out.resize(start + self.shape.iter().product::<usize>(), 0.0);
        self.read_finite(0, &mut out[start..])
    }

    /// As [`Mapped::read`], of values that are finite.
    ///
    /// # Errors
    /// [`Error::ModelFormat`] when a value is NaN or infinite.
    pub fn read_finite(&self, start: usize, out: &mut [f32]) -> Result<()> {
        self.read(start, out);
        match out.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let (value, at) = (out[at], start + at);
                Err(self.error(format!("expected finite values, got {value} at element {at}")))
            }
            None => Ok(()),
        }
    }

    /// An error about this tensor.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::format(&self.file.path, format!("tensor {}: {message}", self.name))
    }
}

fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], widen: impl Fn([u8; N]) -> f32) {
    let (chunks, rest) = bytes.as_chunks::<N>();
    debug_assert!(rest.is_empty() && chunks.len() == out.len());
    for (value, chunk) in out.iter_mut().zip(chunks) {
        *value = widen(*chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one tensor, with the header that is given.
    fn write(folder: &Path, name: &str, header: &str, data: &[u8]) {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        std::fs::write(folder.join(name), bytes).unwrap();
    }

    fn header(dtype: &str, shape: &[usize], start: usize, end: usize) -> String {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}}}"#)
    }

    #[test]
    fn half_precision_is_widened() {
        let folder = tempfile::tempdir().unwrap();
        let values = [1.5_f32, -0.25, 3.0];
        for (dtype, data) in [
            ("F32", values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()),
            ("F16", values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()),
            ("BF16", values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()),
        ] {
            write(folder.path(), SINGLE, &header(dtype, &[3], 0, data.len()), &data);
            let weights = Weights::open(folder.path()).unwrap();
            let tensor = weights.get("w").unwrap().expect(&[3]).unwrap();
            let mut two = [0.0; 2];
            tensor.read(1, &mut two);
            assert_eq!(two, values[1..], "{dtype}");
        }
    }

    #[test]
    fn lying_headers_are_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let two_tensors = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                              "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
        for (header, data) in [
            (header("F32", &[3], 0, 12), 8),            // truncated
            (header("F32", &[3], 0, 12), 16),           // longer than the header says
            (header("F32", &[4], 0, 12), 12),           // shape does not fit
            (header("F32", &[3], 8, 20), 20),           // a hole at the start
            (header("F32", &[usize::MAX, 8], 0, 8), 8), // overflow
            (two_tensors.to_owned(), 12),               // overlap
            ("{".to_owned(), 0),
            (String::new(), 0),
        ] {
            write(folder.path(), SINGLE, &header, &vec![0; data]);
            let error = Weights::open(folder.path()).unwrap_err();
            assert_eq!(error.kind(), "model_format", "{header}");
            assert!(error.to_string().contains(SINGLE));
        }
        std::fs::write(folder.path().join(SINGLE), u64::MAX.to_le_bytes()).unwrap();
        assert_eq!(Weights::open(folder.path()).unwrap_err().kind(), "model_format");
        std::fs::write(folder.path().join(SINGLE), b"").unwrap();
        assert_eq!(Weights::open(folder.path()).unwrap_err().kind(), "model_format");
    }

    #[test]
    fn shards_lie_beside_their_index() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "one.safetensors", &header("F32", &[1], 0, 4), &1.0_f32.to_le_bytes());
        for (map, ok) in [
            (r#"{"w":"one.safetensors"}"#, true),
            (r#"{"v":"one.safetensors"}"#, false),
            (r#"{"w":"../one.safetensors"}"#, false),
            (r#"{"w":"two.safetensors"}"#, false),
            (r#"{"w":1}"#, false),
        ] {
            std::fs::write(folder.path().join(INDEX), format!(r#"{{"weight_map":{map}}}"#)).unwrap();
            assert_eq!(Weights::open(folder.path()).is_ok(), ok, "{map}");
        }
    }

    #[test]
    fn a_wrong_shape_names_tensor_expected_and_got() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), SINGLE, &header("F32", &[2], 0, 8), &[0; 8]);
        let weights = Weights::open(folder.path()).unwrap();
        let message = weights.get("w").unwrap().expect(&[3]).unwrap_err().to_string();
        assert!(message.ends_with("tensor w: expected shape [3], got [2]"), "{message}");
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), SINGLE, &header("F32", &[1], 0, 4), &f32::NAN.to_le_bytes());
        let weights = Weights::open(folder.path()).unwrap();
        assert!(weights.get("w").unwrap().append_finite(&mut Vec::new()).is_err());
    }
}
