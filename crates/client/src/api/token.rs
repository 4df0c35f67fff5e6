use zeroize::Zeroizing;

use super::Error;

/// An API key's token. It is zeroed when it is dropped, and has no `Debug`.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes a token, without the white space around it.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is empty, or cannot stand in a header: a token is of visible ASCII. What it is, is not
    /// told.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::Setting("the API key is empty".to_owned()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Setting(
                "the API key holds white space, or characters that no key has".to_owned(),
            ));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The same token for another client.
    pub(super) fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    /// The token itself.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_token_is_dropped_and_in_it_refused() {
        assert_eq!(Token::parse(" abc_DEF\n").unwrap().expose_secret(), "abc_DEF");
        for bad in ["", " \n", "abc def", "abc\ndef", "abç", "a\u{0}"] {
            let error = Token::parse(bad).err().unwrap().to_string();
            assert!(bad.trim().is_empty() || !error.contains(bad), "{error}");
        }
    }
}
