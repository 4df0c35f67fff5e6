//! Key slots: the ways to the root key, each of which suffices.
//!
//! A slot has a key of its own, which is kept outside the store. From it come a pair of keys and a pre-shared key, and the root
//! key is sealed to them (hpke.rs). The public key and the pre-shared key are enough to seal another root key to the slot, so
//! rotating the root key asks nobody for anything. They are not enough to open one: whoever has an old root key, and with it
//! the pre-shared key, cannot open the next. And without the pre-shared key nobody can put a root key of his own in the place.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::context::{RawId, encode};
use crate::envelope::{self, WrappedKey};
use crate::hpke::{self, PUBLIC_LENGTH, Shared};
use crate::key::{KEY_LENGTH, KeyBytes};
use crate::{CryptoError, KeyId, Rng, RootKey};

const FORMAT: u8 = 1;
/// Format and id of the root key, before the message that holds the key.
const HEADER: usize = 1 + KeyId::LENGTH;

/// How the key of a slot is kept outside the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotKind {
    /// In a file, or a credential that the service manager hands over.
    File,
    /// Sealed by a key that is derived from a passphrase.
    Passphrase,
    /// Sealed by a key of a transit engine.
    Transit,
    /// In words on paper.
    Recovery,
    /// In shares, of which some suffice.
    Shamir,
    /// Sealed by a key of a hardware token.
    Pkcs11,
    /// Sealed by a key of AWS KMS.
    AwsKms,
}

impl SlotKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::File,
        Self::Passphrase,
        Self::Transit,
        Self::Recovery,
        Self::Shamir,
        Self::Pkcs11,
        Self::AwsKms,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Passphrase => "passphrase",
            Self::Transit => "transit",
            Self::Recovery => "recovery",
            Self::Shamir => "shamir",
            Self::Pkcs11 => "pkcs11",
            Self::AwsKms => "aws-kms",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether a server opens such a slot without a person.
    #[must_use]
    pub fn opens_by_itself(self) -> bool {
        matches!(self, Self::File | Self::Transit | Self::Pkcs11 | Self::AwsKms)
    }
}

/// The public key of a slot.
pub type SlotPublicKey = [u8; PUBLIC_LENGTH];

/// Where a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotPlace {
    /// The account whose root key it opens.
    pub account: RawId,
    /// The slot.
    pub slot: RawId,
    /// How its key is kept.
    pub kind: SlotKind,
}

impl SlotPlace {
    fn bind(&self, purpose: &[u8], more: &[&[u8]]) -> Vec<u8> {
        let place: [&[u8]; 3] = [&self.account, &self.slot, self.kind.as_str().as_bytes()];
        encode(purpose, &[&place, more].concat())
    }
}

/// The key of a slot: 32 bytes, zeroed on drop, not printable, not cloneable.
pub struct SlotKey {
    bytes: KeyBytes,
    private: KeyBytes,
    public: SlotPublicKey,
    psk: KeyBytes,
}

impl SlotKey {
    /// Length in bytes.
    pub const LENGTH: usize = KEY_LENGTH;

    /// A new random one.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        Self::from_bytes(KeyBytes::make(rng)?)
    }

    /// The key of these bytes; the caller zeroes them.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        Self::from_bytes(KeyBytes::from_slice(bytes).ok_or(CryptoError::Refused)?)
    }

    fn from_bytes(bytes: KeyBytes) -> Result<Self, CryptoError> {
        let private = derive(&bytes, b"strongroom slot private key v1")?;
        let psk = derive(&bytes, b"strongroom slot pre-shared key v1")?;
        let public = hpke::public_of(&private)?;
        Ok(Self { bytes, private, public, psk })
    }

    /// The one way to the bytes. Each call says in a comment why it needs them.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &SlotPublicKey {
        &self.public
    }

    /// What the key is called: derived from its public half.
    #[must_use]
    pub fn id(&self) -> KeyId {
        slot_key_id(&self.public)
    }

    /// What a root key is sealed to.
    #[must_use]
    pub fn enrolment(&self) -> SlotEnrolment {
        SlotEnrolment { public: self.public, psk: self.psk.same() }
    }

    /// Opens the root key that is sealed to this slot.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for another slot, another place, another root key, or altered bytes.
    pub fn open_root_key(
        &self,
        sealed: &SealedRootKey,
        place: &SlotPlace,
        root: KeyId,
    ) -> Result<RootKey, CryptoError> {
        let (header, message) = sealed.message.split_at_checked(HEADER).ok_or(CryptoError::Refused)?;
        if sealed.public != self.public || header != header_of(root) {
            return Err(CryptoError::Refused);
        }
        let info = root_context(place, root);
        let shared = Shared { info: &info, psk: &self.psk, psk_id: &place.slot };
        let bytes = Zeroizing::new(hpke::open(&self.private, &shared, message)?);
        let key = KeyBytes::from_slice(&bytes).map(RootKey::from_bytes).ok_or(CryptoError::Refused)?;
        if key.id() == root { Ok(key) } else { Err(CryptoError::Refused) }
    }
}

