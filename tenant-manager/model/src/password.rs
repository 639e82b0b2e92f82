//! Rules for passwords that people choose. Lengths are counted in characters,
//! the upper bound in bytes, so that hashing has a bound.

/// Fewest characters of an account's password.
const ACCOUNT_MIN: usize = 10;
/// Fewest characters of a node's password.
const NODE_MIN: usize = 8;
/// Most bytes of any password.
const MAX_BYTES: usize = 1024;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error("a password needs at least {0} characters")]
    TooShort(usize),
    /// Too many bytes.
    #[error("a password has at most 1024 bytes")]
    TooLong,
}

/// Checks the password of an account: 10 characters or more.
///
/// # Errors
/// [`PasswordError`].
pub fn check_account_password(password: &str) -> Result<(), PasswordError> {
    check(password, ACCOUNT_MIN)
}

/// Checks the password of a node's login page: 8 characters or more.
///
/// # Errors
/// [`PasswordError`].
pub fn check_node_password(password: &str) -> Result<(), PasswordError> {
    check(password, NODE_MIN)
}

fn check(password: &str, min: usize) -> Result<(), PasswordError> {
    if password.len() > MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    if password.chars().count() < min {
        return Err(PasswordError::TooShort(min));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(
            check_account_password("123456789"),
            Err(PasswordError::TooShort(10))
        );
        assert!(check_account_password("äöüäöüäöüä").is_ok());
        assert_eq!(
            check_node_password("äöüäöüä"),
            Err(PasswordError::TooShort(8))
        );
        assert!(check_node_password("12345678").is_ok());
        assert_eq!(
            check_node_password(&"a".repeat(1025)),
            Err(PasswordError::TooLong)
        );
    }
}
