//! The canonical bytes of events: what is stored, and what the tree is computed over. docs/formats.md has the layout, which
//! never changes.
//!
//! All that is common is compact. What the event is about stands there as the JSON of [`Object`], so that a new kind needs
//! nothing here; only a value that was given out, of which there are far more than of all else, has a form of its own.
//! Events of older stores are JSON throughout, which starts with a brace and no format number does.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;

use super::{Actor, Client, Event, Object};
use crate::ids::{AccountId, ApiKeyId, EventId, Ksuid, PrincipalId, SecretId, VaultId};

/// The format; the first byte.
const FORMAT: u8 = 1;

/// What stands there when something can be left out.
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// How the object is written.
const JSON: u8 = 0;
const VALUE: u8 = 1;

/// The bytes are no event.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the bytes are no audit event")]
    Bytes,
    #[error("the bytes are no audit event")]
    Json(#[from] serde_json::Error),
}

pub(super) fn write(event: &Event) -> Result<Vec<u8>, Malformed> {
    let mut out = Out(Vec::with_capacity(384));
    out.0.push(FORMAT);
    out.id(event.id.ksuid());
    // The time is that of the id, as a rule.
    out.signed(event.at.as_second() - event.id.ksuid().at().as_second());
    out.id(event.account.ksuid());
    out.text(&event.kind);
    let Actor { id, subject, source, credential } = &event.principal;
    out.0.extend_from_slice(&id.to_bytes());
    out.text(subject);
    out.text(source);
    match credential {
        None => out.0.push(ABSENT),
        Some(key) => {
            out.0.push(PRESENT);
            out.id(key.ksuid());
        }
    }
    out.client(event.client.as_ref());
    out.object(&event.object)?;
    Ok(out.0)
}

pub(super) fn read(bytes: &[u8]) -> Result<Event, Malformed> {
    if bytes.first() == Some(&b'{') {
        return Ok(serde_json::from_slice(bytes)?);
    }
    let mut bytes = In(bytes);
    if bytes.byte()? != FORMAT {
        return Err(Malformed::Bytes);
    }
    let id = EventId::new(bytes.id()?);
    let second = id.ksuid().at().as_second().checked_add(bytes.signed()?).ok_or(Malformed::Bytes)?;
    let event = Event {
        id,
        at: Timestamp::from_second(second).map_err(|_| Malformed::Bytes)?,
        account: AccountId::new(bytes.id()?),
        kind: Cow::Owned(bytes.text()?),
        principal: Actor {
            id: PrincipalId::from_bytes(bytes.array()?).map_err(|_| Malformed::Bytes)?,
            subject: bytes.text()?,
            source: Cow::Owned(bytes.text()?),
            credential: if bytes.present()? { Some(ApiKeyId::new(bytes.id()?)) } else { None },
        },
        client: bytes.client()?,
        object: bytes.object()?,
    };
    if bytes.0.is_empty() { Ok(event) } else { Err(Malformed::Bytes) }
}

struct Out(Vec<u8>);

impl Out {
    fn id(&mut self, id: Ksuid) {
        self.0.extend_from_slice(id.as_bytes());
    }

    /// LEB128: seven bits a byte, the lowest first, the top bit set in all but the last.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// 0, -1, 1, -2, 2 … as 0, 1, 2, 3, 4 ….
    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn client(&mut self, client: Option<&Client>) {
        let Some(Client { address, user_agent }) = client else { return self.0.push(ABSENT) };
        match address {
            IpAddr::V4(address) => {
                self.0.push(4);
                self.0.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                self.0.push(6);
                self.0.extend_from_slice(&address.octets());
            }
        }
        self.text(user_agent);
    }

    fn object(&mut self, object: &Object) -> Result<(), Malformed> {
        match object {
            Object::Value { id, name, vault, vault_name, version } => {
                self.0.push(VALUE);
                self.id(id.ksuid());
                self.text(name);
                self.id(vault.ksuid());
                self.text(vault_name);
                self.number((*version).into());
            }
            other => {
                self.0.push(JSON);
                serde_json::to_writer(&mut self.0, other)?;
            }
        }
        Ok(())
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn slice(&mut self, length: usize) -> Result<&[u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Bytes)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Bytes)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn id(&mut self) -> Result<Ksuid, Malformed> {
        self.array().map(Ksuid::from_bytes)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        // Too large, or longer than it need be: a number has one form.
        Err(Malformed::Bytes)
    }

    fn signed(&mut self) -> Result<i64, Malformed> {
        self.number().map(|number| (number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed::Bytes)?;
        let text = std::str::from_utf8(self.slice(length)?).map_err(|_| Malformed::Bytes)?;
        Ok(text.to_owned())
    }

    fn present(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            ABSENT => Ok(false),
            PRESENT => Ok(true),
            _ => Err(Malformed::Bytes),
        }
    }

    fn client(&mut self) -> Result<Option<Client>, Malformed> {
        let address = match self.byte()? {
            ABSENT => return Ok(None),
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return Err(Malformed::Bytes),
        };
        Ok(Some(Client { address, user_agent: self.text()? }))
    }

