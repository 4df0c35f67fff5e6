//! Which values a program gets, and under which names.

use std::str::FromStr;

use strongroom_client::env_name::{self, Variables, variable};
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

use super::Run;
use crate::failure::{Failure, Kind, warn};

/// A secret, and the variable that a person chose for it: `DB_PASSWORD=prod:db-password`.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    variable: String,
    secret: Reference,
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, secret) =
            text.split_once('=').ok_or("write NAME=vault:secret, or NAME=vault:secret@3 for a version")?;
        env_name::check_name(variable).map_err(|error| error.to_string())?;
        let secret = secret.parse::<Reference>().map_err(|error| error.to_string())?;
        Ok(Self { variable: variable.to_owned(), secret })
    }
}

/// A value and the variable it comes in. It has no `Debug`, as it holds a value.
pub(super) struct Assigned {
    /// The variable that holds the value, or the path to it.
    pub(super) variable: String,
    secret: wire::ResolvedSecret,
}

/// What is put to a variable's name when it holds a path; images of databases read such variables.
const FILE: &str = "_FILE";

impl Assigned {
    /// The value.
    pub(super) fn expose_secret(&self) -> &str {
        &self.secret.value
    }

    /// Whether it is the same value under the same name.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.variable == other.variable && self.secret.value == other.secret.value
    }

    /// What the secret is called.
    pub(super) fn secret(&self) -> Reference {
        Reference::current(&self.secret.vault, &self.secret.name)
    }

    /// What the file with the value is called.
    pub(super) fn file_name(&self) -> &str {
        self.variable.strip_suffix(FILE).unwrap_or(&self.variable)
    }
}

/// What to ask for: the vaults or what is named of them, then the mappings.
pub(super) fn references(vaults: &[String], only: &[String], map: &[Mapping]) -> Vec<wire::Reference> {
    // A name in capitals may be the variable's: which secret becomes it shows when all are there.
    let may_be_variable = |name: &String| env_name::check_name(name).is_ok() && variable("", name) == *name;
    let mut references: Vec<wire::Reference> = match vaults {
        [vault] if !only.is_empty() && !only.iter().any(may_be_variable) => {
            only.iter().map(|name| (&Reference::current(vault, name)).into()).collect()
        }
        _ => vaults.iter().map(|vault| wire::Reference::whole(vault)).collect(),
    };
    references.extend(map.iter().map(|mapping| wire::Reference::from(&mapping.secret)));
    references
}

/// Gives each value its variable, or refuses them all.
pub(super) fn assign(run: &Run, secrets: Vec<wire::ResolvedSecret>) -> Result<Vec<Assigned>, Failure> {
    Ok(again(run, secrets, &[])?.0)
}

/// The same for values that follow others. What `--only` names and is not there any more stays as it was, and is told.
pub(super) fn again(
    run: &Run,
    mut secrets: Vec<wire::ResolvedSecret>,
    before: &[Assigned],
) -> Result<(Vec<Assigned>, Vec<Reference>), Failure> {
    let Some(of_vaults) = secrets.len().checked_sub(run.map.len()) else {
        return Err(Failure::new("the server gave fewer values than were asked for"));
    };
    let mapped = secrets.split_off(of_vaults);
    let mut assigning = Assigning { run, variables: Variables::default(), assigned: Vec::new() };
    let mut unknown: Vec<&String> = run.only.iter().collect();
    let mut gone = Vec::new();
    let is_of_vaults = |one: &&Assigned| run.vault.contains(&one.secret.vault);
    let before = before.iter().filter(is_of_vaults).map(|one| (one.secret.clone(), true));
    for (secret, is_before) in secrets.into_iter().map(|secret| (secret, false)).chain(before) {
        let variable = variable(&run.prefix, &secret.name);
        let is_it = |name: &&String| **name == secret.name || **name == variable;
        let is_named =
            if is_before { unknown.iter().any(is_it) } else { run.only.iter().any(|name| is_it(&name)) };
        if is_named || (run.only.is_empty() && !is_before) {
            unknown.retain(|name| !is_it(name));
            if is_before {
                gone.push(Reference::current(&secret.vault, &secret.name));
            }
            assigning.add(&variable, secret, None)?;
        }
    }
    if !unknown.is_empty() {
        return Err(no_such(run, &unknown));
    }
    for (mapping, secret) in run.map.iter().zip(mapped) {
        assigning.add(&mapping.variable, secret, Some(&mapping.secret))?;
    }
    if assigning.assigned.is_empty() {
        warn("the program gets no value: there is no secret that this key can see");
    }
    Ok((assigning.assigned, gone))
}

