//! A slot key in n shares, of which any k give it back and fewer tell nothing: Shamir's scheme over GF(2⁸), byte by byte.
//!
//! The field is that of AES. Nothing looks anything up by a secret or branches on one, which the libraries there are do with their
//! tables of logarithms.
//!
//! ```text
//! sr1-<set, 8 hex digits>-<number>of<n>-<k>-<32 bytes in hex>-<checksum, 8 hex digits>
//! ```

use serde::{Deserialize, Serialize};
use strongroom_crypto::{Digest, Rng, SlotKey, SlotPublicKey, share_digest, slot_key_id};
use zeroize::Zeroizing;

use crate::{Error, key_of, opener};

/// What a share starts with.
pub const MARK: &str = "sr1-";
/// The most shares there are.
pub const MAX: u8 = 16;

/// Bytes of a checksum, and of a set's name.
const SHORT: usize = 4;
/// No share is longer.
const LONGEST: usize = 128;

type Bytes = Zeroizing<[u8; SlotKey::LENGTH]>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opener {
    /// How many it takes.
    needed: u8,
    /// The digest of each share, in order.
    shares: Vec<String>,
}

/// Splits a key into `count` shares of which `needed` suffice; gives the texts of the shares and the opener.
///
/// # Errors
/// [`Error::ShareNumbers`] unless 2 ≤ `needed` ≤ `count` ≤ 16; [`Error::System`].
pub fn split(
    key: &SlotKey,
    needed: u8,
    count: u8,
    rng: &dyn Rng,
) -> Result<(Vec<Zeroizing<String>>, String), Error> {
    if !(2..=count).contains(&needed) || count > MAX {
        return Err(Error::ShareNumbers { max: MAX });
    }
    // The polynomial of each byte: the byte itself, then random ones.
    let mut coefficients = vec![Bytes::default(); usize::from(needed)];
    for (at, coefficient) in coefficients.iter_mut().enumerate() {
        match at {
            // To be split is what the key was taken for.
            0 => coefficient.copy_from_slice(key.expose_secret()),
            _ => rng.fill(&mut coefficient[..])?,
        }
    }
    let set = set_of(key.public());
    let (mut texts, mut digests) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let mut share = Bytes::default();
        for coefficient in coefficients.iter().rev() {
            for (byte, term) in share.iter_mut().zip(coefficient.iter()) {
                *byte = multiply(*byte, number) ^ term;
            }
        }
        digests.push(opener::encode(&digest(number, &share)));
        texts.push(view(&set, (number, count), needed, &share));
    }
    Ok((texts, opener::view(&Opener { needed, shares: digests })?))
}

/// Takes shares one by one until there are enough. It holds them wiped on drop.
pub struct Collector {
    public: SlotPublicKey,
    needed: u8,
    digests: Vec<Vec<u8>>,
    given: Vec<(u8, Bytes)>,
}

impl Collector {
    /// One for the slot of that public key.
    ///
    /// # Errors
    /// [`Error::Opener`].
    pub fn new(text: &str, public: &SlotPublicKey) -> Result<Self, Error> {
        let Opener { needed, shares } = opener::parse(text)?;
        let count = u8::try_from(shares.len()).map_err(|_| Error::Opener)?;
        if !(2..=count).contains(&needed) || count > MAX {
            return Err(Error::Opener);
        }
        let digests = shares.iter().map(|digest| opener::decode(digest)).collect::<Result<_, _>>()?;
        Ok(Self { public: *public, needed, digests, given: Vec::new() })
    }

    /// Takes a share.
    ///
    /// # Errors
    /// What is wrong with it, by its number: it is none, damaged, of another set, given before, or not the one that was made.
    pub fn add(&mut self, text: &str) -> Result<(), Error> {
        let Share { set, number, bytes } = parse(text)?;
        if set != self.set() {
            return Err(Error::OtherSet { number, set });
        }
        let known = usize::from(number).checked_sub(1).and_then(|at| self.digests.get(at));
        if known.is_none_or(|known| known[..] != digest(number, &bytes)) {
            return Err(Error::ShareWrong { number });
        }
        if self.given.iter().any(|(given, _)| *given == number) {
            return Err(Error::ShareRepeated { number });
        }
        self.given.push((number, bytes));
        Ok(())
    }