    fn object(&mut self) -> Result<Object, Malformed> {
        match self.byte()? {
            JSON => Ok(serde_json::from_slice(std::mem::take(&mut self.0))?),
            VALUE => Ok(Object::Value {
                id: SecretId::new(self.id()?),
                name: self.text()?,
                vault: VaultId::new(self.id()?),
                vault_name: self.text()?,
                version: u32::try_from(self.number()?).map_err(|_| Malformed::Bytes)?,
            }),
            _ => Err(Malformed::Bytes),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{ServiceUserId, UserId};
    use proptest::prelude::{any, prop_assert, proptest};

    const AT: i64 = 1_700_000_000;

    fn ksuid(number: u128) -> Ksuid {
        Ksuid::from_parts(Timestamp::from_second(AT).unwrap(), number)
    }

    fn resolved() -> Event {
        Event {
            id: EventId::new(ksuid(1)),
            kind: Cow::Borrowed("secret_resolved.v0"),
            at: Timestamp::from_second(AT).unwrap(),
            account: AccountId::new(ksuid(2)),
            principal: Actor {
                id: PrincipalId::ServiceUser(ServiceUserId::new(ksuid(3))),
                subject: "deploy".to_owned(),
                source: Cow::Borrowed("API"),
                credential: Some(ApiKeyId::new(ksuid(4))),
            },
            object: Object::Value {
                id: SecretId::new(ksuid(5)),
                name: "db-password".to_owned(),
                vault: VaultId::new(ksuid(6)),
                vault_name: "prod".to_owned(),
                version: 300,
            },
            client: Some(Client::new(IpAddr::from([192, 0, 2, 7]), "curl/8.5.0")),
        }
    }

    /// This layout never changes: what is here is what docs/formats.md says.
    #[test]
    fn known_bytes() {
        let mut expected = vec![1];
        let id = |number| [&ksuid(0).as_bytes()[..19], &[number]].concat();
        expected.extend(id(1));
        expected.push(0);
        expected.extend(id(2));
        expected.extend(b"\x12secret_resolved.v0b");
        expected.extend(id(3));
        expected.extend(b"\x06deploy\x03API\x01");
        expected.extend(id(4));
        expected.extend(b"\x04\xc0\x00\x02\x07\x0acurl/8.5.0\x01");
        expected.extend(id(5));
        expected.extend(b"\x0bdb-password");
        expected.extend(id(6));
        expected.extend(b"\x04prod\xac\x02");
        assert_eq!(write(&resolved()).unwrap(), expected);
        assert_eq!(read(&expected).unwrap(), resolved());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut event = resolved();
        event.client = Some(Client::new("2001:db8::1".parse().unwrap(), ""));
        event.at = Timestamp::from_second(AT - 12_345).unwrap();
        assert_eq!(read(&write(&event).unwrap()).unwrap(), event);
        event.client = None;
        event.principal = Actor::on_machine(PrincipalId::User(UserId::new(ksuid(9))), "admin".to_owned());
        event.object = Object::ServiceUser {
            id: ServiceUserId::new(ksuid(3)),
            name: "robot".to_owned(),
            active: true,
            created_at: event.at,
        };
        assert_eq!(read(&write(&event).unwrap()).unwrap(), event);
        assert_eq!(read(&serde_json::to_vec(&event).unwrap()).unwrap(), event, "as older stores have it");
        event.object = Object::AuditLog { upto: 4096, root: [0x5a; 32] };
        let bytes = write(&event).unwrap();
        assert_eq!(read(&bytes).unwrap(), event);
        let json = format!(r#"{{"audit_log":{{"upto":4096,"root":"{}"}}}}"#, "5a".repeat(32));
        assert!(bytes.ends_with(json.as_bytes()));
        assert!(serde_json::from_str::<Object>(&json).is_ok());
        for other in ["5A", "5", "5g", "5a5"] {
            assert!(serde_json::from_str::<Object>(&json.replacen("5a", other, 1)).is_err(), "{other}");
        }
    }

    /// Events from before renames were noted are the same bytes as ever.
    #[test]
    fn what_was_is_there_only_after_a_rename_or_a_move() {
        use crate::secret::Secret;
        let by = PrincipalId::User(UserId::new(ksuid(9)));
        let at = Timestamp::from_second(AT).unwrap();
        let old = Secret {
            id: SecretId::new(ksuid(5)),
            vault_id: VaultId::new(ksuid(6)),
            vault_name: "prod".to_owned(),
            name: "a".to_owned(),
            description: String::new(),
            metadata: String::new(),
            created_at: at,
            created_by: by,
            updated_at: at,
            last_updated_by: by,
            revision: 1,
            version: 3,
        };
        let json = |object: &Object| serde_json::to_string(object).unwrap();
        let same = Secret { description: "d".to_owned(), version: 4, ..old.clone() };
        let plain = json(&Object::secret_after(&old, &same));
        assert!(plain.ends_with(r#""vault_name":"prod","version":4}}"#), "{plain}");
        assert_eq!(plain, json(&Object::from(&same)));
        let vault = old.vault_id;
        for new in [
            Secret { name: "b".to_owned(), version: 4, ..old.clone() },
            Secret { vault_id: VaultId::new(ksuid(7)), version: 4, ..old.clone() },
        ] {
            let object = Object::secret_after(&old, &new);
            let was =
                format!(r#""previous":{{"name":"a","vault":"{vault}","vault_name":"prod","version":3}}}}}}"#);
            assert!(json(&object).ends_with(&was), "{}", json(&object));
            let event = Event { object, ..resolved() };
            assert_eq!(read(&write(&event).unwrap()).unwrap(), event);
        }
    }

    /// An event has one form: what is cut, longer, or written in another way is none.
    #[test]
    fn anything_else_is_refused() {
        let bytes = write(&resolved()).unwrap();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes of it");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_err());
        let mut longer = bytes.clone();
        longer.splice(21..22, [0x80, 0]);
        assert!(read(&longer).is_err(), "a number with a byte that it does not need");
    }

    proptest! {
        #[test]
        fn bytes_that_are_read_are_the_ones_that_are_written(
            at in 0usize..200, byte in any::<u8>(),
        ) {
            let mut bytes = write(&resolved()).unwrap();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            if let Ok(event) = read(&bytes) {
                let json = bytes.starts_with(b"{");
                prop_assert!(json || write(&event).unwrap() == bytes);
            }
        }
    }
}
