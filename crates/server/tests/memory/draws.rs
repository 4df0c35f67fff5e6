//! Randomness that the test can tell: what the server draws is a function of how often it drew.

use std::sync::Mutex;

use strongroom_crypto::{CryptoError, Rng};

/// Keeps how many bytes were drawn each time.
#[derive(Default)]
pub(crate) struct Draws(Mutex<Vec<usize>>);

impl Draws {
    /// What is drawn the nth time.
    pub(crate) fn bytes(nth: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        fill(nth, &mut bytes);
        bytes
    }

    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }
}

impl Rng for Draws {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        let mut lengths = self.0.lock().unwrap();
        fill(lengths.len(), bytes);
        lengths.push(bytes.len());
        Ok(())
    }
}

/// SplitMix64, started anew for each draw.
fn fill(nth: usize, bytes: &mut [u8]) {
    let mut state = (nth as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d);
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
    }
}
