//! Where randomness comes from.

use crate::CryptoError;

/// A source of cryptographic randomness. It is given to whoever needs it, so that a test can fix it.
pub trait Rng: Send + Sync {
    /// Fills `bytes` with randomness.
    ///
    /// # Errors
    /// [`CryptoError::Random`] when the source fails; `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError>;
}

/// The generator of the cryptographic library, seeded by the operating system.
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the library")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| CryptoError::Random)
    }
}
