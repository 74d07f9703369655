//! Keys by the slot in which they lie.

use super::super::keys as names;

/// Keys in the slot of a list.
#[derive(Debug, Clone)]
pub struct List {
    name: String,
    base: String,
}

impl List {
    /// Those of a list.
    pub fn of(name: &str) -> Self {
        List { name: name.to_owned(), base: names::base(name) }
    }

    fn beside(&self, what: &str) -> String {
        format!("{}:{what}", self.base)
    }

    /// The list itself, as producers know it.
    pub fn list(&self) -> String {
        self.name.clone()
    }

    /// The lease of a process on this list; it expires by itself.
    pub fn alive(&self, process: &str) -> String {
        self.beside(&format!("alive:{process}"))
    }

    /// Is there while the list is paused.
    pub fn paused(&self) -> String {
        self.beside("paused")
    }

    /// Runs that came back, by entry.
    pub fn returned(&self) -> String {
        self.beside("returned")
    }

    /// Runs that wait for a time.
    pub fn due(&self) -> String {
        self.beside("due")
    }

    /// The number of the last entry.
    pub fn entry(&self) -> String {
        self.beside("entry")
    }

    /// The runs of one claim, `<process>:<batch>`.
    pub fn wip(&self, name: &str) -> String {
        names::wip(&self.base, name)
    }

    /// The names of all claims.
    pub fn wips(&self) -> String {
        names::wips(&self.base)
    }

    /// How often runs took their process with them.
    pub fn crashes(&self) -> String {
        self.beside("crashes")
    }

    /// What is to happen in other slots.
    pub fn outbox(&self) -> String {
        self.beside("outbox")
    }

    /// Is there when an entry of an outbox that appends to this list was carried out.
    pub fn mark(&self, entry: &str) -> String {
        self.beside(&format!("moved:{entry}"))
    }
}

/// Keys in the slot of a vCon.
#[derive(Debug, Clone)]
pub struct Vcon {
    uuid: String,
}

impl Vcon {
    /// Those of a vCon.
    pub fn of(uuid: &str) -> Self {
        Vcon { uuid: uuid.to_owned() }
    }

    /// The document.
    pub fn document(&self) -> String {
        names::document(&self.uuid)
    }

    /// The run that may write, and its claim.
    pub fn writer(&self) -> String {
        names::writer(&self.uuid)
    }

    /// How long the document is kept after its last run.
    pub fn keep(&self) -> String {
        names::keep(&self.uuid)
    }

    /// The revision of the document.
    pub fn revision(&self) -> String {
        names::revision(&self.uuid)
    }

    /// The ledger of a run.
    pub fn ledger(&self, run: &str) -> String {
        names::ledger(&self.uuid, run)
    }
}