fn no_such(run: &Run, unknown: &[&String]) -> Failure {
    let names = unknown.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    Failure::new(format!("no secret of {} is called {names}", run.vault.join(", ")))
        .todo("name secrets as strongroom secret list shows them, or the variables they become")
        .kind(Kind::Missing)
}

struct Assigning<'a> {
    run: &'a Run,
    variables: Variables,
    assigned: Vec<Assigned>,
}

impl Assigning<'_> {
    fn add(
        &mut self,
        name: &str,
        secret: wire::ResolvedSecret,
        chosen: Option<&Reference>,
    ) -> Result<(), Failure> {
        let variable = if self.run.files { format!("{name}{FILE}") } else { name.to_owned() };
        let derived = Reference::current(&secret.vault, &secret.name);
        let is_new = match chosen {
            Some(chosen) => self.variables.chosen(&variable, chosen),
            None => self.variables.derived(&variable, &derived),
        }
        .map_err(refused)?;
        if !self.run.files {
            // The environment is where it goes.
            env_name::check_value(&variable, &derived, &secret.value).map_err(refused)?;
        }
        if is_new {
            self.assigned.push(Assigned { variable, secret });
        }
        Ok(())
    }
}

fn refused(error: env_name::Error) -> Failure {
    use env_name::Error;
    let todo = match &error {
        Error::Clash { .. } => {
            "choose with --only, or give one of them another name with --map NAME=vault:secret".to_owned()
        }
        Error::Reserved { variable, secret } => {
            format!(
                "choose with --only, set another name with --prefix, or say that it is meant: --map {variable}={secret}"
            )
        }
        Error::ZeroByte(_) | Error::TooLong { .. } => "give values as files with --files".to_owned(),
        Error::BadName(_) => "choose another name".to_owned(),
    };
    Failure::new("the program was not started").because(error).todo(todo).kind(Kind::Invalid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn asked(vaults: &[&str], only: &[&str], map: &[&str]) -> Vec<String> {
        let map: Vec<Mapping> = map.iter().map(|text| text.parse().unwrap()).collect();
        let told = |one: wire::Reference| {
            let version = one.version.map(|version| format!("@{version}")).unwrap_or_default();
            format!("{}:{}{version}", one.vault.unwrap(), one.name.unwrap_or_default())
        };
        references(&names(vaults), &names(only), &map).into_iter().map(told).collect()
    }

    #[test]
    fn no_more_is_asked_for_than_needed_to_find_what_is_named() {
        assert_eq!(asked(&["prod"], &["db-password", "a.b"], &[]), ["prod:db-password", "prod:a.b"]);
        assert_eq!(asked(&["prod"], &["db-password", "DB_USER"], &[]), ["prod:"]);
        assert_eq!(asked(&["prod", "dev"], &["db-password"], &["A=x:y@3"]), ["prod:", "dev:", "x:y@3"]);
        assert_eq!(asked(&[], &[], &["A=x:y"]), ["x:y"]);
    }

    #[test]
    fn a_mapping_is_a_name_and_a_secret() {
        for bad in ["", "A", "A=", "=prod:x", "1A=prod:x", "A=prod", "A-B=prod:x", "A=prod:x@0"] {
            assert!(bad.parse::<Mapping>().is_err(), "{bad}");
        }
    }
}
