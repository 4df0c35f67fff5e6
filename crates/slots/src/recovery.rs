//! A slot key as 24 words of BIP-39: its 256 bits, and 8 bits that tell whether the words belong together. Nothing else is kept.

use bip39::{Language, Mnemonic};
use strongroom_crypto::{SlotKey, SlotPublicKey};
use zeroize::Zeroizing;

use crate::{Error, key_of};

/// Words there are.
pub const WORDS: usize = 24;
/// Letters that tell words apart.
const LETTERS: usize = 4;

/// The opener of such a slot: there is nothing to tell.
pub const OPENER: &str = "{}";

/// The words of a key, with single spaces between them.
///
/// # Errors
/// [`Error::System`], which does not happen for a key of 32 bytes.
pub fn words(key: &SlotKey) -> Result<Zeroizing<String>, Error> {
    // To be written down is what the words are made for.
    let mnemonic = Mnemonic::from_entropy(key.expose_secret()).map_err(|_| Error::System)?;
    let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
    for word in mnemonic.words() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    Ok(text)
}

/// Reads words, in whatever case, with whatever space between them, and by their first four letters if need be.
///
/// # Errors
/// [`Error::WordCount`], [`Error::UnknownWord`] by its place, [`Error::WordChecksum`].
pub fn parse(text: &str) -> Result<SlotKey, Error> {
    let given = text.split_whitespace().count();
    if given != WORDS {
        return Err(Error::WordCount { given });
    }
    let mut whole = Zeroizing::new(String::with_capacity(WORDS * 9));
    for (at, word) in text.split_whitespace().enumerate() {
        if at > 0 {
            whole.push(' ');
        }
        whole.push_str(find(word).ok_or(Error::UnknownWord { position: at + 1 })?);
    }
    let mnemonic =
        Mnemonic::parse_in_normalized(Language::English, &whole).map_err(|_| Error::WordChecksum)?;
    let (entropy, length) = mnemonic.to_entropy_array();
    let entropy = Zeroizing::new(entropy);
    Ok(SlotKey::from_slice(entropy.get(..length).ok_or(Error::WordChecksum)?)?)
}

/// Opens the slot key of that public key.
///
/// # Errors
/// Those of [`parse`]; [`Error::Refused`] for the words of another slot.
pub fn open(public: &SlotPublicKey, text: &str) -> Result<SlotKey, Error> {
    // Its bytes are the words.
    key_of(public, parse(text)?.expose_secret())
}

fn find(word: &str) -> Option<&'static str> {
    if word.len() < 3 || word.len() > 8 || !word.is_ascii() {
        return None;
    }
    let word = Zeroizing::new(word.to_ascii_lowercase());
    let list = Language::English.word_list();
    let exact = list.iter().find(|known| **known == *word);
    // Whole, or cut where it is told from all others.
    exact.or_else(|| list.iter().find(|known| word.len() == LETTERS && known.starts_with(&**word))).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use strongroom_crypto::SystemRng;

    /// A vector of BIP-39's own.
    #[test]
    fn the_words_are_those_of_the_standard() {
        let key = SlotKey::from_slice(&[0; 32]).unwrap();
        assert_eq!(*words(&key).unwrap(), format!("{}art", "abandon ".repeat(23)));
        let key = SlotKey::from_slice(&[0xff; 32]).unwrap();
        assert_eq!(*words(&key).unwrap(), format!("{}vote", "zoo ".repeat(23)));
    }

    #[test]
    fn a_typing_error_is_told_by_its_place() {
        let key = SlotKey::make(&SystemRng).unwrap();
        let text = words(&key).unwrap();
        let mut list: Vec<&str> = text.split(' ').collect();
        list[6] = "zzzzz";
        assert!(matches!(parse(&list.join(" ")), Err(Error::UnknownWord { position: 7 })));
        assert!(matches!(parse(&list[..23].join(" ")), Err(Error::WordCount { given: 23 })));
        let other = SlotKey::make(&SystemRng).unwrap();
        assert!(matches!(open(other.public(), &text), Err(Error::Refused)));
    }

    #[test]
    fn words_that_do_not_belong_together_are_refused() {
        let text = format!("{}abandon", "abandon ".repeat(23));
        assert!(matches!(parse(&text), Err(Error::WordChecksum)));
    }

    proptest! {
        #[test]
        fn a_key_is_its_words(bytes in any::<[u8; 32]>()) {
            let key = SlotKey::from_slice(&bytes).unwrap();
            let text = words(&key).unwrap();
            prop_assert_eq!(open(key.public(), &text).unwrap().id(), key.id());
            let loud = text.to_uppercase().replace(' ', "\n  ");
            prop_assert_eq!(parse(&loud).unwrap().id(), key.id());
            let short: Vec<&str> = text.split(' ').map(|word| &word[..word.len().min(4)]).collect();
            prop_assert_eq!(parse(&short.join(" ")).unwrap().id(), key.id());
        }
    }
}
