//! Why single vCons failed: counted by reason, so that a million of the same take one line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::dlq::fingerprint;
use crate::cli::output::{self, number, plain};

/// So many reasons are kept apart.
const MOST: usize = 100;

/// Failures by reason.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reasons(BTreeMap<String, Reason>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reason {
    count: u64,
    example: String,
}

impl Reasons {
    /// Counts one.
    pub(crate) fn add(&mut self, what: &str, why: &str) {
        let mut reason = fingerprint(why);
        if self.0.len() >= MOST && !self.0.contains_key(&reason) {
            "other reasons".clone_into(&mut reason);
        }
        self.0.entry(reason).or_insert_with(|| Reason { count: 0, example: what.to_owned() }).count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For programs: the most frequent first.
    pub(crate) fn value(&self) -> Value {
        let rows = self.sorted();
        rows.iter().map(|(why, one)| json!({"reason": why, "count": one.count, "example": one.example})).collect()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut table = output::table(&["FAILED", "FOR EXAMPLE", "WHY"]);
        for (why, one) in self.sorted() {
            let excerpt: String = plain(why).chars().take(160).collect();
            table.add_row([number(one.count), plain(&one.example).into(), excerpt.into()]);
        }
        output::table_text(&table)
    }

    fn sorted(&self) -> Vec<(&str, &Reason)> {
        let mut rows: Vec<_> = self.0.iter().map(|(why, one)| (why.as_str(), one)).collect();
        rows.sort_by_key(|(_, one)| std::cmp::Reverse(one.count));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_ids_only_is_one_reason() {
        let mut reasons = Reasons::default();
        for number in 0..3 {
            reasons.add(&format!("vcon-{number}"), &format!("call {} is gone", 1_000_000 + number));
        }
        reasons.add("x", "other");
        assert_eq!(
            reasons.value(),
            json!([
                {"reason": "call # is gone", "count": 3, "example": "vcon-0"},
                {"reason": "other", "count": 1, "example": "x"},
            ])
        );
    }
}
