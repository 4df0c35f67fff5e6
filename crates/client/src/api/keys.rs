//! Vault keys and their rotation.

use strongroom_wire as wire;

use super::{Client, Error, Method, segment};

impl Client {
    /// The key of every vault.
    ///
    /// # Errors
    /// Those of [`Client::call`], as for every method here.
    pub fn keys(&self) -> Result<Vec<wire::VaultKey>, Error> {
        self.list::<wire::VaultKeyList>("/strongroom/keys", &[])
    }

    /// The root key, which wraps the keys of vaults.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn root_key(&self) -> Result<wire::RootKey, Error> {
        let page: wire::VaultKeyList =
            self.send::<()>(Method::Get, "/strongroom/keys", &[("limit", "1")], None)?.json()?;
        Ok(page.root_key)
    }

    /// Rotates the root key.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn root_key_rotate(&self) -> Result<wire::RootKeyRotated, Error> {
        self.send::<()>(Method::Post, "/strongroom/root_key/rotate", &[], None)?.json()
    }

    /// The key of a vault, by the vault's id.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn key(&self, vault: &str) -> Result<wire::VaultKey, Error> {
        self.send::<()>(Method::Get, &format!("/strongroom/keys/{}", segment(vault)), &[], None)?.json()
    }

    /// Begins to rotate keys of a vault.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn key_rotate(&self, vault: &str, which: &wire::KeyRotate) -> Result<wire::VaultKey, Error> {
        let path = format!("/strongroom/keys/{}/rotate", segment(vault));
        self.send(Method::Post, &path, &[], Some(which))?.json()
    }
}
