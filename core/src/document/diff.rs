//! The edits between two documents, for links that answer a whole document.

use std::collections::{HashMap, HashSet};

use super::pointer::child;
use super::{Document, Edit, Kind, View};

/// Edits that turn `before` into `after`, equal as JSON.
///
/// They are as fine as the members of the top level and the elements of arrays there: a new analysis is an append, and
/// a document that was only written anew (other white space, other spelling of numbers) gives none.
pub fn diff(before: &Document, after: &Document) -> Vec<Edit> {
    let (before, after) = (before.root(), after.root());
    if before.kind() != Kind::Object || after.kind() != Kind::Object {
        return if before.equals(after) { Vec::new() } else { vec![Edit::Replace(after.to_json())] };
    }
    let old_members: HashMap<_, _> = before.members().collect();
    let new_members: HashMap<_, _> = after.members().collect();
    let mut edits = Vec::new();
    let mut seen = HashSet::new();
    for (name, _) in before.members() {
        if !new_members.contains_key(&name) && seen.insert(name.clone()) {
            edits.push(Edit::Remove { pointer: child("", &name) });
        }
    }
    for (name, _) in after.members() {
        // Of members with one name the last one counts; it is compared once.
        let Some(&new) = new_members.get(&name).filter(|_| seen.insert(name.clone())) else { continue };
        let pointer = child("", &name);
        match old_members.get(&name) {
            Some(old) if old.equals(new) => {}
            Some(&old) if old.kind() == Kind::Array && new.kind() == Kind::Array => {
                elements(&pointer, old, new, &mut edits);
            }
            _ => edits.push(Edit::Set { pointer, value: new.to_json() }),
        }
    }
    edits
}

/// The edits between two arrays: changed elements, then those that are missing or new at the end.
fn elements(pointer: &str, before: View<'_>, after: View<'_>, edits: &mut Vec<Edit>) {
    let mut old = before.elements();
    let mut kept = 0;
    for (index, new) in after.elements().enumerate() {
        match old.next() {
            Some(old) => {
                kept += 1;
                if !old.equals(new) {
                    edits.push(Edit::Set { pointer: format!("{pointer}/{index}"), value: new.to_json() });
                }
            }
            None => edits.push(Edit::Append { pointer: pointer.to_owned(), value: new.to_json() }),
        }
    }
    let surplus = old.count();
    edits.extend((kept..kept + surplus).rev().map(|index| Edit::Remove { pointer: format!("{pointer}/{index}") }));
}