    /// What the shares are called together, which each of them says.
    #[must_use]
    pub fn set(&self) -> String {
        set_of(&self.public)
    }

    /// How many were given.
    #[must_use]
    pub fn given(&self) -> u8 {
        self.given.len() as u8
    }

    /// How many it takes.
    #[must_use]
    pub fn needed(&self) -> u8 {
        self.needed
    }

    /// The key, once there are enough shares.
    ///
    /// # Errors
    /// [`Error::TooFewShares`]; [`Error::Refused`] if they do not give the slot's key: the slot was altered.
    pub fn open(&self) -> Result<SlotKey, Error> {
        let enough = self.given.get(..usize::from(self.needed));
        let used = enough.ok_or(Error::TooFewShares { given: self.given(), needed: self.needed })?;
        let mut secret = Bytes::default();
        for (number, bytes) in used {
            // Lagrange's basis at 0; minus is plus in this field.
            let others = used.iter().map(|(other, _)| *other).filter(|other| other != number);
            let factor =
                others.fold(1, |factor, other| multiply(factor, multiply(other, invert(other ^ number))));
            for (byte, share) in secret.iter_mut().zip(bytes.iter()) {
                *byte ^= multiply(*share, factor);
            }
        }
        key_of(&self.public, &secret[..])
    }
}

/// What the shares of a slot are called together.
fn set_of(public: &SlotPublicKey) -> String {
    hex(&slot_key_id(public).as_bytes()[..SHORT])
}

/// Shares are told from each other by their numbers too.
fn digest(number: u8, bytes: &Bytes) -> Digest {
    share_digest(&Zeroizing::new([&[number], &bytes[..]].concat()))
}

struct Share {
    set: String,
    number: u8,
    bytes: Bytes,
}

fn view(set: &str, (number, count): (u8, u8), needed: u8, bytes: &Bytes) -> Zeroizing<String> {
    let body = Zeroizing::new(hex(&bytes[..]));
    let text = Zeroizing::new(format!("{MARK}{set}-{number}of{count}-{needed}-{}", *body));
    Zeroizing::new(format!("{}-{}", *text, checksum(&text)))
}

fn checksum(text: &str) -> String {
    hex(&share_digest(text.as_bytes())[..SHORT])
}

fn parse(text: &str) -> Result<Share, Error> {
    let text = text.trim();
    if !text.starts_with(MARK) || text.len() > LONGEST || !text.is_ascii() {
        return Err(Error::NoShare);
    }
    let text = Zeroizing::new(text.to_ascii_lowercase());
    let parts: Vec<&str> = text.split('-').collect();
    let number = parts.get(2).and_then(|part| part.split_once("of")?.0.parse().ok()).ok_or(Error::NoShare)?;
    let damaged = || Error::ShareDamaged { number };
    let [_, set, _, _, body, sum] = parts[..] else { return Err(damaged()) };
    let (whole, _) = text.rsplit_once('-').ok_or_else(damaged)?;
    if checksum(whole) != sum {
        return Err(damaged());
    }
    let mut bytes = Bytes::default();
    unhex(body, &mut bytes[..]).ok_or_else(damaged)?;
    Ok(Share { set: set.to_owned(), number, bytes })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(half.into(), 16).unwrap_or('0'));
        }
    }
    text
}

fn unhex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != bytes.len() * 2 {
        return None;
    }
    // Digit by digit: a number may have a sign, and a share has none.
    let mut digits = text.chars().map(|letter| letter.to_digit(16));
    for byte in bytes {
        let mut digit = || digits.next()?.and_then(|digit| u8::try_from(digit).ok());
        *byte = digit()? << 4 | digit()?;
    }
    Some(())
}

/// A product in the field, in the same steps whatever the factors.
fn multiply(one: u8, other: u8) -> u8 {
    let (mut product, mut one) = (0, one);
    for bit in 0..8 {
        product ^= one & (other >> bit & 1).wrapping_neg();
        // Reduced by x⁸ + x⁴ + x³ + x + 1.
        one = one << 1 ^ 0x1b & (one >> 7).wrapping_neg();
    }
    product
}

