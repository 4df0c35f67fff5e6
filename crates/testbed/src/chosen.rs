/// Whether the tests that work on either kind of store are to work on PostgreSQL.
///
/// # Panics
/// If `STRONGROOM_TEST_STORE` is neither `postgres` nor `sqlite`, nor missing.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, which have no configuration")]
pub fn is_postgres() -> bool {
    match std::env::var("STRONGROOM_TEST_STORE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("STRONGROOM_TEST_STORE is postgres or sqlite, not {other}"),
    }
}
