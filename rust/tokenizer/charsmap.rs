//! The normalization of a sentencepiece model: a trie of what is replaced, and the text of the replacements.
//!
//! The crate that applies it trusts it. A map whose trie points outside of itself, or whose values point between the
//! bytes of a character, would be a panic at the first text that meets it, so it is looked through before it is used.
//! <https://github.com/google/sentencepiece/blob/v0.2.0/src/normalizer.cc> has the layout (`DecodePrecompiledCharsMap`),
//! <https://github.com/s-yata/darts-clone> that of the trie's units.

use tokenizers::normalizers::Precompiled;

/// A charsmap whose every lookup stays inside of it; else what is wrong.
pub(super) fn read(bytes: &[u8]) -> Result<Precompiled, String> {
    let (size, rest) = bytes.split_first_chunk().ok_or("it is cut off")?;
    let size = u32::from_le_bytes(*size) as usize;
    let (trie, replacements) =
        rest.split_at_checked(size).ok_or_else(|| format!("expected a trie of {size} bytes, got {}", rest.len()))?;
    let (units, []) = trie.as_chunks::<4>() else {
        return Err(format!("expected a trie of units of 4 bytes, got {size} bytes"));
    };
    if units.is_empty() {
        return Err("its trie is empty".to_owned());
    }
    let replacements =
        std::str::from_utf8(replacements).map_err(|error| format!("expected replacements in UTF-8, {error}"))?;
    for (at, unit) in units.iter().enumerate() {
        check(at, u32::from_le_bytes(*unit), units, replacements)?;
    }
    Precompiled::from(bytes).map_err(|error| error.to_string())
}

/// A unit that is no value leads to a block of 256 others, one for each next byte; so does the first one, whatever it is.
fn check(at: usize, unit: u32, units: &[[u8; 4]], replacements: &str) -> Result<(), String> {
    let is_value = unit >> 31 == 1;
    if is_value && at > 0 {
        return Ok(());
    }
    let block = at ^ ((unit as usize >> 10) << ((unit & 1 << 9) >> 6));
    if block | 0xff >= units.len() {
        return Err(format!("unit {at} of its trie points at {block} of {}", units.len()));
    }
    let has_value = unit >> 8 & 1 == 1;
    let value = u32::from_le_bytes(units[block]) as usize & 0x7fff_ffff;
    if has_value && !replacements.is_char_boundary(value) {
        return Err(format!("unit {at} of its trie has a replacement at {value} of {} bytes", replacements.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokenizers::{NormalizedString, Normalizer};

    use super::*;

    /// `a` becomes `é`, `b` nothing: the root, a block for the first byte, and one for each of their ends.
    fn small() -> Vec<u8> {
        let mut units = vec![0_u32; 4 * 256];
        let lead = |from: usize, to: usize| ((from ^ to) as u32) << 10;
        units[0] = lead(0, 256);
        for (byte, block, value) in [(b'a', 512, 0), (b'b', 768, 2)] {
            let at = 256 ^ usize::from(byte);
            units[at] = u32::from(byte) | 1 << 8 | lead(at, block);
            units[block] = 1 << 31 | value;
        }
        let trie: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        [&(trie.len() as u32).to_le_bytes(), trie.as_slice(), "é\0".as_bytes()].concat()
    }

    fn normalize(charsmap: &Precompiled, text: &str) -> String {
        let mut text = NormalizedString::from(text);
        charsmap.normalize(&mut text).unwrap();
        text.get().to_owned()
    }

    #[test]
    fn a_map_replaces_what_it_lists() {
        assert_eq!(normalize(&read(&small()).unwrap(), "abc a"), "éc é");
    }

    #[test]
    fn faults_are_named() {
        let fault = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = small();
            change(&mut bytes);
            read(&bytes).unwrap_err()
        };
        let unit = |at: usize| 4 + 4 * at;
        assert_eq!(fault(&|bytes| bytes.truncate(3)), "it is cut off");
        assert_eq!(fault(&|bytes| bytes.truncate(9)), "expected a trie of 4096 bytes, got 5");
        assert_eq!(fault(&|bytes| bytes[..4].fill(0xff)), "expected a trie of 4294967295 bytes, got 4099");
        assert_eq!(fault(&|bytes| bytes[0] = 1), "expected a trie of units of 4 bytes, got 4097 bytes");
        assert_eq!(fault(&|bytes| bytes[..4].fill(0)), "its trie is empty");
        assert_eq!(fault(&|bytes| bytes[unit(0) + 3] = 1), "unit 0 of its trie points at 16640 of 1024");
        assert_eq!(fault(&|bytes| bytes[unit(0) + 3] = 0x80), "unit 0 of its trie points at 2097408 of 1024");
        assert_eq!(fault(&|bytes| bytes[unit(512)] = 1), "unit 353 of its trie has a replacement at 1 of 3 bytes");
        assert_eq!(fault(&|bytes| bytes[unit(768)] = 9), "unit 354 of its trie has a replacement at 9 of 3 bytes");
        assert!(fault(&|bytes| *bytes.last_mut().unwrap() = 0xff).starts_with("expected replacements in UTF-8"));
    }
}
