//! Ids: a prefix that names the kind, and a KSUID.
//!
//! A KSUID is 20 bytes: four of big-endian seconds since 2014-05-13, then 16 of payload. Its text is 27 digits in base 62
//! whose alphabet is in ASCII order, so that bytes, text and time sort alike.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// The KSUID epoch, in Unix seconds.
const EPOCH: i64 = 1_400_000_000;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const TEXT_LENGTH: usize = 27;
/// 62⁵, the largest power of 62 below 2³²: text is made and read five digits at a time.
const CHUNK: u64 = 62 * 62 * 62 * 62 * 62;

/// The text is no id of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

/// A time-sorted unique number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ksuid([u8; 20]);

impl Ksuid {
    /// How many digits its text has.
    pub const TEXT_LENGTH: usize = TEXT_LENGTH;

    /// The smallest one.
    pub const MIN: Self = Self([0; 20]);

    /// Puts one together. A time outside of what four bytes hold (2014 to 2150) is moved to the nearer end.
    #[must_use]
    pub fn from_parts(at: Timestamp, payload: u128) -> Self {
        let seconds = u32::try_from((at.as_second() - EPOCH).max(0)).unwrap_or(u32::MAX);
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..].copy_from_slice(&payload.to_be_bytes());
        Self(bytes)
    }

    /// The second that it was made in.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        let [a, b, c, d, ..] = self.0;
        // Four bytes of seconds end in 2150, which a timestamp holds.
        Timestamp::from_second(i64::from(u32::from_be_bytes([a, b, c, d])) + EPOCH).unwrap_or(Timestamp::MAX)
    }

    /// The bytes, as they are stored and bound into sealed values.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// One from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    fn encode(&self) -> [u8; TEXT_LENGTH] {
        let mut limbs = [0u32; 5];
        for (limb, bytes) in limbs.iter_mut().zip(self.0.chunks_exact(4)) {
            *limb = bytes.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte));
        }
        let mut text = [b'0'; TEXT_LENGTH];
        for chunk in text.rchunks_mut(5) {
            let rest = limbs.iter_mut().fold(0u64, |rest, limb| {
                let value = rest << 32 | u64::from(*limb);
                *limb = (value / CHUNK) as u32;
                value % CHUNK
            });
            // Below 62⁵, which fits: division is faster in 32 bits.
            let mut rest = rest as u32;
            for digit in chunk.iter_mut().rev() {
                *digit = ALPHABET[(rest % 62) as usize];
                rest /= 62;
            }
        }
        text
    }
}

impl fmt::Display for Ksuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The alphabet is ASCII, so this never takes the error arm.
        f.write_str(std::str::from_utf8(&self.encode()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Ksuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ksuid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != TEXT_LENGTH {
            return Err(InvalidId);
        }
        let mut limbs = [0u32; 5];
        // The first chunk has the two digits that are over; what stands before it is nothing, so that its weight is of no
        // account.
        let (first, rest) = text.as_bytes().split_at(TEXT_LENGTH % 5);
        for chunk in std::iter::once(first).chain(rest.chunks_exact(5)) {
            let mut carry =
                chunk.iter().try_fold(0, |sum, digit| Ok(sum * 62 + u64::from(digit_value(*digit)?)))?;
            for limb in limbs.iter_mut().rev() {
                let value = u64::from(*limb) * CHUNK + carry;
                *limb = value as u32;
                carry = value >> 32;
            }
            if carry != 0 {
                return Err(InvalidId);
            }
        }
        let mut bytes = [0; 20];
        for (chunk, limb) in bytes.chunks_exact_mut(4).zip(limbs) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        Ok(Self(bytes))
    }
}

fn digit_value(digit: u8) -> Result<u8, InvalidId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'A'..=b'Z' => Ok(digit - b'A' + 10),
        b'a'..=b'z' => Ok(digit - b'a' + 36),
        _ => Err(InvalidId),
    }
}

