//! A sentencepiece file: `sentencepiece.bpe.model`, `spm.model`, `spiece.model`.
//!
//! Fields as in <https://github.com/google/sentencepiece/blob/v0.2.0/src/sentencepiece_model.proto>; what sentencepiece
//! refuses to load, this refuses too.

use std::io::Read;
use std::path::Path;

use ahash::AHashSet;
use tokenizers::normalizers::Precompiled;

use super::charsmap;
use super::protobuf::fields;
use crate::error::{Error, Result};

/// The largest published one, for 1.2 million pieces, has 18 MB.
const LARGEST: u64 = 1 << 26;
/// Of a piece, in bytes; sentencepiece trains none of more than 512 characters.
const LONGEST: usize = 1 << 12;

/// What tokenization needs of the file.
#[derive(Debug)]
pub(super) struct SentencePiece {
    /// By id.
    pub pieces: Vec<Piece>,
    pub unk_id: usize,
    /// How text is normalized; `None` = not at all.
    pub charsmap: Option<Precompiled>,
}

#[derive(Debug)]
pub(super) struct Piece {
    pub text: String,
    pub score: f64,
    pub kind: i64,
}

impl Piece {
    const UNKNOWN: i64 = 2;
    pub(super) const CONTROL: i64 = 3;
    pub(super) const USER_DEFINED: i64 = 4;
}

/// `TrainerSpec.ModelType`, from 1.
const ALGORITHMS: [&str; 4] = ["Unigram", "BPE", "word", "char"];

/// Reads a file.
pub(super) fn read(file: &Path) -> Result<SentencePiece> {
    let damaged = |message: String| Error::format(file, format!("not a sentencepiece model: {message}"));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).and_then(|opened| opened.take(LARGEST + 1).read_to_end(&mut bytes));
    opened.map_err(|error| Error::format(file, error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(damaged(format!("it is larger than {LARGEST} bytes")));
    }
    let (model, algorithm) = parse(&bytes).map_err(damaged)?;
    match ALGORITHMS.get(algorithm.wrapping_sub(1) as usize) {
        Some(&"Unigram") => Ok(model),
        Some(name) => Err(Error::Unsupported {
            what: "sentencepiece model",
            got: format!("{name} ({})", file.display()),
            supported: "Unigram".to_owned(),
        }),
        None => Err(damaged(format!("model_type: expected 1 to 4, got {algorithm}"))),
    }
}

/// The model and the number of its algorithm; else what is wrong.
fn parse(bytes: &[u8]) -> Result<(SentencePiece, i64), String> {
    let mut pieces = Vec::new();
    let mut charsmap = &[][..];
    // What the format says of absent fields.
    let (mut algorithm, mut unk_id) = (1, 0);
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => pieces.push(piece(field.bytes()?).map_err(|error| format!("piece {}: {error}", pieces.len()))?),
            2 => {
                for field in fields(field.bytes()?) {
                    let field = field.map_err(in_part("trainer_spec"))?;
                    match field.number {
                        3 => algorithm = field.int().map_err(in_part("trainer_spec"))?,
                        40 => unk_id = field.int().map_err(in_part("trainer_spec"))?,
                        _ => {}
                    }
                }
            }
            3 => {
                for field in fields(field.bytes()?) {
                    let field = field.map_err(in_part("normalizer_spec"))?;
                    if field.number == 2 {
                        charsmap = field.bytes().map_err(in_part("normalizer_spec"))?;
                    }
                }
            }
            _ => {}
        }
    }
    let unk_id = check(&pieces, unk_id)?;
    let read = |charsmap| charsmap::read(charsmap).map_err(in_part("precompiled_charsmap"));
    let charsmap = Some(charsmap).filter(|charsmap| !charsmap.is_empty()).map(read).transpose()?;
    Ok((SentencePiece { pieces, unk_id, charsmap }, algorithm))
}

fn in_part(part: &str) -> impl Fn(String) -> String {
    move |message| format!("{part}: {message}")
}

fn piece(bytes: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: 1 };
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => field.text()?.clone_into(&mut piece.text),
            2 => piece.score = field.float()?.into(),
            3 => piece.kind = field.int()?,
            _ => {}
        }
    }
    if !(1..=LONGEST).contains(&piece.text.len()) {
        return Err(format!("expected 1 to {LONGEST} bytes of text, got {}", piece.text.len()));
    }
    if !piece.score.is_finite() {
        return Err(format!("expected a finite score, got {}", piece.score));
    }
    Ok(piece)
}

