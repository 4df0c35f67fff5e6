use std::io::Read;

use ureq::Agent;
use ureq::http::{Request, Response};

use super::{Address, CONNECT, Error, OVERALL, agent, tls_config};

/// Bytes of a text.
const LARGEST: u64 = 64 * 1024;

/// A text at a URL of anybody's: read with GET, written with PUT. It has no `Debug`, as the URL may be what opens it.
pub struct TextAt {
    address: Address,
    url: String,
    agent: Agent,
}

impl TextAt {
    /// Notes where a text is, without any use of the network.
    ///
    /// # Errors
    /// [`Error::Setting`] if the URL is none, or leads over a network in clear, or no authority can be read.
    pub fn new(url: &str) -> Result<Self, Error> {
        let address = Address::parse(origin(url))?;
        if !address.is_https() && !address.is_loopback() {
            return Err(Error::Setting(format!("{} is not https://", address.url())));
        }
        let tls = tls_config(&address, None, None)?;
        let agent = agent(&address, &tls, CONNECT, OVERALL);
        Ok(Self { url: url.to_owned(), address, agent })
    }

    /// Its scheme and host. What follows may be what opens it, and is not told.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.address.url()
    }

    /// The text; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Protocol`] for another status than those of success, 404 and 410; otherwise those of the network.
    pub fn read(&self) -> Result<Option<String>, Error> {
        let request = Request::builder().method("GET").uri(&self.url).body(());
        let mut response = self.sent(request.map_err(ureq::Error::from).and_then(|it| self.agent.run(it)))?;
        if matches!(response.status().as_u16(), 404 | 410) {
            return Ok(None);
        }
        self.must_succeed(response.status().as_u16())?;
        let mut text = String::new();
        let mut reader = response.body_mut().with_config().limit(LARGEST).reader();
        let read = reader.read_to_string(&mut text);
        read.map_err(|error| Error::of_transport(self.origin(), ureq::Error::from(error)))?;
        Ok(Some(text))
    }

    /// Writes it, in place of what is there.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(&self, text: &str) -> Result<(), Error> {
        let request = Request::builder()
            .method("PUT")
            .uri(&self.url)
            .header("content-type", "text/plain; charset=utf-8");
        let request = request.body(text).map_err(ureq::Error::from);
        let response = self.sent(request.and_then(|request| self.agent.run(request)))?;
        self.must_succeed(response.status().as_u16())
    }

    fn sent(&self, sent: Result<Response<ureq::Body>, ureq::Error>) -> Result<Response<ureq::Body>, Error> {
        sent.map_err(|error| Error::of_transport(self.origin(), error))
    }

    fn must_succeed(&self, status: u16) -> Result<(), Error> {
        if (200..300).contains(&status) {
            return Ok(());
        }
        Err(Error::Protocol(format!("{} answers with status {status}", self.origin())))
    }
}

/// The scheme and the host of a URL.
#[must_use]
pub fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    // A user and a password, which such a URL is refused for.
    match url[host..end].rfind('@') {
        Some(_) => &url[..host],
        None => &url[..end],
    }
}
