//! JOSE headers: several JSON objects that together say how.

use serde_json::{Map, Value};

use super::encoding::decode;
use super::fault::{Fault, Reason};
use crate::document::{Document, Kind, View};

/// One header: where it stands, and its parameters.
struct Part {
    pointer: String,
    parameters: Map<String, Value>,
}

/// All headers that hold for one signature or recipient, the integrity-protected one first.
///
/// RFC 7515 and RFC 7516 want their names to be disjoint. The published vCon examples and most libraries repeat `alg`,
/// `enc` and `x5c` all the same: equal values are accepted, different ones are refused, and the protected one counts.
#[derive(Default)]
pub(super) struct Headers {
    parts: Vec<Part>,
    /// The pointer of the protected one, if it exists.
    protected: Option<String>,
}

impl Headers {
    /// Adds the protected header, which is an object in base64url, or an empty string.
    pub(super) fn add_protected(&mut self, view: View<'_>, pointer: &str, malformed: Reason) -> Result<(), Fault> {
        let fault = |what: &str| Fault::new(malformed, pointer, format!("the protected header {what}"));
        let text = view.as_str().ok_or_else(|| fault("is no string"))?;
        let bytes = decode(&text).ok_or_else(|| fault("is not base64url"))?;
        let parameters = match bytes.is_empty() {
            true => Map::new(),
            false => {
                let document = Document::parse(bytes).map_err(|_| fault("is not JSON"))?;
                read(document.root(), &fault)?
            }
        };
        self.protected = Some(pointer.to_owned());
        self.parts.insert(0, Part { pointer: pointer.to_owned(), parameters });
        Ok(())
    }

    /// Adds an unprotected header.
    pub(super) fn add(&mut self, view: View<'_>, pointer: &str, malformed: Reason) -> Result<(), Fault> {
        let fault = |what: &str| Fault::new(malformed, pointer, format!("the header {what}"));
        let parameters = read(view, &fault)?;
        self.parts.push(Part { pointer: pointer.to_owned(), parameters });
        Ok(())
    }

    /// A parameter with the pointer to it, from the first header that has it.
    pub(super) fn get(&self, name: &str) -> Option<(&Value, String)> {
        self.parts.iter().find_map(|part| Some((part.parameters.get(name)?, format!("{}/{name}", part.pointer))))
    }

    /// A parameter that is a string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.0.as_str()
    }

    /// Whether an unprotected header has the parameter.
    pub(super) fn has_unprotected(&self, name: &str) -> bool {
        let unprotected = self.parts.iter().skip(usize::from(self.protected.is_some()));
        unprotected.into_iter().any(|part| part.parameters.contains_key(name))
    }

    /// What stands in two headers: with different values an error, with equal ones a warning.
    ///
    /// # Errors
    /// The first parameter with two values.
    pub(super) fn duplicates(&self) -> Result<Vec<Fault>, Fault> {
        let mut repeated = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            for (name, value) in &part.parameters {
                let earlier = self.parts[..number].iter().find_map(|part| part.parameters.get(name));
                let Some(earlier) = earlier else { continue };
                let pointer = format!("{}/{name}", part.pointer);
                if earlier != value {
                    let message = format!("`{name}` stands in two headers with different values");
                    return Err(Fault::new(Reason::HeaderConflict, pointer, message));
                }
                let message = format!("`{name}` stands in two headers, though with the same value");
                repeated.push(Fault::new(Reason::HeaderConflict, pointer, message));
            }
        }
        Ok(repeated)
    }

    /// Refuses `crit`, since no extension is known here that could stand in it.
    ///
    /// # Errors
    /// Names what is demanded.
    pub(super) fn check_critical(&self) -> Result<(), Fault> {
        let Some((value, pointer)) = self.get("crit") else { return Ok(()) };
        let names: Vec<_> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let message = match names.is_empty() {
            true => "`crit` is not a list of names".to_owned(),
            false => format!("the header demands that `{}` is understood, which it is not here", names.join("`, `")),
        };
        Err(Fault::new(Reason::CriticalHeader, pointer, message))
    }
}

/// The members of an object. Names that occur twice are refused (RFC 7515, section 4): two readers could differ.
fn read(view: View<'_>, fault: &dyn Fn(&str) -> Fault) -> Result<Map<String, Value>, Fault> {
    if view.kind() != Kind::Object {
        return Err(fault("is no object"));
    }
    let mut parameters = Map::new();
    for (name, value) in view.members() {
        if parameters.insert(name.into_owned(), value.to_value()).is_some() {
            return Err(fault("has a member twice"));
        }
    }
    Ok(parameters)
}
