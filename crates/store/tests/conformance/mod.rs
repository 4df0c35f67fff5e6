//! What a store has to do, whatever it is made of: plain functions over `&dyn Store`, each given a store that is new and
//! empty. A back end is done when all of them pass on it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
pub(crate) mod answers;
mod api_keys;
mod audit;
mod coherence;
mod concurrency;
pub(crate) mod deleted;
mod expiry;
pub(crate) mod house;
pub(crate) mod ip;
pub(crate) mod key_slots;
#[allow(dead_code, reason = "asked for by the tests of several nodes alone")]
pub(crate) mod revoked;
mod rotations;
mod secrets;
mod service_users;
pub(crate) mod values;
mod vaults;
mod versions;
mod webhooks;

use std::pin::Pin;

use strongroom_domain::store::Store;

/// One thing that a store has to do.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a dyn Store) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A list of cases out of the names of functions; a function that is in no list is dead code, and the compiler says so.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        &[$($crate::conformance::Case {
            name: concat!(module_path!(), "::", stringify!($name)),
            run: |store| Box::pin($name(store)),
        }),*]
    };
}
use cases;

/// Every case there is.
pub(crate) fn every_case() -> impl Iterator<Item = &'static Case> {
    [
        accounts::CASES,
        answers::CASES,
        vaults::CASES,
        values::CASES,
        secrets::CASES,
        versions::CASES,
        deleted::CASES,
        expiry::CASES,
        api_keys::CASES,
        service_users::CASES,
        key_slots::CASES,
        webhooks::CASES,
        ip::CASES,
        audit::CASES,
        concurrency::CASES,
        coherence::CASES,
        rotations::CASES,
    ]
    .into_iter()
    .flatten()
}