/// What a slot key is bound to that is sealed elsewhere: the associated data for whoever seals it. The public key tells of which
/// slot it is, so two of them cannot be mistaken for each other.
#[must_use]
pub fn slot_key_context(kind: SlotKind, public: &SlotPublicKey) -> Vec<u8> {
    encode(b"slot key", &[kind.as_str().as_bytes(), public])
}

/// What a slot key is called, by its public half.
#[must_use]
pub fn slot_key_id(public: &SlotPublicKey) -> KeyId {
    KeyId::derive_from(public)
}

/// What a root key is sealed to: a slot's public key and its pre-shared key. It opens nothing.
pub struct SlotEnrolment {
    public: SlotPublicKey,
    psk: KeyBytes,
}

impl SlotEnrolment {
    /// Length in bytes.
    pub const LENGTH: usize = PUBLIC_LENGTH + KEY_LENGTH;

    /// Its bytes: the public key, then the pre-shared key.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&self.public[..], self.psk.as_slice()].concat())
    }

    /// The enrolment of these bytes. `None` for another length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let (public, psk) = bytes.split_first_chunk()?;
        Some(Self { public: *public, psk: KeyBytes::from_slice(psk)? })
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &SlotPublicKey {
        &self.public
    }
}

/// A root key, sealed to a slot, with what another one is sealed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRootKey {
    /// The slot's public key.
    pub public: SlotPublicKey,
    /// The slot's pre-shared key, wrapped by the root key.
    pub psk: WrappedKey,
    /// The root key, sealed: format (1 byte, = 1), id of the root key (8), what is encapsulated (32), ciphertext and tag (48).
    pub message: Vec<u8>,
}

impl RootKey {
    /// Seals this key to a slot.
    ///
    /// # Errors
    /// [`CryptoError::Random`]; [`CryptoError::Refused`] if the slot's public key is none.
    pub fn seal_to(
        &self,
        slot: &SlotEnrolment,
        place: &SlotPlace,
        rng: &dyn Rng,
    ) -> Result<SealedRootKey, CryptoError> {
        let info = root_context(place, self.id());
        let shared = Shared { info: &info, psk: &slot.psk, psk_id: &place.slot };
        let ephemeral = KeyBytes::make(rng)?;
        let mut message = header_of(self.id()).to_vec();
        message.extend_from_slice(&hpke::seal(&ephemeral, &slot.public, &shared, self.as_slice())?);
        let context = psk_context(place, &slot.public, self.id());
        let psk = envelope::wrap(self.bytes(), self.id(), slot.psk.as_slice(), &context, rng)?;
        Ok(SealedRootKey { public: slot.public, psk, message })
    }

    /// Takes out what another root key is sealed to the same slot by.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if any of it was altered or is of another place.
    pub fn enrolment_of(
        &self,
        sealed: &SealedRootKey,
        place: &SlotPlace,
    ) -> Result<SlotEnrolment, CryptoError> {
        let context = psk_context(place, &sealed.public, self.id());
        let psk = envelope::unwrap(self.bytes(), self.id(), &sealed.psk, &context)?;
        Ok(SlotEnrolment { public: sealed.public, psk })
    }
}

/// A key that seals a slot key, and nothing else: derived from a passphrase.
pub struct SlotKek(KeyBytes);

