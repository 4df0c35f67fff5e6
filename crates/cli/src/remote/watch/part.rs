//! One reference that is followed, and the values behind it.

use std::collections::BTreeSet;

use strongroom_wire as wire;

/// A reference, what it last gave, and what is known of that.
pub(super) struct Part {
    pub(super) reference: wire::Reference,
    /// The values: one, or all of a vault by name.
    pub(super) secrets: Vec<wire::ResolvedSecret>,
    /// Whether they may be others by now.
    pub(super) is_stale: bool,
    /// What the server does not give any longer. Its values stay as they were.
    pub(super) refused: Vec<Refused>,
    /// Of a whole vault: names that are in it as far as is known, for when it has to be asked for one by one.
    names: BTreeSet<String>,
}

/// A reference that is refused.
pub(super) struct Refused {
    pub(super) reference: wire::Reference,
    /// What the server said.
    pub(super) why: String,
}

impl Part {
    pub(super) fn new(reference: wire::Reference, secrets: Vec<wire::ResolvedSecret>) -> Self {
        let names = secrets.iter().map(|secret| secret.name.clone()).collect();
        Self { reference, secrets, is_stale: false, refused: Vec::new(), names }
    }

    /// Takes what was read; says whether it is something else than before.
    pub(super) fn take(&mut self, mut secrets: Vec<wire::ResolvedSecret>) -> bool {
        if is_whole(&self.reference) {
            secrets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            self.names = secrets.iter().map(|secret| secret.name.clone()).collect();
            self.names.extend(self.refused.iter().filter_map(|refused| refused.reference.name.clone()));
        }
        self.is_stale = false;
        let is_other = secrets.len() != self.secrets.len()
            || secrets
                .iter()
                .zip(&self.secrets)
                .any(|(new, old)| (&new.vault, &new.name, &new.value) != (&old.vault, &old.name, &old.value));
        self.secrets = secrets;
        is_other
    }

    /// A whole vault, secret by secret.
    pub(super) fn members(&self) -> Vec<wire::Reference> {
        let of = |name: &String| wire::Reference { name: Some(name.clone()), ..self.reference.clone() };
        self.names.iter().map(of).collect()
    }

    /// Notes a change; says whether the values may be others by it.
    pub(super) fn note(&mut self, change: &wire::Change) -> bool {
        let concerns = self.concerns(change);
        if let (true, Some(secret)) = (concerns, &change.secret)
            && is_whole(&self.reference)
            && self.reference.vault.as_ref() == Some(&secret.vault.name)
        {
            self.names.insert(secret.name.clone());
        }
        self.is_stale |= concerns;
        concerns
    }

    /// Whether a change may be one of the values. The version tells those apart that are none of the value.
    fn concerns(&self, change: &wire::Change) -> bool {
        let named = |vault: &str, name: Option<&str>| {
            let of = self.reference.name.as_deref();
            self.reference.vault.as_deref() == Some(vault) && (of.is_none() || name.is_none() || of == name)
        };
        let previous = change.previous.as_ref();
        if let Some(secret) = &change.secret {
            let was = previous.and_then(|was| Some(named(&was.vault.as_ref()?.name, Some(&was.name))));
            let is_gone = matches!(change.kind.as_str(), "secret_deleted.v0" | "secret_purged.v0");
            let now = named(&secret.vault.name, Some(&secret.name));
            return was == Some(true) || (now && (is_gone || !self.knows(secret)));
        }
        // With its name, a vault gives another one to all that is in it.
        let vault = change.vault.as_ref().filter(|_| previous.is_some() || change.kind != "vault_updated.v0");
        vault.is_some_and(|vault| named(&vault.name, None))
            || previous.is_some_and(|was| change.vault.is_some() && named(&was.name, None))
    }

    /// Whether that version was given under that name, and is not refused since.
    fn knows(&self, secret: &wire::ChangedSecret) -> bool {
        let is_refused = self
            .refused
            .iter()
            .any(|refused| refused.reference.name.as_ref().is_none_or(|name| *name == secret.name));
        !is_refused
            && self.secrets.iter().any(|known| {
                (known.id.as_str(), known.version) == (secret.id.as_str(), secret.version)
                    && (known.vault.as_str(), known.name.as_str())
                        == (secret.vault.name.as_str(), secret.name.as_str())
            })
    }
}

/// Whether a reference is all of a vault.
pub(super) fn is_whole(reference: &wire::Reference) -> bool {
    reference.vault.is_some() && reference.name.is_none()
}

/// What a server calls a reference when it refuses it.
pub(super) fn called(reference: &wire::Reference) -> String {
    let vault = reference.vault.as_deref().unwrap_or_default();
    match (&reference.name, reference.version) {
        (Some(name), Some(version)) => format!("{vault}:{name}@{version}"),
        (Some(name), None) => format!("{vault}:{name}"),
        (None, _) => vault.to_owned(),
    }
}