/// A kind of id: its Rust type, and the prefixes of its text, of which the first is written.
macro_rules! id {
    ($(#[$doc:meta])* $Name:ident, $prefix:literal $(, $alias:literal)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Name(Ksuid);

        impl $Name {
            /// What the text starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The id of this kind with that number.
            #[must_use]
            pub fn new(ksuid: Ksuid) -> Self {
                Self(ksuid)
            }

            /// The number in it.
            #[must_use]
            pub fn ksuid(&self) -> Ksuid {
                self.0
            }

            /// The stored bytes of an id's text, for a filter that compares ids.
            #[must_use]
            pub fn decode(text: &str) -> Option<Vec<u8>> {
                text.parse::<Self>().ok().map(|id| id.0.as_bytes().to_vec())
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Written in one piece, so that `to_string` allocates once.
                let mut text = [0; $prefix.len() + TEXT_LENGTH];
                text[..$prefix.len()].copy_from_slice($prefix.as_bytes());
                text[$prefix.len()..].copy_from_slice(&self.0.encode());
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $Name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let rest = text.strip_prefix($prefix)$(.or_else(|| text.strip_prefix($alias)))*;
                rest.ok_or(InvalidId)?.parse().map(Self)
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// The id of an account.
    AccountId, "ac_"
);
id!(
    /// The id of a vault.
    VaultId, "vault_"
);
id!(
    /// The id of a secret.
    SecretId, "secret_"
);
id!(
    /// The id of an API key.
    ApiKeyId, "ak_"
);
id!(
    /// The id of a user.
    UserId, "usr_"
);
id!(
    /// The id of a service user. ngrok's documentation shows both prefixes, so both are read.
    ServiceUserId, "bot_", "service_"
);
id!(
    /// The id of an audit event.
    EventId, "ev_"
);
id!(
    /// The id of a webhook.
    WebhookId, "wh_"
);
id!(
    /// The id of an IP policy.
    IpPolicyId, "ipp_"
);
id!(
    /// The id of a rule of an IP policy.
    IpPolicyRuleId, "ipr_"
);
id!(
    /// The id of an IP restriction.
    IpRestrictionId, "ipx_"
);
id!(
    /// The id of a key slot.
    KeySlotId, "ks_"
);
id!(
    /// The id of one request.
    OperationId, "op_"
);

/// Who acts: a user or a service user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalId {
    /// A person.
    User(UserId),
    /// A program.
    ServiceUser(ServiceUserId),
}

impl PrincipalId {
    /// Length of [`Self::to_bytes`].
    pub const LENGTH: usize = 21;
    const SERVICE_USER: u8 = b'b';
    const USER: u8 = b'u';

    /// The stored form: one byte for the kind, then the number. It sorts as the text does.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let (kind, ksuid) = match self {
            Self::User(id) => (Self::USER, id.ksuid()),
            Self::ServiceUser(id) => (Self::SERVICE_USER, id.ksuid()),
        };
        let mut bytes = [kind; Self::LENGTH];
        bytes[1..].copy_from_slice(ksuid.as_bytes());
        bytes
    }

    /// One from its stored form.
    ///
    /// # Errors
    /// [`InvalidId`] when the first byte names no kind.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Result<Self, InvalidId> {
        let [kind, number @ ..] = bytes;
        match kind {
            Self::USER => Ok(Self::User(UserId::new(Ksuid::from_bytes(number)))),
            Self::SERVICE_USER => Ok(Self::ServiceUser(ServiceUserId::new(Ksuid::from_bytes(number)))),
            _ => Err(InvalidId),
        }
    }

    /// The stored bytes of an id's text, for a filter that compares ids.
    #[must_use]
    pub fn decode(text: &str) -> Option<Vec<u8>> {
        text.parse::<Self>().ok().map(|id| id.to_bytes().to_vec())
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::ServiceUser(id) => id.fmt(f),
        }
    }
}

impl fmt::Debug for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PrincipalId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse().map(Self::User).or_else(|_| text.parse().map(Self::ServiceUser))
    }
}

impl serde::Serialize for PrincipalId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PrincipalId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn a_recorded_id_holds_its_recorded_time() {
        // The pair stands in ngrok's reference of the Vaults resource.
        let id: VaultId = "vault_32ELIL9nzEhwlvjSpNSI6xXGNcE".parse().unwrap();
        assert_eq!(id.ksuid().at().to_string(), "2025-09-04T10:11:43Z");
        assert_eq!(id.to_string(), "vault_32ELIL9nzEhwlvjSpNSI6xXGNcE");
    }

    #[test]
    fn the_largest_number_fits_and_one_more_does_not() {
        let largest = Ksuid([0xff; 20]);
        assert_eq!(largest.to_string(), "aWgEPTl1tmebfsQzFP4bxwgy80V");
        assert_eq!("aWgEPTl1tmebfsQzFP4bxwgy80V".parse(), Ok(largest));
        assert_eq!("aWgEPTl1tmebfsQzFP4bxwgy80W".parse::<Ksuid>(), Err(InvalidId));
    }

    #[test]
    fn foreign_and_malformed_ids_are_refused() {
        for text in
            ["", "vault_", "secret_32ELIL9nzEhwlvjSpNSI6xXGNcE", "vault_32ELIL9nzEhwlvjSpNSI6xXGNc-", "1000"]
        {
            assert_eq!(text.parse::<VaultId>(), Err(InvalidId), "{text}");
        }
        let bot = "bot_32ELIL9nzEhwlvjSpNSI6xXGNcE";
        assert_eq!(bot.replace("bot_", "service_").parse::<ServiceUserId>().unwrap().to_string(), bot);
    }

    proptest! {
        #[test]
        fn bytes_and_text_are_one(a in any::<[u8; 20]>(), b in any::<[u8; 20]>()) {
            let (a, b) = (Ksuid(a), Ksuid(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
