//! The keys, and what each may do.

use aws_lc_rs::hmac;
use zeroize::Zeroize;

use crate::context::{self, RawId, TokenPlace, ValuePlace, VaultPlace};
use crate::envelope::{self, SealedValue, WrappedKey};
use crate::signing::log_key_context;
use crate::webhook::signing_secret_context;
use crate::{CryptoError, LogKey, Rng, SecretValue, SigningSecret, TokenKey};

/// Length of every key, in bytes: AES-256.
pub(crate) const KEY_LENGTH: usize = 32;

/// What a key is called: eight bytes derived from it, which tell nothing about it. Printed as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; Self::LENGTH]);

impl KeyId {
    /// Length in bytes.
    pub const LENGTH: usize = 8;

    /// An id from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn derive_from(key: &[u8]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"strongroom key id v1");
        let mut id = [0; Self::LENGTH];
        id.copy_from_slice(&tag.as_ref()[..Self::LENGTH]);
        Self(id)
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Key bytes on the heap, so that moving the key leaves no copy behind; zeroed on drop.
pub(crate) struct KeyBytes(Box<[u8; KEY_LENGTH]>);

impl Drop for KeyBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl KeyBytes {
    pub(crate) fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        Self::filled(|bytes| rng.fill(bytes))
    }

    pub(crate) fn filled(
        fill: impl FnOnce(&mut [u8]) -> Result<(), CryptoError>,
    ) -> Result<Self, CryptoError> {
        let mut bytes = Self(Box::new([0; KEY_LENGTH]));
        fill(bytes.0.as_mut_slice())?;
        Ok(bytes)
    }

    pub(crate) fn from_slice(slice: &[u8]) -> Option<Self> {
        let mut bytes = Self(Box::new([0; KEY_LENGTH]));
        if slice.len() != KEY_LENGTH {
            return None;
        }
        bytes.0.copy_from_slice(slice);
        Some(bytes)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The same bytes once more, in a place of their own.
    pub(crate) fn same(&self) -> Self {
        let mut bytes = Self(Box::new([0; KEY_LENGTH]));
        bytes.0.copy_from_slice(self.as_slice());
        bytes
    }
}

/// Whether the system keeps the root key out of swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLock {
    /// The page that holds the key is locked in memory.
    Locked,
    /// The system refused, usually because of the limit on locked memory (`ulimit -l`).
    Refused,
}

/// The key that wraps vault keys. Whoever has it can open everything.
pub struct RootKey {
    bytes: KeyBytes,
    id: KeyId,
}