/// The inverse: the power 254. That of 0, which nobody asks for, is 0.
fn invert(one: u8) -> u8 {
    let mut power = one;
    for _ in 0..6 {
        power = multiply(multiply(power, power), one);
    }
    multiply(power, power)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use strongroom_crypto::SystemRng;

    fn made(needed: u8, count: u8) -> (SlotKey, Vec<Zeroizing<String>>, String) {
        let key = SlotKey::make(&SystemRng).unwrap();
        let (shares, opener) = split(&key, needed, count, &SystemRng).unwrap();
        (key, shares, opener)
    }

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197, sections 4.2 and 4.2.1.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for one in 1..=255 {
            assert_eq!(multiply(one, invert(one)), 1, "{one}");
        }
    }

    #[test]
    fn any_that_suffice_open_and_fewer_do_not() {
        for count in 2..=MAX {
            for needed in 2..=count {
                let (key, shares, opener) = made(needed, count);
                // The last ones, backwards: none of the first, where there are others.
                let mut collector = Collector::new(&opener, key.public()).unwrap();
                for share in shares.iter().rev().take(usize::from(needed)) {
                    assert!(matches!(collector.open(), Err(Error::TooFewShares { .. })));
                    collector.add(share).unwrap();
                }
                assert_eq!(collector.open().unwrap().id(), key.id(), "{needed} of {count}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_share_is_told_by_its_number() {
        let (key, shares, opener) = made(2, 3);
        let (_, others, _) = made(2, 3);
        let mut collector = Collector::new(&opener, key.public()).unwrap();
        collector.add(&shares[1]).unwrap();
        assert!(matches!(collector.add(&shares[1]), Err(Error::ShareRepeated { number: 2 })));
        assert!(matches!(collector.add(&others[2]), Err(Error::OtherSet { number: 3, .. })));
        let cut = &shares[2][..shares[2].len() - 10];
        assert!(matches!(collector.add(cut), Err(Error::ShareDamaged { number: 3 })));
        for text in ["", "hello", "sr1-", "sr1-xx-yy-zz", "sr1-00000000-of3-2"] {
            assert!(matches!(collector.add(text), Err(Error::NoShare)), "{text}");
        }
        // One that is whole, by somebody who can compute checksums.
        let forged = view(&set_of(key.public()), (3, 3), 2, &Bytes::default());
        assert!(matches!(collector.add(&forged), Err(Error::ShareWrong { number: 3 })));
        assert_eq!((collector.given(), collector.needed()), (1, 2));
        collector.add(&shares[0].to_uppercase().replacen("SR1", "sr1", 1)).unwrap();
        assert_eq!(collector.open().unwrap().id(), key.id());
    }

    #[test]
    fn an_altered_opener_is_refused() {
        let (key, shares, opener) = made(2, 3);
        for altered in [
            "",
            "{}",
            &opener.replace(":2,", ":1,"),
            &opener.replace(":2,", ":4,"),
            &opener.replace(":2,", ":200,"),
        ] {
            assert!(matches!(Collector::new(altered, key.public()), Err(Error::Opener)), "{altered}");
        }
        // One that asks for more than was made gives another key, which is not the slot's.
        let mut collector = Collector::new(&opener.replace(":2,", ":3,"), key.public()).unwrap();
        shares.iter().for_each(|share| collector.add(share).unwrap());
        assert_eq!(collector.open().unwrap().id(), key.id(), "more than enough is enough");
        for (needed, count) in [(1, 3), (4, 3), (2, MAX + 1), (0, 0)] {
            assert!(matches!(split(&key, needed, count, &SystemRng), Err(Error::ShareNumbers { .. })));
        }
    }

    #[test]
    fn a_sign_is_no_digit() {
        let mut byte = [0];
        assert_eq!((unhex("fF", &mut byte), byte), (Some(()), [255]));
        for text in ["+f", "-1", "f ", "0x", "ä", "f"] {
            assert_eq!(unhex(text, &mut byte), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_changed_letter_is_found(at in any::<proptest::sample::Index>(), letter in "[0-9a-z-]") {
            let (key, shares, opener) = made(2, 2);
            let at = at.index(shares[0].len());
            let mut altered = shares[0].to_string();
            altered.replace_range(at..=at, &letter);
            let mut collector = Collector::new(&opener, key.public()).unwrap();
            prop_assert_eq!(collector.add(&altered).is_ok(), altered == **shares[0]);
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            prop_assert!(parse(&text).is_err());
        }
    }
}
