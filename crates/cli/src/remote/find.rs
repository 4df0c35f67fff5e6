//! Finding by name what the API knows by id.

use strongroom_client::api::Client;
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

use crate::failure::{Failure, Kind};

/// The vault of that name.
pub(crate) fn vault(client: &Client, name: &str) -> Result<wire::Vault, Failure> {
    client.vault_find(name)?.ok_or_else(|| {
        Failure::new(format!("there is no vault '{name}' that this key can see"))
            .todo("strongroom vault list shows those that it can")
            .kind(Kind::Missing)
    })
}

/// The secret of that name. Only its value has versions, so none may be named.
pub(crate) fn secret(client: &Client, reference: &Reference) -> Result<wire::Secret, Failure> {
    client.secret_find(&reference.vault, &reference.name)?.ok_or_else(|| {
        Failure::new(format!("there is no secret '{reference}' that this key can see"))
            .todo(format!("strongroom secret list {} shows those that it can", reference.vault))
            .kind(Kind::Missing)
    })
}

/// Reads `vault:name`, for commands that are about a secret and not about a version of it.
pub(crate) fn parse_current(text: &str) -> Result<Reference, String> {
    let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
    if reference.version.is_some() {
        return Err("this is about the secret and not about one of its versions: write vault:name".to_owned());
    }
    Ok(reference)
}