impl RootKey {
    /// A new random root key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        Ok(Self::from_bytes(KeyBytes::make(rng)?))
    }

    pub(crate) fn from_bytes(bytes: KeyBytes) -> Self {
        let id = KeyId::derive_from(bytes.as_slice());
        Self { bytes, id }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    pub(crate) fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }

    /// The same key once more, where one is taken from who has it.
    #[must_use]
    pub fn same(&self) -> Self {
        Self { bytes: self.bytes.same(), id: self.id }
    }

    /// What this key is called.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Asks the system to keep the key out of swap.
    #[must_use]
    pub fn lock_memory(&self) -> MemoryLock {
        let bytes = self.bytes.as_slice();
        let start = bytes.as_ptr().cast_mut().cast();
        // SAFETY: the range is this key's own live heap allocation, and locking a page changes neither its contents nor
        // who may use it. The page stays locked after the key is dropped, which costs one page.
        #[expect(unsafe_code, reason = "mlock is unsafe in every binding; the range is a live allocation")]
        let locked = unsafe { rustix::mm::mlock(start, bytes.len()) };
        if locked.is_ok() { MemoryLock::Locked } else { MemoryLock::Refused }
    }

    /// Wraps a vault's key for its place.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn wrap_vault_key(
        &self,
        key: &VaultKey,
        place: &VaultPlace,
        rng: &dyn Rng,
    ) -> Result<WrappedKey, CryptoError> {
        envelope::wrap(&self.bytes, self.id, key.bytes.as_slice(), &place.wrap_context(self.id), rng)
    }

    /// Opens a vault's key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_vault_key(&self, wrapped: &WrappedKey, place: &VaultPlace) -> Result<VaultKey, CryptoError> {
        let bytes = envelope::unwrap(&self.bytes, self.id, wrapped, &place.wrap_context(self.id))?;
        Ok(VaultKey::from_bytes(bytes))
    }

    /// Wraps an account's token key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn wrap_token_key(
        &self,
        key: &TokenKey,
        account: &RawId,
        rng: &dyn Rng,
    ) -> Result<WrappedKey, CryptoError> {
        envelope::wrap(
            &self.bytes,
            self.id,
            key.bytes().as_slice(),
            &context::token_key_context(account, self.id),
            rng,
        )
    }

    /// Opens an account's token key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_token_key(&self, wrapped: &WrappedKey, account: &RawId) -> Result<TokenKey, CryptoError> {
        let context = context::token_key_context(account, self.id);
        Ok(TokenKey::from_bytes(envelope::unwrap(&self.bytes, self.id, wrapped, &context)?))
    }

    /// Seals a token that is kept to be shown once more: under a fresh data key, and the data key under this key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn seal_token(
        &self,
        token: &str,
        place: &TokenPlace,
        rng: &dyn Rng,
    ) -> Result<SealedValue, CryptoError> {
        let data_key = KeyBytes::make(rng)?;
        let ciphertext = envelope::seal(&data_key, token.as_bytes(), &place.token_context(), rng)?;
        let wrapped_key =
            envelope::wrap(&self.bytes, self.id, data_key.as_slice(), &place.wrap_context(self.id), rng)?;
        Ok(SealedValue { wrapped_key, ciphertext })
    }

    /// Wraps the data key of a kept token by another root key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], [`CryptoError::Random`].
    pub fn rewrap_token(
        &self,
        wrapped: &WrappedKey,
        place: &TokenPlace,
        next: &Self,
        rng: &dyn Rng,
    ) -> Result<WrappedKey, CryptoError> {
        let data_key = envelope::unwrap(&self.bytes, self.id, wrapped, &place.wrap_context(self.id))?;
        envelope::wrap(&next.bytes, next.id, data_key.as_slice(), &place.wrap_context(next.id), rng)
    }

    /// Opens a token that was kept.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_token(&self, sealed: &SealedValue, place: &TokenPlace) -> Result<SecretValue, CryptoError> {
        let wrapped = &sealed.wrapped_key;
        let data_key = envelope::unwrap(&self.bytes, self.id, wrapped, &place.wrap_context(self.id))?;
        envelope::open(&data_key, &sealed.ciphertext, &place.token_context()).map(SecretValue::new)
    }

    /// Wraps the key that signs an account's checkpoints.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn wrap_log_key(
        &self,
        key: &LogKey,
        account: &RawId,
        rng: &dyn Rng,
    ) -> Result<WrappedKey, CryptoError> {
        envelope::wrap(&self.bytes, self.id, key.bytes().as_slice(), &log_key_context(account, self.id), rng)
    }

    /// Opens the key that signs an account's checkpoints.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_log_key(&self, wrapped: &WrappedKey, account: &RawId) -> Result<LogKey, CryptoError> {
        let context = log_key_context(account, self.id);
        LogKey::from_bytes(envelope::unwrap(&self.bytes, self.id, wrapped, &context)?)
    }

    /// Wraps the secret that a webhook's deliveries are signed with.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn wrap_signing_secret(
        &self,
        secret: &SigningSecret,
        account: &RawId,
        webhook: &RawId,
        rng: &dyn Rng,
    ) -> Result<WrappedKey, CryptoError> {
        let context = signing_secret_context(account, webhook, self.id);
        envelope::wrap(&self.bytes, self.id, secret.as_slice(), &context, rng)
    }

    /// Opens the secret that a webhook's deliveries are signed with.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_signing_secret(
        &self,
        wrapped: &WrappedKey,
        account: &RawId,
        webhook: &RawId,
    ) -> Result<SigningSecret, CryptoError> {
        let context = signing_secret_context(account, webhook, self.id);
        envelope::unwrap_any(&self.bytes, self.id, wrapped, &context).map(SigningSecret::from_bytes)
    }
}

/// The key of one vault: wraps the data keys of its secrets. Destroying it shreds the vault.
pub struct VaultKey {
    bytes: KeyBytes,
    id: KeyId,
}

