//! What a key opens.

use std::fmt;
use std::str::FromStr;

/// What a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Reading vCons, queues and figures.
    Read,
    /// Taking in, changing and deleting vCons, moving them between lists.
    Write,
    /// Handing vCons in on one ingress list, and nothing else.
    Ingress(String),
    /// Everything, the configuration included.
    Admin,
}

impl Scope {
    /// Whether whoever has this scope may do what needs `other`.
    pub(super) fn includes(&self, other: &Scope) -> bool {
        self == other || *self == Scope::Admin || (*self == Scope::Write && matches!(other, Scope::Ingress(_)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Read => f.write_str("read"),
            Scope::Write => f.write_str("write"),
            Scope::Ingress(list) => write!(f, "ingress:{list}"),
            Scope::Admin => f.write_str("admin"),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Scope::Read),
            "write" => Ok(Scope::Write),
            "admin" => Ok(Scope::Admin),
            other => match other.strip_prefix("ingress:") {
                Some(list) if !list.trim().is_empty() => Ok(Scope::Ingress(list.to_owned())),
                _ => Err(format!("{text:?} is no scope; write read, write, admin or ingress:LIST")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["read", "write", "admin", "ingress:calls"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for text in ["", "READ", "ingress", "ingress:", "ingress: ", "all"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_a_scope_says_is_open() {
        let calls = Scope::Ingress("calls".to_owned());
        for other in [Scope::Read, Scope::Write, calls.clone(), Scope::Admin] {
            assert!(Scope::Admin.includes(&other));
        }
        assert!(!Scope::Read.includes(&Scope::Write) && !Scope::Write.includes(&Scope::Read));
        assert!(Scope::Write.includes(&calls) && !Scope::Read.includes(&calls));
        assert!(calls.includes(&calls) && !calls.includes(&Scope::Ingress("chats".to_owned())));
        assert!(!calls.includes(&Scope::Read) && !calls.includes(&Scope::Write) && !calls.includes(&Scope::Admin));
    }
}
