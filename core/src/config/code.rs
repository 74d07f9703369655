//! Stable codes of findings, each with a page that explains it.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What a finding is about. The printed form (`VC0101`) never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The printed form, for example `VC0101`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// The page that explains the code (Markdown).
            pub fn page(self) -> &'static str {
                match self { $(Code::$name => include_str!(concat!("../../../docs/errors/", $code, ".md")),)* }
            }
        }
    };
}

codes! {
    /// The text is not YAML.
    Syntax = "VC0101",
    /// One map has the same key twice.
    DuplicateKey = "VC0102",
    /// A file holds more than one YAML document.
    SeveralDocuments = "VC0103",
    /// The file is too big, too deep, or expands to too much.
    TooLarge = "VC0104",
    /// A tag or plain value that has no meaning here.
    UnknownTag = "VC0105",
    /// A merge key (`<<`) without a map.
    BadMerge = "VC0106",
    /// A map key that is no text.
    KeyNotText = "VC0107",
    /// A file or folder cannot be read.
    Unreadable = "VC0108",
    /// The same name is defined in two files.
    NameInTwoFiles = "VC0109",
    /// A plain value that YAML 1.1 reads otherwise than it looks.
    Surprise = "VC0110",
    /// `${env:NAME}` names a variable that is not set and has no default.
    VariableMissing = "VC0201",
    /// `${file:PATH}` names a file that cannot be read.
    FileMissing = "VC0202",
    /// `${NAME}` was left as it is.
    NotReplaced = "VC0203",
    /// `${...}` is not written correctly.
    BadPlaceholder = "VC0204",
    /// A secret stands in the file as it is.
    SecretInClear = "VC0205",
    /// A key that is not known at this place.
    UnknownKey = "VC0301",
    /// A plugin does not know this option.
    UnknownOption = "VC0302",
    /// A value has the wrong type.
    WrongType = "VC0303",
    /// A required key is missing.
    MissingKey = "VC0304",
    /// A value has the right type but is not allowed.
    BadValue = "VC0305",
    /// A value is not one of the words allowed here.
    UnknownWord = "VC0306",
    /// A template whose beginning is not fixed.
    Template = "VC0307",
    /// No plugin has this module name.
    UnknownModule = "VC0401",
    /// A chain names a link that is not defined.
    UnknownLink = "VC0402",
    /// A chain names a storage that is not defined.
    UnknownStorage = "VC0403",
    /// A chain names a tracer that is not defined.
    UnknownTracer = "VC0404",
    /// Something is defined that no chain uses.
    Unused = "VC0405",
    /// A module name in a form that is no longer used.
    OldModuleName = "VC0406",
    /// Python packages named under `imports` are not loaded.
    ImportIgnored = "VC0407",
    /// Two chains take from the same ingress list.
    ListTakenTwice = "VC0501",
    /// A chain hands vCons back to a list that it takes from, perhaps through other chains.
    Loop = "VC0502",
    /// A step can never run.
    UnreachableStep = "VC0503",
    /// A jq program, of a condition or in an option, is not valid.
    BadCondition = "VC0504",
    /// A chain can never run.
    ChainNeverRuns = "VC0505",
    /// vCons are put on a list that no chain takes from.
    UntakenList = "VC0506",
    /// A step reads an analysis that only a step behind it writes.
    AnalysisTooEarly = "VC0507",
    /// A step writes an analysis that an earlier step has written already.
    AnalysisHidden = "VC0508",
    /// The file is read in compatibility mode and some settings have no effect.
    Compatibility = "VC0601",
    /// Something that the configuration names does not answer.
    NoAnswer = "VC0701",
    /// Something that the configuration names answers and refuses.
    Refused = "VC0702",
    /// A chain test expects something else than what happened.
    NotAsExpected = "VC0801",
}

impl Code {
    /// What it is about in a few words: the title of its page.
    pub fn title(self) -> &'static str {
        let line = self.page().lines().next().unwrap_or_default();
        line.split_once(": ").map_or(line, |(_, title)| title)
    }

    /// The code with the given printed form, in any case.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_that_names_it_shows_an_example_and_a_fix() {
        for code in Code::ALL {
            let page = code.page();
            assert!(page.starts_with(&format!("# {code}: ")), "{code}: the title must name the code");
            assert!(page.contains("```"), "{code}: no example");
            assert!(page.contains("\n## Fix\n"), "{code}: no section `Fix`");
        }
    }

    #[test]
    fn codes_are_unique_sorted_and_found_by_name() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].as_str() < pair[1].as_str(), "{} and {}", pair[0], pair[1]);
        }
        assert_eq!(Code::parse("vc0402"), Some(Code::UnknownLink));
        assert_eq!(Code::parse("VC9999"), None);
    }

    #[test]
    fn every_page_belongs_to_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.strip_suffix(".md").and_then(Code::parse).is_some(), "{name} explains no code");
        }
    }
}
