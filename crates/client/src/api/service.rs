use std::io::Read;
use std::path::Path;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;
use zeroize::Zeroizing;

use super::{Address, CONNECT, Error, OVERALL, agent, tls_config};

/// Bytes of an answer.
const LARGEST: u64 = 64 * 1024;

/// A service of somebody else's that speaks JSON. It waits 5 s for a connection and 30 s for an answer, and follows no redirect.
pub struct Service {
    address: Address,
    agent: Agent,
}

impl Service {
    /// Notes where it is, without any use of the network: `http(s)://host[:port]`, and a PEM file with the authorities to trust
    /// in place of the system's own.
    ///
    /// # Errors
    /// [`Error::Setting`] if the URL is none, or leads over a network in clear, or no authority can be read.
    pub fn new(url: &str, ca: Option<&Path>) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        if !address.is_https() && !address.is_loopback() {
            return Err(Error::Setting(format!("{} is not https://", address.url())));
        }
        let tls = tls_config(&address, ca, None)?;
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
        let failed = |error: ureq::Error| Error::of_transport(self.url(), error);
        let body = serde_json::to_vec(body).map(Zeroizing::new);
        let body =
            body.map_err(|error| Error::Protocol(format!("the request cannot be written: {error}")))?;
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}{path}", self.url()))
            .header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(&body[..]).map_err(|error| failed(error.into()))?;
        let mut response = self.agent.run(request).map_err(failed)?;
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        let mut reader = response.body_mut().with_config().limit(LARGEST).reader();
        reader.read_to_end(&mut text).map_err(|error| failed(error.into()))?;
        Ok((response.status().as_u16(), serde_json::from_slice(&text).unwrap_or(Value::Null)))
    }
}
