//! Key slots, and sealing.

use strongroom_wire as wire;

use super::{Client, Error, Method, segment};

const PATH: &str = "/strongroom/key_slots";

impl Client {
    /// All key slots, the oldest first.
    ///
    /// # Errors
    /// Those of [`Client::call`], as for every method here.
    pub fn key_slots(&self) -> Result<Vec<wire::KeySlot>, Error> {
        let list: wire::KeySlotList = self.send::<()>(Method::Get, PATH, &[], None)?.json()?;
        Ok(list.key_slots)
    }

    /// Adds a key slot.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn key_slot_create(&self, slot: &wire::KeySlotCreate) -> Result<wire::KeySlot, Error> {
        self.send(Method::Post, PATH, &[], Some(slot))?.json()
    }

    /// Removes a key slot.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn key_slot_delete(&self, id: &str) -> Result<(), Error> {
        self.send::<()>(Method::Delete, &format!("{PATH}/{}", segment(id)), &[], None).map(drop)
    }

    /// Tries whether a key slot opens the root key.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn key_slot_test(&self, id: &str, with: &wire::Unseal) -> Result<wire::KeySlotTested, Error> {
        self.send(Method::Post, &format!("{PATH}/{}/test", segment(id)), &[], Some(with))?.json()
    }

    /// Seals the server.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn seal(&self) -> Result<wire::Seal, Error> {
        self.send::<()>(Method::Post, "/strongroom/seal", &[], None)?.json()
    }
}
