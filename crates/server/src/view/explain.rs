//! What a key may do, in words.

use strongroom_domain::access::Ruling;
use strongroom_domain::app::Explanation;
use strongroom_domain::caller::Role;
use strongroom_domain::grant::Action;
use strongroom_wire as wire;

use super::grant;

/// What a key may do with a secret, in words.
#[must_use]
pub fn explanation(explanation: &Explanation) -> wire::Explanation {
    let Explanation { of, refused, vault, name } = explanation;
    let rulings = explanation.rulings().map(|(action, ruling)| wire::Ruling {
        action: action.to_string(),
        allowed: refused.is_none() && ruling.allows(),
        grant: match ruling {
            Ruling::ByGrant(deciding) if refused.is_none() => Some(grant(deciding)),
            _ => None,
        },
        reason: refused.as_ref().map_or_else(|| reason(action, ruling, vault, name), ToString::to_string),
    });
    wire::Explanation {
        api_key: of.key().map_or_else(String::new, |key| key.to_string()),
        owner_id: of.principal().to_string(),
        role: of.role().as_str().to_owned(),
        vault: vault.clone(),
        name: name.clone(),
        visible: refused.is_none() && explanation.visible(),
        actions: rulings.collect(),
    }
}

fn reason(action: Action, ruling: Ruling<'_>, vault: &str, name: &str) -> String {
    match ruling {
        Ruling::ByRole(role) => format!(
            "the key has no grants, so it may do what its owner may, and the owner is {}",
            with_article(role)
        ),
        Ruling::ByGrant(grant) => format!("it has the grant '{grant}'"),
        Ruling::RoleForbids(role) => {
            format!("its owner is {}, who may not {action}, whatever the key's grants", with_article(role))
        }
        Ruling::GrantNeeded => format!(
            "the key has no grants, and to {action} takes one: an admin makes a key with the grant '{action} {vault}:{name}'"
        ),
        Ruling::NoGrant => format!("none of the key's grants lets it {action} {vault}:{name}"),
    }
}

fn with_article(role: Role) -> String {
    let article = if role == Role::Admin { "an" } else { "a" };
    format!("{article} {}", role.as_str())
}
