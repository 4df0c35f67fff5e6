//! Drives the official `ngrok-api` crate against the server in `STRONGROOM_URL`, with the key in `STRONGROOM_API_KEY`.
//!
//! That client decodes strictly: a string that is missing or null anywhere fails here. It prints a line for each case
//! and ends with `N passed, N failed`.

#![allow(clippy::print_stdout)]

use std::future::Future;
use std::process::ExitCode;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use ngrok_api::types::{
    APIKeyCreate, APIKeyUpdate, BotUserCreate, BotUserUpdate, FilteredPaging, ItemPaging, Paging, Secret,
    SecretCreate, SecretUpdate, ServiceUserCreate, ServiceUserUpdate, Vault, VaultCreate, VaultUpdate,
};
use ngrok_api::{Client, ClientBuilder, Error};
use url::Url;

/// Why a case failed.
type Failure = Box<dyn std::error::Error>;
type Outcome = Result<(), Failure>;

const UNKNOWN: &str = "32ELIL9nzEhwlvjSpNSI6xXGNcE";
const MANY: usize = 250;

/// Ends the case unless both are equal.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, expected {expected:?}").into()) }
}

/// Expects ngrok's error of this code; a 404 may have none.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: &str) -> Outcome {
    match result {
        Err(Error::Ngrok(error)) => equal("error code", error.error_code.as_str(), code),
        // The client cannot decode an error without a code, as the real service's 404 is, and hands on the text.
        Err(Error::UnknownError(text)) if code.is_empty() => equal("a 404", text.contains("404"), true),
        other => Err(format!("expected {code}, found {other:?}").into()),
    }
}

struct Suite {
    client: Client,
    url: Url,
    passed: u32,
    failed: u32,
}

impl Suite {
    async fn run(&mut self, name: &str, case: impl Future<Output = Outcome>) {
        match case.await {
            Ok(()) => {
                self.passed += 1;
                println!("pass  Rust 0.12.1: {name}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAIL  Rust 0.12.1: {name}: {error}");
            }
        }
    }
}

fn client_with(key: &str, url: &Url) -> Client {
    let mut builder = ClientBuilder::new(key.to_owned());
    builder.api_url(url.clone());
    builder.build()
}

async fn make_vault(client: &Client, name: &str) -> Result<Vault, Error> {
    let name = format!("rust-{name}-{}", std::process::id());
    client.vaults().create(&VaultCreate { name, ..VaultCreate::default() }).await
}

async fn make_secret(client: &Client, vault: &Vault, name: &str) -> Result<Secret, Error> {
    let secret = SecretCreate {
        name: name.to_owned(),
        value: "v".to_owned(),
        vault_id: vault.id.clone(),
        ..SecretCreate::default()
    };
    client.secrets().create(&secret).await
}

async fn vaults(client: &Client) -> Outcome {
    let vault = make_vault(client, "vault").await?;
    equal("unset", (vault.description.as_str(), vault.metadata.as_str()), ("", ""))?;
    let described =
        VaultUpdate { id: vault.id.clone(), description: Some("d".to_owned()), ..VaultUpdate::default() };
    let changed = client.vaults().update(&described).await?;
    equal("changed", (changed.description.as_str(), &changed.name), ("d", &vault.name))?;
    let cleared = VaultUpdate { description: Some(String::new()), ..described };
    equal("cleared", client.vaults().update(&cleared).await?.description.as_str(), "")?;
    let same =
        client.vaults().update(&VaultUpdate { id: vault.id.clone(), ..VaultUpdate::default() }).await?;
    equal("nothing but nulls", (&same.name, &same.created_at), (&vault.name, &vault.created_at))?;
    client.vaults().delete(&vault.id).await?;
    refused(client.vaults().get(&vault.id).await, "")
}

async fn secrets(client: &Client) -> Outcome {
    let vault = make_vault(client, "secrets").await?;
    let secret = make_secret(client, &vault, "s").await?;
    equal(
        "vault",
        (&secret.vault.id, &secret.vault.uri, &secret.vault_name),
        (&vault.id, &vault.uri, &vault.name),
    )?;
    equal("made by", (&secret.created_by.id, secret.created_by.uri.as_str()), (&vault.created_by, ""))?;
    let by_name = SecretCreate {
        name: "t".to_owned(),
        value: "v".to_owned(),
        vault_name: vault.name.clone(),
        ..SecretCreate::default()
    };
    equal("by name", client.secrets().create(&by_name).await?.vault.id, vault.id.clone())?;
    let update = SecretUpdate {
        id: secret.id.clone(),
        value: Some("w".to_owned()),
        metadata: Some("m".to_owned()),
        ..SecretUpdate::default()
    };
    let changed = client.secrets().update(&update).await?;
    equal("changed", (changed.metadata.as_str(), changed.name.as_str()), ("m", "s"))?;
    let cleared = SecretUpdate { metadata: Some(String::new()), ..update };
    equal("cleared", client.secrets().update(&cleared).await?.metadata.as_str(), "")?;
    refused(client.vaults().delete(&vault.id).await, "ERR_NGROK_23003")?;
    client.secrets().delete(&secret.id).await?;
    refused(client.secrets().get(&secret.id).await, "")
}

/// The ids of a stream, which ends at its first error.
async fn ids<T>(
    stream: impl Stream<Item = Result<T, Error>>,
    id: fn(T) -> String,
) -> Result<Vec<String>, Error> {
    stream.map_ok(id).try_collect().await
}

