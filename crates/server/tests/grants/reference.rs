//! What a key may do, as the documentation tells it and as plainly as it can be written: nothing of the server's own code.

use crate::house::House;
use crate::requests::{Gift, Ref, Request, Whose};

/// What a role says to an action: own, only by a grant, never.
#[derive(PartialEq)]
enum Says {
    Own,
    ByGrant,
    Never,
}

#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) action: &'static str,
    /// A pattern for vaults and one for secrets; none for `audit` and `admin`.
    pub(crate) target: Option<(&'static str, &'static str)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) role: &'static str,
    pub(crate) grants: Option<Vec<Grant>>,
}

/// The status, and what else is certain of the answer: the things that it lists, or those that an error names.
#[derive(Debug, PartialEq)]
pub(crate) struct Expected(pub(crate) u16, pub(crate) Option<Vec<String>>);

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => name.is_empty(),
        Some(("*", rest)) => (0..=name.len()).any(|taken| matches(rest, &name[taken..])),
        Some((letter, rest)) => name.strip_prefix(letter).is_some_and(|name| matches(rest, name)),
    }
}

impl Grant {
    fn includes(&self, action: &str) -> bool {
        self.action == action || (self.action == "manage" && action == "read")
    }

    fn is_about_vault(&self, vault: &str) -> bool {
        self.target.is_some_and(|(vaults, _)| matches(vaults, vault))
    }

    fn is_about(&self, vault: &str, secret: &str) -> bool {
        self.is_about_vault(vault) && self.target.is_some_and(|(_, secrets)| matches(secrets, secret))
    }

    fn is_about_all_of(&self, vault: &str) -> bool {
        self.is_about_vault(vault)
            && self.target.is_some_and(|(_, secrets)| secrets.chars().all(|c| c == '*'))
    }
}

impl Key {
    fn role_says(&self, action: &str) -> Says {
        match (self.role, action) {
            (_, "resolve") | ("developer" | "viewer", "audit") => Says::ByGrant,
            (_, "read") | ("admin" | "developer", "manage") | ("admin", "admin" | "audit") => Says::Own,
            _ => Says::Never,
        }
    }

    fn allows(&self, action: &str, about: impl Fn(&Grant) -> bool) -> bool {
        let says = self.role_says(action);
        match &self.grants {
            None => says == Says::Own,
            Some(grants) => {
                says != Says::Never && grants.iter().any(|grant| grant.includes(action) && about(grant))
            }
        }
    }

    pub(crate) fn may(&self, action: &str, vault: &str, secret: &str) -> bool {
        self.allows(action, |grant| grant.is_about(vault, secret))
    }

    fn is_admin(&self) -> bool {
        self.allows("admin", |_| true)
    }

    fn manages_vault(&self, vault: &str) -> bool {
        self.allows("manage", |grant| grant.is_about_all_of(vault))
    }

