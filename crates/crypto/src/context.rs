//! Associated data: what binds sealed bytes to their place.
//!
//! Each field is written with its length before it, so that no two different places give the same bytes. Names are not
//! part of a place: renaming a vault or a secret re-seals nothing.

use crate::KeyId;

/// An id as it is bound into associated data: the raw bytes of a KSUID.
pub type RawId = [u8; 20];

/// The version of this layout; the first field of every context.
const FORMAT: u8 = 1;

/// Where a vault key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultPlace {
    /// The account that owns the vault.
    pub account: RawId,
    /// The vault.
    pub vault: RawId,
}

/// Where one value of a secret lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValuePlace {
    /// The account that owns the vault.
    pub account: RawId,
    /// The vault.
    pub vault: RawId,
    /// The secret.
    pub secret: RawId,
    /// The version of its value, from 1.
    pub version: u32,
}

impl VaultPlace {
    pub(crate) fn wrap_context(&self, wrapper: KeyId) -> Vec<u8> {
        encode(b"vault key", &[&self.account, &self.vault, wrapper.as_bytes()])
    }
}

impl ValuePlace {
    pub(crate) fn value_context(&self) -> Vec<u8> {
        encode(b"value", &[&self.account, &self.vault, &self.secret, &self.version.to_be_bytes()])
    }

    pub(crate) fn wrap_context(&self, wrapper: KeyId) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        encode(b"data key", &[&self.account, &self.vault, &self.secret, &version, wrapper.as_bytes()])
    }
}

/// Where a token lives that is kept to be shown once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPlace {
    /// The account.
    pub account: RawId,
    /// The request that it is the answer to.
    pub request: [u8; 32],
}

impl TokenPlace {
    pub(crate) fn token_context(&self) -> Vec<u8> {
        encode(b"kept token", &[&self.account, &self.request])
    }

    pub(crate) fn wrap_context(&self, wrapper: KeyId) -> Vec<u8> {
        encode(b"kept token key", &[&self.account, &self.request, wrapper.as_bytes()])
    }
}

pub(crate) fn token_key_context(account: &RawId, wrapper: KeyId) -> Vec<u8> {
    encode(b"token key", &[account, wrapper.as_bytes()])
}

pub(crate) fn encode(purpose: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    encode_to(purpose, fields, |bytes| out.extend_from_slice(bytes));
    out
}

/// The same, piece by piece, where no copy of a field is to be made.
pub(crate) fn encode_to(purpose: &[u8], fields: &[&[u8]], mut out: impl FnMut(&[u8])) {
    for field in [&[FORMAT][..], purpose].iter().chain(fields) {
        // A field is a few megabytes at most; its length always fits.
        out(&(field.len() as u32).to_be_bytes());
        out(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_keep_fields_apart() {
        assert_ne!(encode(b"x", &[b"ab", b"c"]), encode(b"x", &[b"a", b"bc"]));
        assert_ne!(encode(b"xa", &[b"b"]), encode(b"x", &[b"ab"]));
    }
}