impl VaultKey {
    /// A new random vault key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        Ok(Self::from_bytes(KeyBytes::make(rng)?))
    }

    fn from_bytes(bytes: KeyBytes) -> Self {
        let id = KeyId::derive_from(bytes.as_slice());
        Self { bytes, id }
    }

    /// What this key is called.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Wraps a data key of this vault key by the vault's next one. The value that it seals is neither needed nor opened.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], [`CryptoError::Random`].
    pub fn rewrap(
        &self,
        wrapped: &WrappedKey,
        place: &ValuePlace,
        next: &Self,
        rng: &dyn Rng,
    ) -> Result<WrappedKey, CryptoError> {
        let data_key = envelope::unwrap(&self.bytes, self.id, wrapped, &place.wrap_context(self.id))?;
        envelope::wrap(&next.bytes, next.id, data_key.as_slice(), &place.wrap_context(next.id), rng)
    }

    /// Seals a value under a fresh data key, and the data key under this key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn seal(
        &self,
        value: &SecretValue,
        place: &ValuePlace,
        rng: &dyn Rng,
    ) -> Result<SealedValue, CryptoError> {
        let data_key = KeyBytes::make(rng)?;
        // Sealing is what the plaintext was taken in for.
        let ciphertext = envelope::seal(&data_key, value.expose_secret(), &place.value_context(), rng)?;
        let wrapped_key =
            envelope::wrap(&self.bytes, self.id, data_key.as_slice(), &place.wrap_context(self.id), rng)?;
        Ok(SealedValue { wrapped_key, ciphertext })
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(&self, sealed: &SealedValue, place: &ValuePlace) -> Result<SecretValue, CryptoError> {
        let wrapped = &sealed.wrapped_key;
        let data_key = envelope::unwrap(&self.bytes, self.id, wrapped, &place.wrap_context(self.id))?;
        envelope::open(&data_key, &sealed.ciphertext, &place.value_context()).map(SecretValue::new)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::SystemRng;

    const PLACE: TokenPlace = TokenPlace { account: [1; 20], request: [2; 32] };

    #[test]
    fn a_data_key_is_wrapped_anew_without_its_value() {
        let (old, next) = (VaultKey::make(&SystemRng).unwrap(), VaultKey::make(&SystemRng).unwrap());
        let place = ValuePlace { account: [1; 20], vault: [2; 20], secret: [3; 20], version: 1 };
        let sealed = old.seal(&SecretValue::new(b"s3cret".to_vec()), &place, &SystemRng).unwrap();
        let wrapped_key = old.rewrap(&sealed.wrapped_key, &place, &next, &SystemRng).unwrap();
        assert_eq!(wrapped_key.wrapped_by(), Some(next.id()));
        let rewrapped = SealedValue { wrapped_key, ciphertext: sealed.ciphertext.clone() };
        assert_eq!(next.open(&rewrapped, &place).unwrap().expose_secret(), b"s3cret");
        assert_eq!(old.open(&rewrapped, &place).err(), Some(CryptoError::Refused));
        let elsewhere = ValuePlace { vault: [9; 20], ..place };
        assert!(old.rewrap(&sealed.wrapped_key, &elsewhere, &next, &SystemRng).is_err());
        assert!(next.rewrap(&sealed.wrapped_key, &place, &old, &SystemRng).is_err());
    }

    #[test]
    fn a_kept_token_opens_with_its_root_key_and_in_its_place_alone() {
        let (key, other) = (RootKey::make(&SystemRng).unwrap(), RootKey::make(&SystemRng).unwrap());
        let sealed = key.seal_token("key_token", &PLACE, &SystemRng).unwrap();
        assert!(!sealed.ciphertext.windows(5).any(|window| window == b"token"));
        assert_eq!(key.open_token(&sealed, &PLACE).unwrap().expose_secret(), b"key_token");
        assert_eq!(other.open_token(&sealed, &PLACE).err(), Some(CryptoError::Refused));
        for place in [TokenPlace { account: [3; 20], ..PLACE }, TokenPlace { request: [3; 32], ..PLACE }] {
            assert_eq!(key.open_token(&sealed, &place).err(), Some(CryptoError::Refused));
        }
        for at in 0..sealed.ciphertext.len() {
            let mut altered = sealed.clone();
            altered.ciphertext[at] ^= 1;
            assert_eq!(key.open_token(&altered, &PLACE).err(), Some(CryptoError::Refused), "{at}");
        }
        let wrapped_key = key.rewrap_token(&sealed.wrapped_key, &PLACE, &other, &SystemRng).unwrap();
        let rewrapped = SealedValue { wrapped_key, ..sealed.clone() };
        assert_eq!(other.open_token(&rewrapped, &PLACE).unwrap().expose_secret(), b"key_token");
        assert_eq!(key.open_token(&rewrapped, &PLACE).err(), Some(CryptoError::Refused));
        let twice = key.seal_token("key_token", &PLACE, &SystemRng).unwrap();
        assert_ne!(sealed.wrapped_key, twice.wrapped_key, "each has a key of its own");
    }
}