impl SlotKek {
    /// The key of these bytes; the caller zeroes them.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        KeyBytes::from_slice(bytes).map(Self).ok_or(CryptoError::Refused)
    }

    /// Seals a slot key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn seal(&self, key: &SlotKey, kind: SlotKind, rng: &dyn Rng) -> Result<Vec<u8>, CryptoError> {
        envelope::seal(&self.0, key.bytes.as_slice(), &slot_key_context(kind, &key.public), rng)
    }

    /// Opens the slot key of that public key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(
        &self,
        sealed: &[u8],
        kind: SlotKind,
        public: &SlotPublicKey,
    ) -> Result<SlotKey, CryptoError> {
        let bytes = Zeroizing::new(envelope::open(&self.0, sealed, &slot_key_context(kind, public))?);
        SlotKey::from_slice(&bytes)
    }
}

/// `HKDF-Expand` (RFC 5869, section 2.3) for one block: the slot key is random, so there is nothing to extract.
fn derive(key: &KeyBytes, label: &[u8]) -> Result<KeyBytes, CryptoError> {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()));
    hmac.update(label);
    hmac.update(&[1]);
    KeyBytes::from_slice(hmac.sign().as_ref()).ok_or(CryptoError::Refused)
}

fn header_of(root: KeyId) -> [u8; HEADER] {
    let mut header = [FORMAT; HEADER];
    header[1..].copy_from_slice(root.as_bytes());
    header
}

fn root_context(place: &SlotPlace, root: KeyId) -> Vec<u8> {
    place.bind(b"root key", &[root.as_bytes()])
}