async fn paging(client: &Client) -> Outcome {
    let vault = make_vault(client, "paging").await?;
    let mut expected = Vec::new();
    for n in 0..MANY {
        expected.push(make_secret(client, &vault, &format!("s{n}")).await?.id);
    }
    expected.reverse();
    for limit in [None, Some("7".to_owned()), Some("100".to_owned())] {
        let paging = ItemPaging { id: vault.id.clone(), limit: limit.clone(), before_id: None };
        let by_vault = client.vaults().get_secrets_by_vault(paging).secrets().await;
        equal("by vault", &ids(by_vault, |secret| secret.id).await?, &expected)?;
        let filter = Some(format!("obj.vault_name == \"{}\"", vault.name));
        let paging = FilteredPaging { limit, filter, before_id: None };
        let filtered = client.secrets().list(paging).secrets().await;
        equal("filtered", &ids(filtered, |secret| secret.id).await?, &expected)?;
    }
    let first_pages = client.vaults().list(FilteredPaging::default()).pages().await;
    let pages: Vec<_> = first_pages.take(1).try_collect().await?;
    equal("the list's own uri", pages[0].uri.ends_with("/vaults"), true)
}

async fn errors(client: &Client, url: &Url) -> Outcome {
    let vault = make_vault(client, "errors").await?;
    let named = |name: &str| VaultCreate { name: name.to_owned(), ..VaultCreate::default() };
    refused(client.vaults().create(&named(&vault.name)).await, "ERR_NGROK_23004")?;
    refused(client.vaults().create(&named("no spaces")).await, "ERR_NGROK_23000")?;
    refused(client.vaults().create(&named("")).await, "ERR_NGROK_23001")?;
    refused(client.vaults().get("1000").await, "ERR_NGROK_222")?;
    refused(client.vaults().get(&format!("vault_{UNKNOWN}")).await, "")?;
    let unknown_vault = Vault { id: format!("vault_{UNKNOWN}"), ..Vault::default() };
    refused(make_secret(client, &unknown_vault, "s").await, "ERR_NGROK_24006")?;
    make_secret(client, &vault, "s").await?;
    refused(make_secret(client, &vault, "s").await, "ERR_NGROK_24005")?;
    let stranger = client_with(&format!("{UNKNOWN}_59G1nFjCYtpoGt8Fp41Fm"), url);
    refused(make_vault(&stranger, "stranger").await, "ERR_NGROK_203")
}

async fn api_keys(client: &Client, url: &Url) -> Outcome {
    let made = client.api_keys().create(&APIKeyCreate::default()).await?;
    let theirs = client_with(made.token.as_deref().ok_or("no token")?, url);
    equal("the token, later", theirs.api_keys().get(&made.id).await?.token, None)?;
    let update = APIKeyUpdate { id: made.id.clone(), description: Some("d".to_owned()), metadata: None };
    equal("changed", client.api_keys().update(&update).await?.description.as_str(), "d")?;
    let listed = client.api_keys().list(FilteredPaging::default()).keys().await;
    equal("listed", ids(listed, |key| key.id).await?.contains(&made.id), true)?;
    client.api_keys().delete(&made.id).await?;
    refused(theirs.api_keys().get(&made.id).await, "ERR_NGROK_203")
}

async fn bot_users(client: &Client) -> Outcome {
    let name = format!("rust bot {}", std::process::id());
    let made = client.bot_users().create(&BotUserCreate { name, active: None }).await?;
    equal("active", made.active, true)?;
    let update = BotUserUpdate { id: made.id.clone(), name: None, active: Some(false) };
    equal("inactive", client.bot_users().update(&update).await?.active, false)?;
    let listed = client.bot_users().list(Paging::default()).bot_users().await;
    equal("listed", ids(listed, |user| user.id).await?.contains(&made.id), true)?;
    client.bot_users().delete(&made.id).await?;
    refused(client.bot_users().get(&made.id).await, "")
}

async fn service_users(client: &Client) -> Outcome {
    let name = format!("rust service {}", std::process::id());
    let made = client.service_users().create(&ServiceUserCreate { name, active: Some(false) }).await?;
    equal("inactive", made.active, false)?;
    let update = ServiceUserUpdate { id: made.id.clone(), name: None, active: Some(true) };
    equal("active", client.service_users().update(&update).await?.active, true)?;
    let listed = client.service_users().list(FilteredPaging::default()).service_users().await;
    equal("listed", ids(listed, |user| user.id).await?.contains(&made.id), true)?;
    Ok(client.service_users().delete(&made.id).await?)
}

#[expect(clippy::disallowed_methods, reason = "where the server is, is told by whoever started it")]
fn suite_from_env() -> Result<Suite, Failure> {
    let url = Url::parse(&std::env::var("STRONGROOM_URL")?)?;
    let client = client_with(&std::env::var("STRONGROOM_API_KEY")?, &url);
    Ok(Suite { client, url, passed: 0, failed: 0 })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let mut suite = suite_from_env()?;
    let (client, url) = (suite.client.clone(), suite.url.clone());
    suite.run("vaults", vaults(&client)).await;
    suite.run("secrets", secrets(&client)).await;
    suite.run("paging", paging(&client)).await;
    suite.run("errors", errors(&client, &url)).await;
    suite.run("API keys", api_keys(&client, &url)).await;
    suite.run("bot users", bot_users(&client)).await;
    suite.run("service users", service_users(&client)).await;
    println!("{} passed, {} failed", suite.passed, suite.failed);
    Ok(if suite.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