    fn sees_vault(&self, vault: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|grant| grant.is_about_vault(vault)))
    }

    pub(crate) fn sees(&self, vault: &str, secret: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|grant| grant.is_about(vault, secret)))
    }

    /// Whether another name for a vault would open to the key what it may not read under the old one.
    fn gains_vault(&self, old: &str, new: &str) -> bool {
        let gains = |grant: &Grant| {
            grant.action == "resolve" && grant.is_about_vault(new) && !grant.is_about_vault(old)
        };
        self.grants.iter().flatten().any(gains)
    }

    fn sees_key(&self, whose: Whose) -> bool {
        match whose {
            Whose::Own => true,
            Whose::Sibling => self.is_admin() || self.grants.is_none(),
            Whose::Foreign => self.is_admin(),
        }
    }

    /// The one who may not look after keys at all.
    fn keeps_no_keys(&self) -> bool {
        self.role == "viewer" || (self.grants.is_some() && !self.is_admin())
    }

    pub(crate) fn expected(&self, house: &House, request: &Request) -> Expected {
        let first = |checks: &[(bool, u16)], otherwise| {
            Expected(checks.iter().find(|(fails, _)| *fails).map_or(otherwise, |(_, status)| *status), None)
        };
        let (viewer, admin) = (self.role == "viewer", self.is_admin());
        // Where a secret that is there may be written to: none of these, or a refusal.
        let old = |of: &(usize, usize)| {
            let (vault, secret) = house.names(*of);
            [(viewer, 403), (!self.sees(vault, secret), 404), (!self.may("manage", vault, secret), 403)]
        };
        let new = |of: &(usize, usize), vault: &str, name: &str| {
            let (from, secret) = house.names(*of);
            let gains = self.may("resolve", vault, name) && !self.may("resolve", from, secret);
            let (same, taken) = ((from, secret) == (vault, name), house.has(vault, name));
            [(!self.may("manage", vault, name), 403), (gains, 403), (taken && !same, 400)]
        };
        let old_vault = |of: &usize| {
            let name = &house.vaults[*of].name;
            [(viewer, 403), (!self.sees_vault(name), 404), (!self.manages_vault(name), 403)]
        };
        match request {
            Request::Root | Request::Own | Request::KeyList => Expected(200, None),
            Request::Metrics => {
                first(&[(self.grants.is_some() && !admin && !self.allows("audit", |_| true), 403)], 200)
            }
            Request::Checkpoint => first(&[(!self.allows("audit", |_| true), 403)], 200),
            Request::WebhookList | Request::VaultKeyList | Request::IpList(_) => first(&[(!admin, 403)], 200),
            Request::VaultKeyRotate(_) => first(&[(!admin, 403)], 202),
            Request::WebhookMake | Request::IpMake => first(&[(!admin, 403)], 201),
            Request::VaultList => Expected(
                200,
                Some(house.vault_names(|vault| self.allows("read", |grant| grant.is_about_vault(vault)))),
            ),
            Request::VaultGet(of) | Request::VaultDetail(of) => {
                let name = &house.vaults[*of].name;
                let reads = self.allows("read", |grant| grant.is_about_vault(name));
                first(&[(!self.sees_vault(name), 404), (!reads, 403)], 200)
            }
            Request::VaultMake(name) => {
                first(&[(viewer || !self.manages_vault(name), 403), (house.has_vault(name), 400)], 201)
            }
            Request::VaultChange(of, name) => {
                let from = house.vaults[*of].name.as_str();
                let to = name.unwrap_or(from);
                let new = [
                    (!self.manages_vault(to) || self.gains_vault(from, to), 403),
                    (to != from && house.has_vault(to), 400),
                ];
                first(&[&old_vault(of)[..], &new].concat(), 200)
            }
            Request::VaultKeep(of) => first(&old_vault(of), 200),
            Request::VaultRemove(of) => {
                let full = (!house.vaults[*of].secrets.is_empty(), 400);
                first(&[&old_vault(of)[..], &[full]].concat(), 204)
            }
            Request::SecretList(name) => {
                let listed = |v: &str, s: &str| name.is_none_or(|name| name == s) && self.may("read", v, s);
                Expected(200, Some(house.secret_names(listed)))
            }
            Request::SecretListOfVault(_) | Request::DetailList(_) => self.expected_list(house, request),
            Request::SecretGet(of) | Request::DetailGet(of) | Request::VersionList(of) => {
                let (vault, secret) = house.names(*of);
                first(&[(!self.sees(vault, secret), 404), (!self.may("read", vault, secret), 403)], 200)
            }
            Request::SecretMake(of, name) => {
                let vault = &house.vaults[*of].name;
                let checks = [
                    (viewer, 403),
                    (!self.sees_vault(vault), 404),
                    (!self.may("manage", vault, name), 403),
                    (house.has(vault, name), 400),
                ];
                first(&checks, 201)
            }
            Request::SecretChange(of, name) => {
                let (vault, secret) = house.names(*of);
                let new = new(of, vault, name.unwrap_or(secret));
                first(&[&old(of)[..], &new].concat(), 200)
            }
            Request::SecretRemove(of) => first(&old(of), 204),
            Request::Rollback(of) => first(&old(of), 200),
            Request::DeletedList => Expected(200, None),
            // It is not deleted.
            Request::Undelete(of) | Request::Purge(of) => first(&old(of), 409),
            Request::VaultPurge(of) => first(&old_vault(of), 409),
            Request::UndeleteDeleted(of, name) => {
                let (vault, secret) = house.names(*of);
                let name = name.unwrap_or(secret);
                let new = new(of, vault, name)
                    .map(|(fails, status)| (fails, if status == 400 { 409 } else { status }));
                first(&[&old(of)[..], &new].concat(), 200)
            }
            Request::PurgeDeleted(of) => first(&old(of), 204),
            Request::Move(of, to, name) => {
                let vault = &house.vaults[*to].name;
                let there = [(!self.sees_vault(vault), 404), (*to == of.0, 400)];
                let new = new(of, vault, name.unwrap_or(house.names(*of).1));
                first(&[&old(of)[..], &there, &new].concat(), 200)
            }
            Request::Resolve(references) => self.expected_values(house, references),
            Request::Values(reference, knows) => {
                match self.expected_values(house, std::slice::from_ref(reference)) {
                    Expected(200, _) if *knows => Expected(304, None),
                    other => other,
                }
            }
            Request::Explain(whose, vault, secret) => {
                let Some(of) = self.sees_key(*whose).then(|| house.key(*whose, self)) else {
                    return Expected(404, None);
                };
                let actions = ["read", "manage", "resolve"].into_iter();
                let allowed = actions.filter(|action| of.may(action, vault, secret)).map(str::to_owned);
                let seen = of.sees(vault, secret).then(|| "seen".to_owned());
                Expected(200, Some(allowed.chain(seen).collect()))
            }
            Request::KeyGet(whose) => first(&[(!self.sees_key(*whose), 404)], 200),
            Request::KeyMake(gift) => {
                let only_admins = !matches!(gift, Gift::Nothing | Gift::Read);
                first(&[(self.keeps_no_keys(), 403), (only_admins && !admin, 403)], 201)
            }
            Request::KeyChange(whose) => {
                first(&[(self.keeps_no_keys(), 403), (!self.sees_key(*whose), 404)], 200)
            }
            Request::KeyRemove(whose) => {
                first(&[(self.keeps_no_keys(), 403), (!self.sees_key(*whose), 404)], 204)
            }
            Request::UserList(_) => first(&[(self.grants.is_some() && !admin, 403)], 200),
            Request::UserGet(_) => first(&[(self.grants.is_some() && !admin, 404)], 200),
            Request::UserMake(_) => first(&[(!admin, 403)], 201),
            Request::UserChange(_) => first(&[(!admin, 403)], 200),
            Request::UserRemove(_) => first(&[(!admin, 403)], 204),
        }
    }

    /// A list of one vault: not there for who does not see the vault, and otherwise what may be read of it.
    fn expected_list(&self, house: &House, request: &Request) -> Expected {
        let name = match request {
            Request::SecretListOfVault(of) => Some(house.vaults[*of].name.as_str()),
            Request::DetailList(name) => *name,
            _ => None,
        };
        match name {
            Some(name) if !self.sees_vault(name) || !house.has_vault(name) => Expected(404, None),
            _ => {
                let listed = |v: &str, s: &str| name.is_none_or(|name| name == v) && self.may("read", v, s);
                Expected(200, Some(house.secret_names(listed)))
            }
        }
    }

    /// All or nothing: a key that resolves nothing, what is missing, what is not allowed, and only then the values.
    fn expected_values(&self, house: &House, references: &[Ref]) -> Expected {
        if !self.allows("resolve", |_| true) {
            return Expected(403, None);
        }
        let (mut missing, mut found) = (Vec::new(), Vec::new());
        for reference in references {
            match reference {
                Ref::Vault(vault) if house.has_vault(vault) && self.sees_vault(vault) => {
                    let mut names = house.secret_names(|v, s| v == *vault && self.sees(v, s));
                    names.sort();
                    found.extend(names);
                }
                Ref::Vault(vault) => missing.push((*vault).to_owned()),
                Ref::Id(of) => {
                    let (vault, name) = house.names(*of);
                    let seen = self.sees(vault, name);
                    let (list, named) = if seen {
                        (&mut found, format!("{vault}:{name}"))
                    } else {
                        (&mut missing, house.secret(*of).id.clone())
                    };
                    list.push(named);
                }
                Ref::Name(vault, name) => {
                    let there = house.has(vault, name) && self.sees(vault, name);
                    let list = if there { &mut found } else { &mut missing };
                    list.push(format!("{vault}:{name}"));
                }
            }
        }
        let refused = |named: &&String| {
            let (vault, name) = named.split_once(':').unwrap();
            !self.may("resolve", vault, name)
        };
        let denied: Vec<String> = found.iter().filter(refused).cloned().collect();
        match (missing.is_empty(), denied.is_empty()) {
            (false, _) => Expected(404, Some(missing)),
            (true, false) => Expected(403, Some(denied)),
            (true, true) => Expected(200, Some(found)),
        }
    }
}
