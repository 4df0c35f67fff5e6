//! A server that is sealed: it can be asked and unsealed without a key.

use std::path::Path;

use strongroom_wire as wire;
use ureq::Agent;
use ureq::http::Request;
use zeroize::Zeroizing;

use super::{Address, CONNECT, Error, Identity, Method, OVERALL, Refusal, agent, tls_config};

/// Bytes of an answer.
const LARGEST: u64 = 64 * 1024;

/// A server, asked without a key.
pub struct Sealed {
    address: Address,
    agent: Agent,
}

impl Sealed {
    /// Notes where it is, without any use of the network.
    ///
    /// # Errors
    /// [`Error::Setting`] if the URL is none, or leads over a network in clear, or a file cannot be read.
    pub fn new(url: &str, ca: Option<&Path>, identity: Option<&Identity>) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        if !address.is_https() && !address.is_loopback() {
            let why = "what unseals it would cross the network for everyone to read";
            return Err(Error::Setting(format!("{} is not https://, and {why}", address.url())));
        }
        let tls = tls_config(&address, ca, identity)?;
        let agent = agent(&address, &tls, CONNECT, OVERALL);
        Ok(Self { address, agent })
    }

    /// Whether it is sealed, and what unseals it.
    ///
    /// # Errors
    /// Every kind of [`Error`] but [`Error::Setting`].
    pub fn state(&self) -> Result<wire::Seal, Error> {
        self.call(Method::Get, "/strongroom/seal", b"")
    }

    /// Gives it what opens a key slot.
    ///
    /// # Errors
    /// Every kind of [`Error`] but [`Error::Setting`].
    pub fn unseal(&self, with: &wire::Unseal) -> Result<wire::Seal, Error> {
        let body = serde_json::to_vec(with).map(Zeroizing::new);
        let body =
            body.map_err(|error| Error::Protocol(format!("the request cannot be written: {error}")))?;
        self.call(Method::Post, "/strongroom/unseal", &body)
    }

    fn call(&self, method: Method, path: &str, body: &[u8]) -> Result<wire::Seal, Error> {
        let failed = |error: ureq::Error| Error::of_transport(self.address.url(), error);
        let request = Request::builder().method(method.as_str()).uri(format!("{}{path}", self.address.url()));
        let sent = match body {
            [] => request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
            body => request
                .header("content-type", "application/json")
                .body(body)
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
        };
        let mut response = sent.map_err(failed)?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(failed)?;
        match status {
            200 => serde_json::from_slice(&text)
                .map_err(|_| Error::Protocol("the answer has another shape than this API's".to_owned())),
            _ => Err(Error::Refused(Refusal::read(status, None, &text))),
        }
    }
}
