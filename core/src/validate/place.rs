//! Where in a document a check is, as a JSON pointer (RFC 6901) that is only written out when there is something to tell.

use std::fmt;

/// A place: a step from another place, or the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

impl Place<'static> {
    pub(super) const ROOT: Place<'static> = Place { parent: None, step: Step::Root };
}

impl<'a> Place<'a> {
    /// The member `name` of the object here.
    pub(super) fn name<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { parent: Some(self), step: Step::Name(name) }
    }

    /// The element `index` of the array here.
    pub(super) fn index<'b>(&'b self, index: usize) -> Place<'b> {
        Place { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Name(name) if name.contains(['~', '/']) => {
                write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Step::Name(name) => write!(f, "/{name}"),
            Step::Index(index) => write!(f, "/{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_a_pointer() {
        let dialog = Place::ROOT.name("dialog");
        let second = dialog.index(1);
        assert_eq!(Place::ROOT.to_string(), "");
        assert_eq!(second.name("a/b~").to_string(), "/dialog/1/a~1b~0");
    }
}
