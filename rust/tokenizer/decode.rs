//! From tokens back to text.

use std::borrow::Cow;

use tokenizers::decoders::wordpiece::WordPiece;
use tokenizers::{Decoder, DecoderWrapper};

/// What a token may start with to lose the space before it when WordPiece cleans up. The crate replaces longer patterns
/// too, but those need a space inside a token.
const TIGHT: [&str; 9] = [".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"];

/// The text of a run of tokens.
///
/// A decoder of the crate fails on tokens that are not its own; the raw tokens say more than nothing.
pub(super) fn decode(decoder: Option<&DecoderWrapper>, tokens: &[Cow<'_, str>]) -> String {
    if let Some(DecoderWrapper::WordPiece(decoder)) = decoder
        && tokens.iter().all(|token| !token.contains(' '))
    {
        return wordpiece(decoder, tokens);
    }
    let owned = || tokens.iter().map(|token| token.clone().into_owned()).collect();
    decoder.and_then(|decoder| decoder.decode(owned()).ok()).unwrap_or_else(|| tokens.join(" "))
}

/// The same as the crate's decoder for tokens without spaces, which copies each token a dozen times.
fn wordpiece(decoder: &WordPiece, tokens: &[Cow<'_, str>]) -> String {
    let mut text = String::with_capacity(tokens.iter().map(|token| token.len() + 1).sum());
    for (index, token) in tokens.iter().enumerate() {
        if index == 0 {
            text += token;
        } else if let Some(rest) = token.strip_prefix(&decoder.prefix) {
            text += rest;
        } else {
            if !(decoder.cleanup && TIGHT.iter().any(|start| token.starts_with(start))) {
                text.push(' ');
            }
            text += token;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec!["a", "##b", "##", "#", " ", "'", "é", "do not", "x n't y", ""]);
        let parts = prop_oneof![pieces, prop::sample::select(TIGHT.to_vec())];
        prop::collection::vec(parts, 0..4).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn equals_the_crates_decoder(
            tokens in prop::collection::vec(token(), 0..6), cleanup: bool, prefix in "(##)?",
        ) {
            let decoder = DecoderWrapper::WordPiece(WordPiece::new(prefix, cleanup));
            let borrowed: Vec<_> = tokens.iter().map(|token| Cow::Borrowed(token.as_str())).collect();
            prop_assert_eq!(decode(Some(&decoder), &borrowed), decoder.decode(tokens.clone()).unwrap());
        }
    }

    #[test]
    fn without_a_decoder_tokens_stand_apart() {
        assert_eq!(decode(None, &["a".into(), "##b".into()]), "a ##b");
    }
}
