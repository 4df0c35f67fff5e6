//! A server that is sealed: it can be asked and unsealed without a key.

use std::path::Path;

use strongroom_wire as wire;

use super::{Error, Identity, Method, Refusal, Service};

/// A server, asked without a key.
pub struct Sealed(Service);

impl Sealed {
    /// Notes where it is, without any use of the network.
    ///
    /// # Errors
    /// [`Error::Setting`] if the URL is none, or leads over a network in clear, or a file cannot be read.
    pub fn new(url: &str, ca: Option<&Path>, identity: Option<&Identity>) -> Result<Self, Error> {
        Service::new(url, ca, identity).map(Self)
    }

    /// Whether it is sealed, and what unseals it.
    ///
    /// # Errors
    /// Every kind of [`Error`] but [`Error::Setting`].
    pub fn state(&self) -> Result<wire::Seal, Error> {
        self.call(Method::Get, "/strongroom/seal", None)
    }

    /// Gives it what opens a key slot.
    ///
    /// # Errors
    /// Every kind of [`Error`] but [`Error::Setting`].
    pub fn unseal(&self, with: &wire::Unseal) -> Result<wire::Seal, Error> {
        self.call(Method::Post, "/strongroom/unseal", Some(with))
    }

    /// Whether it is ready to answer: not sealed, and its store can be read.
    ///
    /// # Errors
    /// Every kind of [`Error`] but [`Error::Setting`].
    pub fn ready(&self) -> Result<(), Error> {
        self.probe("/readyz")
    }

    /// Whether it answers at all.
    ///
    /// # Errors
    /// Every kind of [`Error`] but [`Error::Setting`].
    pub fn live(&self) -> Result<(), Error> {
        self.probe("/healthz")
    }

    fn probe(&self, path: &str) -> Result<(), Error> {
        match self.0.send(Method::Get, path, &[], None::<&()>)? {
            (200, _) => Ok(()),
            (status, text) => Err(Error::Refused(Refusal::read(status, None, &text))),
        }
    }

    fn call(&self, method: Method, path: &str, body: Option<&wire::Unseal>) -> Result<wire::Seal, Error> {
        match self.0.send(method, path, &[], body)? {
            (200, text) => serde_json::from_slice(&text)
                .map_err(|_| Error::Protocol("the answer has another shape than this API's".to_owned())),
            (status, text) => Err(Error::Refused(Refusal::read(status, None, &text))),
        }
    }
}
