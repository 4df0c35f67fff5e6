//! A slot key sealed by a key of AWS KMS. That key stays there; what is kept here is its ciphertext.
//!
//! What opens the way are the credentials that any program of AWS finds: the environment, profiles, a web identity, the container, the
//! machine.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::ProvideCredentials;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use serde::{Deserialize, Serialize};
use strongroom_crypto::{SlotKey, SlotKind, SlotPublicKey, slot_key_context};
use zeroize::Zeroizing;

use crate::{Error, key_of, opener};

pub use crate::KmsConfig as Config;

/// Time for one call with its answer, of which two are tried; and for all of it, with looking for credentials.
const CALL: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(3);
const OVERALL: Duration = Duration::from_secs(15);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opener {
    ciphertext: String,
}

/// Seals a slot key; gives the opener.
///
/// # Errors
/// [`Error::Configuration`], [`Error::Unreachable`], [`Error::ServiceRefused`].
pub fn seal(config: &Config, key: &SlotKey) -> Result<String, Error> {
    // To be sealed is what the key was taken for.
    let plaintext = Blob::new(key.expose_secret());
    let answer = run(config, async |client| {
        let request = client.encrypt().key_id(&config.key).plaintext(plaintext);
        let request = request.set_encryption_context(Some(bound_to(key.public())));
        request.send().await.map_err(|error| failed(config, error))
    })?;
    let ciphertext = answer.ciphertext_blob.ok_or_else(|| strange(config))?.into_inner();
    opener::view(&Opener { ciphertext: opener::encode(&ciphertext) })
}

/// Opens the slot key of that public key.
///
/// # Errors
/// Those of [`seal`]; [`Error::Opener`]; [`Error::Refused`] for what another key sealed, or for another slot.
pub fn open(config: &Config, text: &str, public: &SlotPublicKey) -> Result<SlotKey, Error> {
    let Opener { ciphertext } = opener::parse(text)?;
    let ciphertext = Blob::new(opener::decode(&ciphertext)?);
    let answer = run(config, async |client| {
        // The key is named, though the ciphertext says which it was: what another key of the account sealed is refused.
        let request = client.decrypt().key_id(&config.key).ciphertext_blob(ciphertext);
        let request = request.set_encryption_context(Some(bound_to(public)));
        request.send().await.map_err(|error| failed(config, error))
    })?;
    let bytes =
        answer.plaintext.map(|plain| Zeroizing::new(plain.into_inner())).ok_or_else(|| strange(config))?;
    key_of(public, &bytes)
}

/// What AWS writes into its log beside each use of the key.
fn bound_to(public: &SlotPublicKey) -> HashMap<String, String> {
    let context = opener::encode(&slot_key_context(SlotKind::AwsKms, public));
    HashMap::from([("strongroom-slot".to_owned(), context)])
}

/// Finds region and credentials, and asks; all of it on this thread.
fn run<T>(config: &Config, ask: impl AsyncFnOnce(Client) -> Result<T, Error>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|_| Error::System)?.block_on(async {
        let all = async { ask(client(config).await?).await };
        let in_time = tokio::time::timeout(OVERALL, all).await;
        in_time.unwrap_or_else(|_| Err(unreachable(config, "no answer in time")))
    })
}

async fn client(config: &Config) -> Result<Client, Error> {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(CALL).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(2));
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let loaded = loader.load().await;
    if loaded.region().is_none() {
        return Err(Error::Configuration("AWS KMS: no region is known: give --aws-kms-region".to_owned()));
    }
    // Asked for first: what is missing here shows later as one failure of many.
    let none = || refused(config, "there are no credentials: the environment, a profile or a role has them");
    let credentials = loaded.credentials_provider().ok_or_else(none)?;
    credentials.provide_credentials().await.map_err(|_| none())?;
    Ok(Client::new(&loaded))
}

fn service(config: &Config) -> String {
    config.endpoint.as_ref().map_or_else(|| "AWS KMS".to_owned(), |endpoint| format!("AWS KMS at {endpoint}"))
}

fn refused(config: &Config, why: impl Into<String>) -> Error {
    Error::ServiceRefused { service: service(config), why: why.into() }
}

fn unreachable(config: &Config, why: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::Unreachable { service: service(config), source: why.into() }
}

fn strange(config: &Config) -> Error {
    refused(config, "the answer has another shape than that of KMS")
}

fn failed<E, R>(config: &Config, error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(told) => refusal(config, told.err().code().unwrap_or("no code")),
        SdkError::TimeoutError(_) => unreachable(config, "no answer in time"),
        SdkError::DispatchFailure(_) => unreachable(config, DisplayErrorContext(&error).to_string()),
        _ => refused(config, error.to_string()),
    }
}

fn refusal(config: &Config, code: &str) -> Error {
    let why = match code {
        "IncorrectKeyException" | "InvalidCiphertextException" => return Error::Refused,
        "AccessDeniedException" => "the credentials may not use that key: look at the policies of both",
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "ExpiredTokenException" => {
            "the credentials are not taken: look whether they are right, and still valid"
        }
        "NotFoundException" => "the key is not there: look at its name and the region",
        "DisabledException" => "the key is disabled: enable it",
        "KMSInvalidStateException" => "the key's state forbids it: look whether it is to be deleted",
        "InvalidKeyUsageException" => "the key is not for encrypting: make a symmetric one",
        _ => "look at its state",
    };
    refused(config, format!("{code}: {why}"))
}
