//! Extractors. Their order in a handler's arguments is the order of the checks: who is asking, what about, then the body.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request};
use base64::Engine as _;
use http::request::Parts;
use http::{HeaderMap, header};
use strongroom_domain::answer::Repeatable;
use strongroom_domain::app::{App, LockOut};
use strongroom_domain::audit;
use strongroom_domain::caller::Caller;
use strongroom_domain::error::{BadCredential, Denial, Error, Noun};
use strongroom_domain::expected::Expected;
use strongroom_domain::ids::{
    ApiKeyId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, SecretId, ServiceUserId, VaultId,
    WebhookId,
};
use strongroom_domain::limits::Limits;
use strongroom_domain::page::Query;
use zeroize::Zeroizing;

use crate::Shared;
use crate::error::{Problem, Protocol};
use crate::front::Context;
use crate::metrics::{REFUSED, WARNED};
use crate::origin::Origin;
use crate::parse::body::{self, Fields};
use crate::parse::idempotency_key;
use crate::parse::query::Query as Parameters;
use crate::parse::{self, if_match, ip, list};
use crate::routes::ROUTES;
use crate::view::Next;

const VERSION_HEADER: &str = "ngrok-version";

/// A caller who showed a valid key and asked for a known version of the API.
pub(crate) struct Session {
    shared: Arc<Shared>,
    pub(crate) caller: Caller,
    pub(crate) origin: Origin,
}

impl Session {
    pub(crate) fn app(&self) -> &App {
        &self.shared.app
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.shared.app.limits()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Reads a list's query.
    pub(crate) fn list_query(&self, listed: &Listed, kind: &list::Kind) -> Result<(Query, Next), Problem> {
        list::query(listed.0.as_deref(), kind, self.shared.settings.lenient, self.app().clock())
    }

    /// Reads a query with those parameters and no others: it is none of ngrok's, whose clients leniency is for.
    pub(crate) fn query(
        &self,
        listed: &Listed,
        supported: &'static [&'static str],
    ) -> Result<Parameters, Problem> {
        Ok(Parameters::parse(listed.0.as_deref(), supported, false)?)
    }

    /// Reads the query of a deletion that may keep its own sender out.
    pub(crate) fn lock_out(&self, listed: &Listed) -> Result<LockOut, Problem> {
        let query = Parameters::parse(listed.0.as_deref(), ip::PARAMETERS, self.shared.settings.lenient)?;
        Ok(ip::lock_out(&query)?)
    }

    /// Reads a body with those fields; it comes without a query. A body may take its time: who sends it is looked at again.
    pub(crate) async fn fields(&mut self, request: Request, supported: &[&str]) -> Result<Fields, Problem> {
        Ok(self.fields_and_query(request, supported, &[]).await?.0)
    }

    /// The same of a change that may keep its own sender out.
    pub(crate) async fn fields_confirmed(
        &mut self,
        request: Request,
        supported: &[&str],
    ) -> Result<(Fields, LockOut), Problem> {
        let (fields, query) = self.fields_and_query(request, supported, ip::PARAMETERS).await?;
        Ok((fields, ip::lock_out(&query)?))
    }

