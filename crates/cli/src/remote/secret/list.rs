use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use strongroom_client::api::Client;
use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_wire as wire;

use super::name;
use crate::failure::{Failure, Kind};
use crate::remote::api_key::after;
use crate::remote::find;
use crate::remote::output::{Output, Table, fields, or_dash};
use crate::units::Age;

#[derive(Args)]
pub(super) struct List {
    /// Only those of this vault, and with these names; * stands for any run of characters
    #[arg(value_name = "VAULT[:PATTERN]")]
    which: Option<String>,
    /// Only those whose end is past, or no further ahead than this, such as 30d or 12h
    #[arg(long, value_name = "TIME")]
    expiring: Option<Age>,
}

impl List {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let (vault, pattern) =
            match self.which.as_deref().map(|which| which.split_once(':').unwrap_or((which, "*"))) {
                Some((vault, pattern)) => (Some(vault), pattern),
                None => (None, "*"),
            };
        if vault.is_some_and(|vault| vault.is_empty() || vault.contains('*')) || pattern.is_empty() {
            let what = "secrets are listed by vault or by vault:pattern, and the vault is one vault's name";
            return Err(Failure::new(what).kind(Kind::Usage).todo("strongroom secret list 'prod:tls-*'"));
        }
        let mut secrets = client.details(vault, None)?;
        if let (Some(vault), true) = (vault, secrets.is_empty()) {
            // Whether it is empty or not there makes a difference to whoever misspelt it.
            find::vault(client, vault)?;
        }
        secrets.retain(|detail| matches(pattern, &detail.secret.name));
        if let Some(age) = self.expiring {
            let until = after(SystemClock.now(), age, "--expiring")?;
            secrets.retain(|detail| ends_by(&detail.expires_at, until));
        }
        print(client, secrets, output)
    }
}

/// Prints secrets by name.
pub(crate) fn print(
    client: &Client,
    mut secrets: Vec<wire::SecretDetail>,
    output: Output,
) -> Result<ExitCode, Failure> {
    secrets.sort_by_cached_key(|detail| (detail.secret.vault_name.clone(), detail.secret.name.clone()));
    let uri = format!("{}/strongroom/secrets", client.url());
    let list = wire::SecretDetailList { secrets, uri, next_page_uri: None };
    output.print(&list, || {
        let mut table =
            Table::new(&["NAME", "VERSION", "UPDATED", "LAST RESOLVED", "EXPIRES", "DESCRIPTION"]);
        for detail in &list.secrets {
            table.row([
                name(&detail.secret),
                detail.version.to_string(),
                detail.secret.updated_at.clone(),
                or_dash(detail.last_resolved_at.as_deref()),
                or_dash(Some(&detail.expires_at).filter(|at| !at.is_empty()).map(String::as_str)),
                detail.secret.description.clone(),
            ]);
        }
        table.view()
    })
}

pub(super) fn view(detail: &wire::SecretDetail) -> String {
    let secret = &detail.secret;
    let resolved = match (&detail.last_resolved_at, &detail.last_resolved_by) {
        (Some(at), Some(by)) => format!("{at} by {}", by.id),
        (Some(at), None) => at.clone(),
        _ => "never".to_owned(),
    };
    fields([
        ("name", name(secret)),
        ("id", secret.id.clone()),
        ("version", detail.version.to_string()),
        ("description", secret.description.clone()),
        ("metadata", secret.metadata.clone()),
        ("created", format!("{} by {}", secret.created_at, secret.created_by.id)),
        ("updated", format!("{} by {}", secret.updated_at, secret.last_updated_by.id)),
        ("resolved", resolved),
        (
            "expires",
            if detail.expires_at.is_empty() { "never".to_owned() } else { detail.expires_at.clone() },
        ),
    ])
}

/// Whether an end that a server tells has come by a time.
fn ends_by(expires_at: &str, until: Timestamp) -> bool {
    expires_at.parse::<Timestamp>().is_ok_and(|at| at <= until)
}

/// Whether a name fits a pattern, in which `*` stands for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| name.strip_prefix(start)) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(end) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        // The first place is the best one: it leaves the most for what follows.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("tls-*", "tls-key", true),
            ("tls-*", "tls", false),
            ("*-key", "tls-key", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "ac", false),
            ("ab", "abc", false),
            ("ab", "ab", true),
            ("a*a", "a", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
