//! How safe what is taken in is before anybody is told so.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How safe a vCon and its places on lists must be before whoever gave it is told that it is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The server has it: as safe as the server keeps what it has.
    #[default]
    Memory,
    /// It is in the server's append-only file, on the disk.
    Aof,
    /// A replica has it, too.
    Replica,
}

impl Durability {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Memory => "memory",
            Durability::Aof => "aof",
            Durability::Replica => "replica",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Durability::Memory, Durability::Aof, Durability::Replica];
        let found = all.into_iter().find(|durability| durability.as_str() == text);
        found.ok_or_else(|| "write memory, aof or replica".to_owned())
    }
}
