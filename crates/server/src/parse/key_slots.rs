//! Key slots and what opens them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_domain::key_slot::{KeySlot, parse_name};
use strongroom_domain::limits::Limits;
use strongroom_domain::text::Name;
use strongroom_domain::{SlotEnrolment, SlotKind};
use strongroom_slots::Given;
use zeroize::Zeroizing;

use super::body::Fields;
use crate::error::{Problem, Protocol, SlotProblem};

/// A slot to be made, by whom its key is kept.
pub(crate) enum Create {
    /// By the client, who made it.
    Client { name: Name, kind: SlotKind, enrolment: SlotEnrolment, opener: String },
    /// By a service that the server asks.
    Service { name: Name, kind: SlotKind },
}

/// Reads a slot that is to be made.
pub(crate) fn create(mut body: Fields, limits: &Limits) -> Result<Create, Problem> {
    let kind = body.text("kind")?.ok_or(Protocol::InvalidField("kind"))?;
    let kind = SlotKind::parse(&kind).ok_or(SlotProblem::Invalid(
        "The kinds of key slots are file, passphrase, transit, recovery, shamir, pkcs11 and aws-kms.",
    ))?;
    let name = body.non_empty("name")?.unwrap_or_else(|| kind.as_str().to_owned());
    let name = parse_name(name, limits)?;
    let (enrolment, opener) = (body.secret("enrolment")?, body.text("opener")?);
    if strongroom_slots::Config::keeps(kind) {
        return match (enrolment, opener) {
            (None, None) => Ok(Create::Service { name, kind }),
            _ => Err(SlotProblem::Invalid(
                "The server makes the key of such a slot itself: leave 'enrolment' and 'opener' out.",
            )
            .into()),
        };
    }
    let given = SlotProblem::Invalid(
        "The client makes the key of such a slot: give 'enrolment', 64 bytes in base64, and 'opener', an object in JSON.",
    );
    let (Some(enrolment), Some(opener)) = (enrolment, opener) else { return Err(given.into()) };
    // To be taken apart: a root key is sealed to it.
    let bytes = STANDARD.decode(enrolment.expose_secret()).map(Zeroizing::new);
    let enrolment = bytes.ok().and_then(|bytes| SlotEnrolment::from_slice(&bytes));
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&opener).is_ok();
    match enrolment {
        Some(enrolment) if is_object && opener.len() <= KeySlot::OPENER_MAX => {
            Ok(Create::Client { name, kind, enrolment, opener })
        }
        _ => Err(given.into()),
    }
}

/// Reads what opens a slot; `None` where nothing is given.
pub(crate) fn given(body: &mut Fields) -> Result<Option<Given>, Problem> {
    let passphrase = body.text("passphrase")?.map(Zeroizing::new);
    let words = body.text("words")?.map(Zeroizing::new);
    let shares = body.texts("shares")?.map(|texts| texts.into_iter().map(Zeroizing::new).collect::<Vec<_>>());
    match (passphrase, words, shares) {
        (None, None, None) => Ok(None),
        (Some(passphrase), None, None) => Ok(Some(Given::Passphrase(passphrase))),
        (None, Some(words), None) => Ok(Some(Given::Words(words))),
        (None, None, Some(shares)) if !shares.is_empty() => Ok(Some(Given::Shares(shares))),
        _ => Err(SlotProblem::Input.into()),
    }
}