/// The values of each reference, out of an answer to all of them. Those of a whole vault come by name, each once: what is not
/// behind the one before it is the next reference's.
pub(super) fn split(
    references: &[wire::Reference],
    secrets: Vec<wire::ResolvedSecret>,
) -> Vec<Vec<wire::ResolvedSecret>> {
    let mut secrets = secrets.into_iter().peekable();
    let mut of = |reference: &wire::Reference| {
        if !is_whole(reference) {
            return secrets.next().into_iter().collect();
        }
        let mut all: Vec<wire::ResolvedSecret> = Vec::new();
        while let Some(secret) = secrets.next_if(|next| {
            reference.vault.as_ref() == Some(&next.vault)
                && all.last().is_none_or(|last| last.name < next.name)
        }) {
            all.push(secret);
        }
        all
    };
    references.iter().map(&mut of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(id: &str, vault: &str, name: &str, version: u32) -> serde_json::Value {
        json!({"id": id, "name": name, "version": version, "vault": {"id": "vault_1", "name": vault}})
    }

    fn change(kind: &str, what: &str, thing: serde_json::Value, previous: serde_json::Value) -> wire::Change {
        let kind = format!("{what}_{kind}.v0");
        let mut change = json!({"cursor": "1-0", "type": kind, "event_id": "", "at": "", what: thing});
        if !previous.is_null() {
            change["previous"] = previous;
        }
        serde_json::from_value(change).unwrap()
    }

    #[test]
    fn a_change_concerns_what_it_names() {
        let one = wire::Reference {
            vault: Some("prod".to_owned()),
            name: Some("a".to_owned()),
            ..wire::Reference::default()
        };
        let known: Vec<wire::ResolvedSecret> = serde_json::from_value(json!([
            {"id": "secret_1", "vault": "prod", "name": "a", "version": 2, "value": "v", "updated_at": ""}
        ]))
        .unwrap();
        let parts = [Part::new(one, known), Part::new(wire::Reference::whole("all"), Vec::new())];
        let concerns = |change: &wire::Change| parts.iter().any(|part| part.concerns(change));
        let none = serde_json::Value::Null;
        let was = |vault: &str, name: &str| json!({"name": name, "vault": {"id": "vault_1", "name": vault}});
        for (kind, thing, previous, expected) in [
            ("updated", secret("secret_1", "prod", "a", 3), none.clone(), true),
            // Its description, say.
            ("updated", secret("secret_1", "prod", "a", 2), none.clone(), false),
            ("updated", secret("secret_2", "prod", "a", 2), none.clone(), true),
            ("deleted", secret("secret_1", "prod", "a", 2), none.clone(), true),
            ("updated", secret("secret_3", "prod", "b", 3), none.clone(), false),
            ("updated", secret("secret_1", "prod", "b", 2), was("prod", "a"), true),
            ("updated", secret("secret_4", "prod", "a", 1), was("dev", "c"), true),
            ("updated", secret("secret_4", "prod", "c", 1), was("prod", "b"), false),
            ("created", secret("secret_5", "all", "any", 1), none.clone(), true),
        ] {
            let change = change(kind, "secret", thing, previous);
            assert_eq!(concerns(&change), expected, "{change:?}");
        }
        let vault = |name: &str| json!({"id": "vault_1", "name": name});
        for (kind, thing, previous, expected) in [
            ("updated", vault("prod"), none.clone(), false),
            ("updated", vault("prod"), json!({"name": "old"}), true),
            ("updated", vault("new"), json!({"name": "all"}), true),
            ("updated", vault("new"), json!({"name": "old"}), false),
            ("deleted", vault("prod"), none.clone(), true),
            ("created", vault("dev"), none, false),
        ] {
            let change = change(kind, "vault", thing, previous);
            assert_eq!(concerns(&change), expected, "{change:?}");
        }
    }

    fn resolved(names: &[(&str, &str)]) -> Vec<wire::ResolvedSecret> {
        let one = |(vault, name): &(&str, &str)| json!({"id": "secret_1", "vault": vault, "name": name, "version": 1, "value": "v", "updated_at": ""});
        serde_json::from_value(names.iter().map(one).collect()).unwrap()
    }

    #[test]
    fn each_reference_gets_its_own_of_an_answer() {
        let named = |vault: &str, name: &str| wire::Reference {
            name: Some(name.to_owned()),
            ..wire::Reference::whole(vault)
        };
        let whole = wire::Reference::whole;
        for (references, answer, counts) in [
            (vec![whole("a"), whole("b")], &[("a", "x"), ("a", "y"), ("b", "x")][..], &[2, 1][..]),
            (vec![whole("a"), whole("a")], &[("a", "x"), ("a", "x")], &[1, 1]),
            (vec![whole("a"), named("a", "y")], &[("a", "x"), ("a", "y"), ("a", "y")], &[2, 1]),
            (
                vec![whole("a"), named("b", "z"), whole("b")],
                &[("b", "z"), ("b", "x"), ("b", "z")],
                &[0, 1, 2],
            ),
        ] {
            let told: Vec<_> = split(&references, resolved(answer)).iter().map(Vec::len).collect();
            assert_eq!(told, counts, "{answer:?}");
        }
    }

    #[test]
    fn a_refused_value_is_asked_for_again_at_each_change_of_it() {
        let mut part = Part::new(wire::Reference::whole("prod"), resolved(&[("prod", "a"), ("prod", "b")]));
        let again = |name: &str| {
            change("updated", "secret", secret("secret_1", "prod", name, 1), serde_json::Value::Null)
        };
        assert!(!part.note(&again("a")) && !part.is_stale);
        let reference = part.members().remove(0);
        part.refused.push(Refused { reference, why: String::new() });
        assert!(!part.note(&again("b")) && part.note(&again("a")) && part.is_stale);
        part.note(&change("created", "secret", secret("secret_2", "prod", "c", 1), serde_json::Value::Null));
        let names: Vec<_> = part.members().iter().map(called).collect();
        assert_eq!(names, ["prod:a", "prod:b", "prod:c"]);
    }
}
