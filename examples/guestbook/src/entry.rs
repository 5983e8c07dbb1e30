use serde::{Deserialize, Serialize};

const LONGEST_NAME: usize = 60;
const LONGEST_MESSAGE: usize = 1000;

/// What one guest wrote.
#[derive(Debug, Deserialize, Serialize)]
pub struct Entry {
    pub name: String,
    pub message: String,
    /// Milliseconds since 1970.
    pub at: u64,
}

impl Entry {
    /// Fails with what to tell the guest.
    pub fn new(name: &str, message: &str, at: u64) -> Result<Self, String> {
        let (name, message) = (name.trim(), message.trim());
        if name.is_empty() {
            return Err("Please tell your name.".to_owned());
        }
        if message.is_empty() {
            return Err("Please write a message.".to_owned());
        }
        if name.chars().count() > LONGEST_NAME {
            return Err(format!(
                "A name has at most {LONGEST_NAME} characters here."
            ));
        }
        if message.chars().count() > LONGEST_MESSAGE {
            return Err(format!(
                "A message has at most {LONGEST_MESSAGE} characters here."
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            message: message.to_owned(),
            at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_is_dropped() {
        let entry = Entry::new(" Ada\n", "\tHello! ", 1).unwrap();
        assert_eq!(
            (entry.name.as_str(), entry.message.as_str()),
            ("Ada", "Hello!")
        );
    }

    #[test]
    fn empty_and_overlong_input_is_refused() {
        assert!(Entry::new("  ", "Hello", 1).is_err());
        assert!(Entry::new("Ada", "\n", 1).is_err());
        assert!(Entry::new(&"ä".repeat(LONGEST_NAME), "Hello", 1).is_ok());
        assert!(Entry::new(&"ä".repeat(LONGEST_NAME + 1), "Hello", 1).is_err());
        assert!(Entry::new("Ada", &"ä".repeat(LONGEST_MESSAGE + 1), 1).is_err());
    }
}
