//! How a run deviates from its chain: what an operator who puts it on a list wants to be different for this run alone.

use serde::{Deserialize, Serialize};

/// What is different for one run. It is a part of the run's ledger, so it holds through crash, retry, park and dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deviation {
    /// The link to begin with; those before it are not executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_link: Option<String>,
    /// Links that are not executed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// Options of links, as they were written: `LINK.options.NAME=VALUE`. Placeholders such as `${env:KEY}` are replaced by
    /// the conductor, so that no secret is kept here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
}

impl Deviation {
    /// Whether the run goes its chain's usual way.
    pub fn is_none(&self) -> bool {
        self.from_link.is_none() && self.skip.is_empty() && self.set.is_empty()
    }

    /// This one with another put over it: links to skip are added, and what is set last holds.
    #[must_use]
    pub fn and(&self, over: &Deviation) -> Deviation {
        let name = |setting: &String| setting.split_once('=').map_or(setting.clone(), |(name, _)| name.to_owned());
        let mut both = self.clone();
        both.from_link = over.from_link.clone().or(both.from_link);
        both.skip.extend(over.skip.iter().filter(|link| !self.skip.contains(link)).cloned());
        both.set.retain(|setting| over.set.iter().all(|newer| name(newer) != name(setting)));
        both.set.extend(over.set.iter().cloned());
        both
    }

    /// What is different, one thing a line, as it is written on a command line.
    pub fn lines(&self) -> Vec<String> {
        let from = self.from_link.iter().map(|link| format!("--from-link {link}"));
        let skip = self.skip.iter().map(|link| format!("--skip-link {link}"));
        let set = self.set.iter().map(|setting| format!("--set {setting}"));
        from.chain(skip).chain(set).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deviation(from: Option<&str>, skip: &[&str], set: &[&str]) -> Deviation {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Deviation { from_link: from.map(str::to_owned), skip: texts(skip), set: texts(set) }
    }

    #[test]
    fn what_is_asked_last_holds() {
        let first = deviation(Some("a"), &["x"], &["l.options.m=1", "l.options.n=1"]);
        let second = deviation(None, &["x", "y"], &["l.options.m=2"]);
        assert_eq!(first.and(&second), deviation(Some("a"), &["x", "y"], &["l.options.n=1", "l.options.m=2"]));
        assert_eq!(first.and(&Deviation::default()), first);
        assert_eq!(Deviation::default().and(&first), first);
    }

    #[test]
    fn ledgers_that_know_nothing_of_it_stay_as_they_are() {
        let old = r#"{"chain":"a","stage":"links"}"#;
        let ledger: super::super::Ledger = serde_json::from_str(old).unwrap();
        assert!(ledger.deviation.is_none());
        assert_eq!(serde_json::to_string(&ledger).unwrap(), old);
    }
}
