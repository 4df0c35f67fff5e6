//! What a change expects of the thing that it is of.

use strongroom_crypto::Digest;

use crate::error::{Error, Result};

/// Bytes of a tag that clients are told.
pub const TAG: usize = 16;

/// Which states of a thing a change is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// The state with one of these tags.
    Tags(Vec<[u8; TAG]>),
}

impl Expected {
    /// Whether a state is one of them. Its tag is computed only if it is asked about.
    pub fn fits(&self, tag: impl FnOnce() -> Digest) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tag().first_chunk().is_some_and(|tag| tags.contains(tag)),
        }
    }

    /// Refuses a change of something that is not what the change is for.
    pub(crate) fn check(&self, tag: impl FnOnce() -> Digest) -> Result<()> {
        if self.fits(tag) { Ok(()) } else { Err(Error::Changed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_computed_only_where_one_is_expected() {
        assert!(Expected::Any.fits(|| unreachable!("nobody asks for it")));
        let mut tag = [7; 32];
        let expected = Expected::Tags(vec![[1; TAG], [7; TAG]]);
        assert!(expected.fits(|| tag));
        tag[TAG - 1] = 8;
        assert!(!expected.fits(|| tag) && !Expected::Tags(Vec::new()).fits(|| tag));
    }
}