    async fn fields_and_query(
        &mut self,
        request: Request,
        supported: &[&str],
        parameters: &'static [&'static str],
    ) -> Result<(Fields, Parameters), Problem> {
        body::check_content_type(request.headers())?;
        let (bytes, query) = self.read(request, parameters).await?;
        Ok((Fields::parse(&bytes, supported, self.shared.settings.lenient)?, query))
    }

    /// The same of a create, which may come again under a key of its sender's.
    pub(crate) async fn fields_to_create(
        &mut self,
        request: Request,
        route: &str,
        supported: &[&str],
    ) -> Result<(Fields, Option<Repeatable>), Problem> {
        let (fields, _, to) = self.create_and_query(request, route, supported, &[]).await?;
        Ok((fields, to))
    }

    /// The same of a create that may keep its own sender out.
    pub(crate) async fn fields_to_create_confirmed(
        &mut self,
        request: Request,
        route: &str,
        supported: &[&str],
    ) -> Result<(Fields, LockOut, Option<Repeatable>), Problem> {
        let (fields, query, to) = self.create_and_query(request, route, supported, ip::PARAMETERS).await?;
        Ok((fields, ip::lock_out(&query)?, to))
    }

    async fn create_and_query(
        &mut self,
        request: Request,
        route: &str,
        supported: &[&str],
        parameters: &'static [&'static str],
    ) -> Result<(Fields, Parameters, Option<Repeatable>), Problem> {
        body::check_content_type(request.headers())?;
        let key = idempotency_key::of(request.headers())?;
        let (bytes, query) = self.read(request, parameters).await?;
        let fields = Fields::parse(&bytes, supported, self.shared.settings.lenient)?;
        let app = self.app();
        let repeatable = key.map(|key| app.repeatable(&self.caller, route, &key, &bytes)).transpose()?;
        Ok((fields, query, repeatable.flatten()))
    }

    /// The same where a request without a body is one without fields.
    pub(crate) async fn fields_if_any(
        &mut self,
        request: Request,
        supported: &[&str],
    ) -> Result<Fields, Problem> {
        let typed = body::check_content_type(request.headers());
        let (bytes, _) = self.read(request, &[]).await?;
        if bytes.is_empty() {
            return Ok(Fields::none());
        }
        typed?;
        Ok(Fields::parse(&bytes, supported, self.shared.settings.lenient)?)
    }

    async fn read(
        &mut self,
        request: Request,
        parameters: &'static [&'static str],
    ) -> Result<(bytes::Bytes, Parameters), Problem> {
        let query = Parameters::parse(request.uri().query(), parameters, self.shared.settings.lenient)?;
        let read = body::read(request.into_body(), self.limits().request_body());
        let bytes = tokio::time::timeout(self.shared.settings.body_timeout, read)
            .await
            .map_err(|_| Protocol::BodyCutOff)??;
        let caller = self.app().refreshed(&self.caller).await?;
        self.caller = self.app().confirmed(caller).await?;
        Ok((bytes, query))
    }
}

impl FromRequestParts<Arc<Shared>> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Context>().cloned().unwrap_or_default();
        context.set_route(parts.extensions.get::<MatchedPath>().and_then(|path| known_route(path.as_str())));
        // Before all else: nothing of a request can be judged.
        if shared.app.is_sealed() {
            return Err(Error::Sealed.into());
        }
        let token = token_of(&parts.headers).map_err(Error::Unauthenticated)?;
        // Whoever is kept out uses up nothing of what the account may ask for.
        let shown = context.peer().certificate;
        let client = context.client()?;
        let admitted = async {
            let caller = shared.app.authenticate(token.as_str(), client, shown).await?;
            if parts.method.is_safe() { Ok(caller) } else { shared.app.confirmed(caller).await }
        };
        let caller = admitted.await.inspect_err(|error| {
            if let Error::Forbidden(Denial::Address { .. }) = error {
                shared.metrics.count_restricted(REFUSED);
            }
        })?;
        if let Some(restriction) = caller.warned() {
            shared.metrics.count_restricted(WARNED);
            context.set_warned(restriction);
        }
        if let Some(key) = caller.key() {
            context.set_key(key);
        }
        if let Some(rate) = &shared.rate {
            rate.count(caller.account())?;
        }
        check_version(&parts.headers)?;
        let own = || Origin::of_request(context.peer().scheme, &parts.uri, &parts.headers);
        let origin = shared.settings.external_url.clone().or_else(own).unwrap_or_else(Origin::none);
        Ok(Self { shared: shared.clone(), caller, origin })
    }
}

fn known_route(path: &str) -> Option<&'static str> {
    ROUTES.iter().map(|route| route.path).find(|known| *known == path)
}

/// A credential as it was sent, or as it was decoded from Basic.
enum Sent<'h> {
    Plain(&'h str),
    Decoded(Zeroizing<String>),
}

impl Sent<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Decoded(text) => text,
        }
    }
}

/// The token of an Authorization header: Bearer, or Basic with the token as user or as password.
fn token_of(headers: &HeaderMap) -> Result<Sent<'_>, BadCredential> {
    let value = headers.get(header::AUTHORIZATION).ok_or(BadCredential::Missing)?;
    let text = value.to_str().map_err(|_| BadCredential::Unparsable)?;
    let (scheme, credential) = text.trim_ascii().split_once(' ').ok_or(BadCredential::Unparsable)?;
    let credential = credential.trim_ascii();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Sent::Plain(credential));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(BadCredential::Unparsable);
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(credential);
    let pair = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()).map(Zeroizing::new);
    let pair = pair.ok_or(BadCredential::Unparsable)?;
    let (user, password) = pair.split_once(':').ok_or(BadCredential::Unparsable)?;
    Ok(Sent::Decoded(Zeroizing::new(if password.is_empty() { user } else { password }.to_owned())))
}

