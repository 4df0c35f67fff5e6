use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;
use zeroize::Zeroizing;

use super::{Address, CONNECT, Error, Identity, Method, OVERALL, agent, tls_config};

/// Bytes of an answer.
const LARGEST: u64 = 64 * 1024;

/// Something that speaks JSON and is asked without a token of ours. It waits 5 s for a connection and 30 s for an answer, and follows
/// no redirect.
pub struct Service {
    address: Address,
    agent: Agent,
}

impl Service {
    /// Notes where it is, without any use of the network: `http(s)://host[:port]`, a PEM file with the authorities to trust in place
    /// of the system's own, and the certificate to show it.
    ///
    /// # Errors
    /// [`Error::Setting`] if the URL is none, or leads over a network in clear, or a file cannot be read.
    pub fn new(url: &str, ca: Option<&Path>, identity: Option<&Identity>) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        if !address.is_https() && !address.is_loopback() {
            let why = "what is sent there is not for everyone on the way to read";
            return Err(Error::Setting(format!("{} is not https://, and {why}", address.url())));
        }
        let tls = tls_config(&address, ca, identity)?;
        let agent = agent(&address, &tls, CONNECT, OVERALL);
        Ok(Self { address, agent })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.address.url()
    }

    /// Posts a body, and gives the status and the body of the answer; `Null` for one that is no JSON.
    ///
    /// # Errors
    /// Those of the network.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<(u16, Value), Error> {
        let (status, text) = self.send(Method::Post, path, headers, Some(body))?;
        Ok((status, serde_json::from_slice(&text).unwrap_or(Value::Null)))
    }

    /// Sends one request, and gives the status and the bytes of the answer.
    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), Error> {
        let failed = |error: ureq::Error| Error::of_transport(self.url(), error);
        let request = Request::builder().method(method.as_str()).uri(format!("{}{path}", self.url()));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let sent = match body {
            None => request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
            Some(body) => {
                let body = serde_json::to_vec(body).map(Zeroizing::new);
                let body =
                    body.map_err(|error| Error::Protocol(format!("the request cannot be written: {error}")))?;
                let request = request.header("content-type", "application/json").body(&body[..]);
                request.map_err(ureq::Error::from).and_then(|request| self.agent.run(request))
            }
        };
        let mut response = sent.map_err(failed)?;
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        let mut reader = response.body_mut().with_config().limit(LARGEST).reader();
        reader.read_to_end(&mut text).map_err(|error| failed(error.into()))?;
        Ok((response.status().as_u16(), text))
    }
}
