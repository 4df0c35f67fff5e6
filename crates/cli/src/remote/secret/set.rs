use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use strongroom_client::api::{self, Client};
use strongroom_client::reference::Reference;
use strongroom_wire as wire;
use zeroize::{Zeroize, Zeroizing};

use super::{Named, name};
use crate::failure::{Failure, Kind};
use crate::remote::api_key::end;
use crate::remote::input;
use crate::remote::output::Output;
use crate::units::Age;

#[derive(Args)]
pub(super) struct Set {
    #[command(flatten)]
    named: Named,
    /// A file that holds the value; - is standard input
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
    /// The value itself. Other users can read a command line: rather use --value-file
    #[arg(long, value_name = "TEXT", conflicts_with = "value_file", allow_hyphen_values = true)]
    value: Option<String>,
    /// Leave out one new line at the end of what a file or standard input holds
    #[arg(long)]
    trim: bool,
    /// What it is for, at most 255 bytes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    description: Option<String>,
    /// What to remember of it, at most 4096 bytes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    metadata: Option<String>,
    /// How long its value is given out, such as 90d or 12h [default: for ever, or as it was]
    #[arg(long, value_name = "TIME", conflicts_with = "expires_at")]
    expires_in: Option<Age>,
    /// When its value stops being given out, RFC 3339; '' takes the end away
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Make the vault if there is none
    #[arg(long)]
    create_vault: bool,
    /// A value where none belongs: clap would repeat it in its error.
    #[arg(hide = true)]
    misplaced: Vec<String>,
}

impl Set {
    pub(super) fn run(mut self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        if !self.misplaced.is_empty() {
            return Err(Failure::new(
                "a value does not go into the command line, which other users can read",
            )
            .todo("leave it out to be asked for it, or give it with --value-file or on standard input")
            .kind(Kind::Usage));
        }
        self.expires_at = end(self.expires_in, self.expires_at)?;
        let reference = self.named.secret.clone();
        let there = client.secret_find(&reference.vault, &reference.name)?;
        let vault_is_missing =
            self.create_vault && there.is_none() && client.vault_find(&reference.vault)?.is_none();
        let value = self.value(&reference)?;
        if vault_is_missing {
            client
                .vault_create(&wire::VaultCreate { name: reference.vault.clone(), ..Default::default() })?;
        }
        match there {
            Some(secret) => {
                let changed = self.change(client, &secret.id, value)?;
                output.print(&changed, || format!("{} is stored\n", name(&changed)))
            }
            None => {
                let made = self.make(client, &reference, value)?;
                output.print(&made, || format!("{} is made\n", name(&made)))
            }
        }
    }

    fn change(
        self,
        client: &Client,
        id: &str,
        mut value: Zeroizing<String>,
    ) -> Result<wire::Secret, Failure> {
        let mut change = wire::SecretUpdate {
            name: None,
            value: Some(std::mem::take(&mut *value)),
            description: self.description,
            metadata: self.metadata,
            expires_at: self.expires_at,
        };
        let changed = client.secret_update(id, &change);
        change.value.zeroize();
        Ok(changed?)
    }

    fn make(
        self,
        client: &Client,
        reference: &Reference,
        mut value: Zeroizing<String>,
    ) -> Result<wire::Secret, Failure> {
        let mut secret = wire::SecretCreate {
            name: reference.name.clone(),
            value: std::mem::take(&mut *value),
            vault_id: None,
            vault_name: Some(reference.vault.clone()),
            description: self.description,
            metadata: self.metadata,
            expires_at: self.expires_at,
        };
        let made = client.secret_create(&secret);
        secret.value.zeroize();
        made.map_err(|error| match error {
            api::Error::Refused(refusal) if refusal.status == 404 && !self.create_vault => {
                Failure::new(format!("there is no vault '{}' that this key can see", reference.vault))
                    .todo("add --create-vault to make it, or look at strongroom vault list")
                    .kind(Kind::Missing)
            }
            error => error.into(),
        })
    }

    fn value(&mut self, reference: &Reference) -> Result<Zeroizing<String>, Failure> {
        if let Some(value) = self.value.take() {
            input::warn_of_value();
            return Ok(Zeroizing::new(value));
        }
        let file = match self.value_file.take() {
            Some(file) => file,
            None if std::io::stdin().is_terminal() => return prompt(reference),
            None => PathBuf::from("-"),
        };
        let mut value = input::value_of_file(&file)?;
        if self.trim && value.ends_with('\n') {
            value.pop();
            if value.ends_with('\r') {
                value.pop();
            }
        }
        if value.is_empty() {
            return Err(Failure::new("the value is empty, and none may be").kind(Kind::Invalid));
        }
        Ok(value)
    }
}

fn prompt(reference: &Reference) -> Result<Zeroizing<String>, Failure> {
    let value = input::prompt_hidden(&format!("Value of {reference}: "))?;
    if value.is_empty() {
        return Err(Failure::new("the value is empty, and none may be").kind(Kind::Invalid));
    }
    let again = input::prompt_hidden("Once more: ")?;
    if *value != *again {
        return Err(Failure::new("the two are not the same; nothing was stored").kind(Kind::Invalid));
    }
    Ok(value)
}
