//! Which mails belong together (RFC 5322, section 3.6.4).

use std::collections::HashMap;

use super::Mail;
use crate::vcon::Date;

/// The threads, in the order of their first mails; the mails of each in the order of their dates.
///
/// Two mails are of one thread when one names the other, or both name a third one, also one that is missing. The
/// subject says nothing: `Re: hello` is no thread. A mail that is there twice, as in the boxes of sender and recipient,
/// counts once.
pub fn threads(mails: Vec<Mail>) -> Vec<Vec<Mail>> {
    let mails = distinct(mails);
    let mut sets = Sets::default();
    let roots: Vec<usize> = mails.iter().enumerate().map(|(index, mail)| own_set(&mut sets, index, mail)).collect();
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut threads: Vec<Vec<Mail>> = Vec::new();
    for (mail, set) in mails.into_iter().zip(roots) {
        let place = *places.entry(sets.root(set)).or_insert_with(|| {
            threads.push(Vec::new());
            threads.len() - 1
        });
        threads[place].push(mail);
    }
    for thread in &mut threads {
        thread.sort_by_key(|mail| mail.date.as_deref().and_then(Date::parse).map(Date::timestamp));
    }
    threads
}

fn distinct(mails: Vec<Mail>) -> Vec<Mail> {
    let mut seen: HashMap<String, Vec<usize>> = HashMap::new();
    let mut kept: Vec<Mail> = Vec::with_capacity(mails.len());
    for mail in mails {
        if let Some(id) = &mail.id {
            let same = seen.entry(id.clone()).or_default();
            // Programs that make ids badly use one twice: those are two mails all the same.
            let is_copy = |index: &usize| kept[*index].date == mail.date && kept[*index].text == mail.text;
            if same.iter().any(is_copy) {
                continue;
            }
            same.push(kept.len());
        }
        kept.push(mail);
    }
    kept
}

fn own_set(sets: &mut Sets, index: usize, mail: &Mail) -> usize {
    let own = match &mail.id {
        Some(id) if !id.is_empty() => sets.of(id),
        // No text of an id holds a line end.
        _ => sets.of(&format!("\n{index}")),
    };
    for reference in mail.references.iter().filter(|id| !id.is_empty()) {
        let other = sets.of(reference);
        sets.join(own, other);
    }
    own
}

/// Disjoint sets of message ids.
#[derive(Default)]
struct Sets {
    numbers: HashMap<String, usize>,
    parents: Vec<usize>,
}

impl Sets {
    fn of(&mut self, id: &str) -> usize {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.parents.len();
        self.parents.push(number);
        self.numbers.insert(id.to_owned(), number);
        number
    }

    fn root(&mut self, mut number: usize) -> usize {
        while self.parents[number] != number {
            // Halving the path keeps it short.
            self.parents[number] = self.parents[self.parents[number]];
            number = self.parents[number];
        }
        number
    }

    fn join(&mut self, one: usize, two: usize) {
        let (one, two) = (self.root(one), self.root(two));
        self.parents[one.max(two)] = one.min(two);
    }
}