fn check_version(headers: &HeaderMap) -> Result<(), Protocol> {
    let version = headers.get(VERSION_HEADER).ok_or(Protocol::NoVersion)?;
    if version == "2" {
        return Ok(());
    }
    Err(Protocol::OtherVersion(String::from_utf8_lossy(version.as_bytes()).into_owned()))
}

fn refuse_query(query: Option<&str>, lenient: bool) -> Result<(), Protocol> {
    parse::query::Query::parse(query, &[], lenient).map(drop)
}

/// An id that stands in a path.
pub(crate) trait Identified: std::str::FromStr {
    const NOUN: Noun;
}

impl Identified for VaultId {
    const NOUN: Noun = Noun::Vault;
}

impl Identified for SecretId {
    const NOUN: Noun = Noun::Secret;
}

impl Identified for ApiKeyId {
    const NOUN: Noun = Noun::ApiKey;
}

impl Identified for ServiceUserId {
    const NOUN: Noun = Noun::ServiceUser;
}

impl Identified for WebhookId {
    const NOUN: Noun = Noun::Webhook;
}

impl Identified for IpPolicyId {
    const NOUN: Noun = Noun::IpPolicy;
}

impl Identified for IpPolicyRuleId {
    const NOUN: Noun = Noun::IpPolicyRule;
}

impl Identified for IpRestrictionId {
    const NOUN: Noun = Noun::IpRestriction;
}

impl Identified for KeySlotId {
    const NOUN: Noun = Noun::KeySlot;
}

/// The id in the path.
pub(crate) struct Item<T>(pub(crate) T);

impl<T: Identified> FromRequestParts<Arc<Shared>> for Item<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        // What does not even decode is no id either.
        let params = RawPathParams::from_request_parts(parts, shared).await.ok();
        let text = params.as_ref().and_then(|params| params.iter().next()).map_or("", |(_, text)| text);
        parse::id(T::NOUN, text).map(Self)
    }
}

/// What a change expects of the thing that it changes.
pub(crate) struct IfMatch(pub(crate) Expected);

impl FromRequestParts<Arc<Shared>> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, Problem> {
        Ok(Self(if_match::expected(&parts.headers)?))
    }
}

/// Where a request came from, as the audit log tells it.
pub(crate) struct Sender(pub(crate) audit::Client);

impl FromRequestParts<Arc<Shared>> for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Context>().cloned().unwrap_or_default();
        let user_agent = parts.headers.get(header::USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
        let user_agent = String::from_utf8_lossy(user_agent);
        Ok(Self(audit::Client::new(context.client()?, &user_agent)))
    }
}

/// The body of a request from somebody who has shown no key: who may ask from there, and no more bytes than it takes.
pub(crate) struct Unkeyed {
    pub(crate) fields: Fields,
    pub(crate) sender: audit::Client,
}

impl Unkeyed {
    /// Bytes of a body.
    const LARGEST: usize = 16 * 1024;

    /// Reads one with those fields.
    pub(crate) async fn read(
        shared: &Arc<Shared>,
        request: Request,
        supported: &[&str],
    ) -> Result<Self, Problem> {
        let (mut parts, content) = request.into_parts();
        let Sender(sender) = Sender::from_request_parts(&mut parts, shared).await?;
        shared.app.admits(sender.address).await.inspect_err(|_| shared.metrics.count_restricted(REFUSED))?;
        refuse_query(parts.uri.query(), shared.settings.lenient)?;
        body::check_content_type(&parts.headers)?;
        let read = tokio::time::timeout(shared.settings.body_timeout, body::read(content, Self::LARGEST));
        let bytes = read.await.map_err(|_| Protocol::BodyCutOff)??;
        let fields = Fields::parse(&bytes, supported, shared.settings.lenient)?;
        Ok(Self { fields, sender })
    }
}

/// A request with neither query nor body.
pub(crate) struct Bare;

impl FromRequest<Arc<Shared>> for Bare {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        refuse_query(request.uri().query(), shared.settings.lenient)?;
        body::refuse(request.method(), request.body())?;
        Ok(Self)
    }
}

/// A request with a query, raw, and no body.
pub(crate) struct Listed(Option<String>);

impl FromRequest<Arc<Shared>> for Listed {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Shared>) -> Result<Self, Problem> {
        body::refuse(request.method(), request.body())?;
        Ok(Self(request.uri().query().map(str::to_owned)))
    }
}