/// Pieces differ, and the one for the unknown is among them.
fn check(pieces: &[Piece], unk_id: i64) -> Result<usize, String> {
    let mut seen = AHashSet::with_capacity(pieces.len());
    for (id, piece) in pieces.iter().enumerate() {
        if !seen.insert(&piece.text) {
            return Err(format!("piece {id}: {:?} is there twice", piece.text));
        }
    }
    let unknown = pieces.iter().filter(|piece| piece.kind == Piece::UNKNOWN).count();
    if unknown != 1 {
        return Err(format!("expected one piece for the unknown, got {unknown} among {} pieces", pieces.len()));
    }
    let in_vocabulary = |id: &usize| *id < pieces.len();
    let found = usize::try_from(unk_id).ok().filter(in_vocabulary);
    found.ok_or_else(|| format!("trainer_spec: unk_id: expected an id below {}, got {unk_id}", pieces.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as one field of another.
    fn wrap(number: u8, message: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, message.len() as u8][..], message].concat()
    }

    fn piece_of(text: &str, score: f32, kind: u8) -> Vec<u8> {
        wrap(1, &[&wrap(1, text.as_bytes()), &[0x15][..], &score.to_le_bytes(), &[0x18, kind]].concat())
    }

    fn trainer(algorithm: u8, unk_id: u8) -> Vec<u8> {
        wrap(2, &[0x18, algorithm, 0xc0, 0x02, unk_id])
    }

    fn refused(parts: &[Vec<u8>]) -> Error {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spm.model");
        std::fs::write(&file, parts.concat()).unwrap();
        let error = read(&file).unwrap_err();
        assert!(error.to_string().contains("spm.model"), "{error}");
        error
    }

    #[test]
    fn pieces_scores_kinds_and_the_unknown_are_read() {
        let parts = [piece_of("a", -1.5, 1), piece_of("<unk>", 0.0, 2), piece_of("[X]", 0.0, 4), trainer(1, 1)];
        let (model, algorithm) = parse(&parts.concat()).unwrap();
        let read: Vec<_> = model.pieces.iter().map(|piece| (piece.text.as_str(), piece.score, piece.kind)).collect();
        assert_eq!(read, [("a", -1.5, 1), ("<unk>", 0.0, 2), ("[X]", 0.0, 4)]);
        assert_eq!((model.unk_id, algorithm), (1, 1));
        assert!(model.charsmap.is_none());
    }

    #[test]
    fn a_field_that_comes_again_wins_and_unknown_ones_are_skipped() {
        let parts = [piece_of("<unk>", 0.0, 2), trainer(2, 7), trainer(1, 0), wrap(9, b"later"), vec![0x50, 0x01]];
        let (model, algorithm) = parse(&parts.concat()).unwrap();
        assert_eq!((model.pieces.len(), model.unk_id, algorithm), (1, 0, 1));
    }

    #[test]
    fn other_algorithms_are_not_supported() {
        for (algorithm, name) in [(2, "BPE"), (3, "word"), (4, "char")] {
            let error = refused(&[piece_of("<unk>", 0.0, 2), trainer(algorithm, 0)]);
            assert_eq!(error.kind(), "unsupported_model");
            assert!(error.to_string().starts_with(&format!("sentencepiece model {name} (")), "{error}");
        }
    }

    #[test]
    fn damage_is_named() {
        let unknown = || piece_of("<unk>", 0.0, 2);
        for (parts, says) in [
            (vec![], "expected one piece for the unknown, got 0 among 0 pieces"),
            (vec![b"version https://git-lfs".to_vec()], "wire type 6"),
            (vec![vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]], "field 1: expected 4294967295 bytes, got 0"),
            (vec![unknown(), vec![0x0a, 0x80]], "field 1: a number is cut off"),
            (vec![unknown(), vec![0x0d, 1, 2, 3, 4]], "field 1: expected bytes, got 4 bytes"),
            (vec![unknown(), unknown()], "piece 1: \"<unk>\" is there twice"),
            (vec![unknown(), piece_of("b", 0.0, 2)], "expected one piece for the unknown, got 2 among 2 pieces"),
            (vec![unknown(), piece_of("", 0.0, 1)], "piece 1: expected 1 to 4096 bytes of text, got 0"),
            (vec![unknown(), piece_of("b", f32::NAN, 1)], "piece 1: expected a finite score, got NaN"),
            (vec![unknown(), wrap(1, &[0x10, 1])], "piece 1: field 2: expected a float, got a number"),
            (vec![unknown(), trainer(1, 9)], "trainer_spec: unk_id: expected an id below 1, got 9"),
            (vec![unknown(), trainer(9, 0)], "model_type: expected 1 to 4, got 9"),
            (vec![unknown(), wrap(2, &[0x1a, 0])], "trainer_spec: field 3: expected a number, got bytes"),
            (vec![unknown(), wrap(3, &wrap(2, b"ab"))], "precompiled_charsmap: it is cut off"),
        ] {
            let error = refused(&parts);
            assert_eq!(error.kind(), "model_format");
            assert!(error.to_string().contains(says), "{error} does not say {says}");
        }
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().ends_with("it is larger than 67108864 bytes"), "{error}");
    }
}
