//! Who took part.

use vconductor_core::vcon::{Party, Vcon};

use super::parts::Part;
use super::text::{line, without_query};

/// A party.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::show) struct Person {
    /// Its index in the vCon.
    pub(in crate::cli::show) index: usize,
    /// The name, else an address, else `Party 2`.
    pub(in crate::cli::show) name: String,
    /// Role, kind and organisation.
    pub(in crate::cli::show) role: String,
    /// Numbers and addresses that are not the name.
    pub(in crate::cli::show) address: String,
    /// Seconds of speech, where the transcripts tell.
    pub(in crate::cli::show) seconds: f64,
    /// The share of all speech, from 0 to 1.
    pub(in crate::cli::show) share: Option<f64>,
}

pub(super) fn people(vcon: &Vcon) -> Vec<Person> {
    vcon.parties().map(|party| person(&party)).collect()
}

fn person(party: &Party<'_>) -> Person {
    let own = |name: &str| party.entry().text(name).map(|text| line(&text)).filter(|text| !text.is_empty());
    let addresses: Vec<String> =
        ["tel", "mailto", "sip", "did"].into_iter().filter_map(own).map(|address| shown(&address)).collect();
    let name = own("name").or_else(|| addresses.first().cloned());
    let role: Vec<String> = ["role", "type", "dept", "org"].into_iter().filter_map(own).collect();
    let address: Vec<String> = addresses.into_iter().filter(|address| Some(address) != name.as_ref()).collect();
    Person {
        index: party.index(),
        name: name.unwrap_or_else(|| format!("Party {}", party.index())),
        role: role.join(", "),
        address: address.join(", "),
        ..Person::default()
    }
}

/// An address without the scheme that says what it is anyway.
fn shown(address: &str) -> String {
    let bare = ["tel:", "mailto:", "sip:"].iter().find_map(|scheme| address.strip_prefix(scheme));
    without_query(bare.unwrap_or(address))
}

/// Adds up how long each one speaks.
pub(super) fn count_time(people: &mut [Person], parts: &[Part]) {
    for said in parts.iter().flat_map(|part| &part.said) {
        if let (Some(index), Some(seconds)) = (said.person, said.seconds)
            && let Some(person) = people.iter_mut().find(|person| person.index == index)
        {
            person.seconds += seconds;
        }
    }
    let total: f64 = people.iter().map(|person| person.seconds).sum();
    if total > 0.0 {
        people.iter_mut().for_each(|person| person.share = Some(person.seconds / total));
    }
}

/// The name of a party of that index.
pub(super) fn name(people: &[Person], index: usize) -> String {
    let found = people.iter().find(|person| person.index == index);
    found.map_or_else(|| format!("Party {index}"), |person| person.name.clone())
}