fn psk_context(place: &SlotPlace, public: &SlotPublicKey, root: KeyId) -> Vec<u8> {
    place.bind(b"slot pre-shared key", &[public, root.as_bytes()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::SystemRng;

    const PLACE: SlotPlace = SlotPlace { account: [1; 20], slot: [2; 20], kind: SlotKind::File };

    fn sealed() -> (RootKey, SlotKey, SealedRootKey) {
        let (root, slot) = (RootKey::make(&SystemRng).unwrap(), SlotKey::make(&SystemRng).unwrap());
        let sealed = root.seal_to(&slot.enrolment(), &PLACE, &SystemRng).unwrap();
        (root, slot, sealed)
    }

    fn elsewhere() -> [SlotPlace; 3] {
        [
            SlotPlace { account: [9; 20], ..PLACE },
            SlotPlace { slot: [9; 20], ..PLACE },
            SlotPlace { kind: SlotKind::Transit, ..PLACE },
        ]
    }

    #[test]
    fn a_slot_opens_its_root_key_in_its_place_alone() {
        let (root, slot, sealed) = sealed();
        assert_eq!(slot.open_root_key(&sealed, &PLACE, root.id()).unwrap().as_slice(), root.as_slice());
        for place in elsewhere() {
            assert!(slot.open_root_key(&sealed, &place, root.id()).is_err(), "{place:?}");
            assert!(root.enrolment_of(&sealed, &place).is_err(), "{place:?}");
        }
        let (other_root, other_slot) =
            (RootKey::make(&SystemRng).unwrap(), SlotKey::make(&SystemRng).unwrap());
        assert!(other_slot.open_root_key(&sealed, &PLACE, root.id()).is_err());
        assert!(slot.open_root_key(&sealed, &PLACE, other_root.id()).is_err());
        assert!(other_root.enrolment_of(&sealed, &PLACE).is_err());
    }

    #[test]
    fn the_next_root_key_is_sealed_without_the_slot_key() {
        let (root, slot, first) = sealed();
        let next = RootKey::make(&SystemRng).unwrap();
        let enrolment = root.enrolment_of(&first, &PLACE).unwrap();
        let second = next.seal_to(&enrolment, &PLACE, &SystemRng).unwrap();
        assert_eq!(slot.open_root_key(&second, &PLACE, next.id()).unwrap().id(), next.id());
        assert!(root.enrolment_of(&second, &PLACE).is_err(), "the old root key gets at nothing of the next");
    }

    /// Who can write to the store, and knows the public key, but not the pre-shared key.
    #[test]
    fn a_root_key_of_somebody_else_does_not_get_into_a_slot() {
        let (_, slot, _) = sealed();
        let theirs = RootKey::make(&SystemRng).unwrap();
        let guessed = SlotEnrolment { public: *slot.public(), psk: KeyBytes::from_slice(&[7; 32]).unwrap() };
        let sealed = theirs.seal_to(&guessed, &PLACE, &SystemRng).unwrap();
        assert_eq!(slot.open_root_key(&sealed, &PLACE, theirs.id()).err(), Some(CryptoError::Refused));
    }

    #[test]
    fn an_altered_slot_is_refused() {
        let (root, slot, sealed) = sealed();
        for at in 0..sealed.message.len() {
            let mut altered = sealed.clone();
            altered.message[at] ^= 1;
            assert!(slot.open_root_key(&altered, &PLACE, root.id()).is_err(), "{at}");
            altered.message.truncate(at);
            assert!(slot.open_root_key(&altered, &PLACE, root.id()).is_err(), "{at}");
        }
        for at in 0..sealed.public.len() {
            let mut altered = sealed.clone();
            altered.public[at] ^= 1;
            assert!(slot.open_root_key(&altered, &PLACE, root.id()).is_err(), "{at}");
            assert!(root.enrolment_of(&altered, &PLACE).is_err(), "{at}");
        }
    }

    #[test]
    fn a_slot_key_under_a_passphrase_is_of_its_slot_and_kind() {
        let (_, slot, _) = sealed();
        let (kek, other) = (SlotKek::from_slice(&[5; 32]).unwrap(), SlotKek::from_slice(&[6; 32]).unwrap());
        let sealed = kek.seal(&slot, SlotKind::Passphrase, &SystemRng).unwrap();
        let public = slot.public();
        assert_eq!(kek.open(&sealed, SlotKind::Passphrase, public).unwrap().id(), slot.id());
        assert!(other.open(&sealed, SlotKind::Passphrase, public).is_err());
        assert!(kek.open(&sealed, SlotKind::Transit, public).is_err());
        assert!(kek.open(&sealed, SlotKind::Passphrase, &[9; 32]).is_err());
    }

    /// Gives the byte 5, again and again.
    struct Fives;

    impl Rng for Fives {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
            bytes.fill(5);
            Ok(())
        }
    }

    /// What docs/formats.md writes down never changes: a store of then is opened by every version to come.
    #[test]
    fn the_format_is_the_one_written_down() {
        const FORMATS: &str = include_str!("../../../docs/formats.md");
        let root = RootKey::from_bytes(KeyBytes::from_slice(&[1; 32]).unwrap());
        let slot = SlotKey::from_slice(&[2; 32]).unwrap();
        let place = SlotPlace { account: [3; 20], slot: [4; 20], kind: SlotKind::File };
        let sealed = root.seal_to(&slot.enrolment(), &place, &Fives).unwrap();
        let kek = SlotKek::from_slice(&[6; 32]).unwrap();
        let under = kek.seal(&slot, SlotKind::Passphrase, &Fives).unwrap();
        for bytes in [&sealed.public[..], sealed.psk.as_bytes(), &sealed.message, &under] {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            assert!(FORMATS.contains(&format!("`{hex}`")), "{hex}");
        }
        assert!(FORMATS.contains(&format!("`{}`", slot.id())), "{}", slot.id());
        // What is written down opens, too.
        assert_eq!(slot.open_root_key(&sealed, &place, root.id()).unwrap().id(), root.id());
    }

    #[test]
    fn an_enrolment_is_its_bytes() {
        let slot = SlotKey::make(&SystemRng).unwrap();
        let bytes = slot.enrolment().to_bytes();
        assert_eq!(bytes.len(), SlotEnrolment::LENGTH);
        assert_eq!(SlotEnrolment::from_slice(&bytes).unwrap().to_bytes(), bytes);
        for length in [0, 32, SlotEnrolment::LENGTH - 1] {
            assert!(SlotEnrolment::from_slice(&bytes[..length]).is_none(), "{length}");
        }
        assert!(SlotEnrolment::from_slice(&[&bytes[..], &[0]].concat()).is_none());
    }
}
