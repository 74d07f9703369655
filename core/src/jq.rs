//! jq programs, for conditions of links and for `jq_link`.
//!
//! A program is compiled once and shared by all threads. Outputs are made one at a time, and nothing behind the first
//! one is computed. Inside one output a program is not bounded: it can loop for ever (`def f: f; f`), take all memory
//! (`[repeat(1)]`), or recurse until the stack ends, which ends the process (`def f: 1 + f; f`). Programs come from the
//! configuration, not from vCons; one that may be slow runs under `spawn_blocking` with a time limit.
//! `env`, `$ENV` and `halt` do not exist here: a filter neither sees the secrets of the process nor ends it.

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::Val;
use serde::Deserialize;
use serde_json::Value;

use crate::config::nearest;
use crate::{Error, Result};

/// What a program may not call.
const FORBIDDEN: [&str; 3] = ["env", "halt", "halt_error"];

/// How deep brackets may lie inside each other; the parser recurses for each.
const MAX_BRACKETS: usize = 64;

/// A compiled jq program.
pub struct Program {
    text: String,
    filter: Filter<JustLut<Val>>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Program").field(&self.text).finish()
    }
}

/// Why a text is no jq program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Where in the text, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

impl CompileError {
    /// What is wrong, for people who do not know how a parser speaks.
    pub fn in_words(&self) -> String {
        match self.message.as_str() {
            "expected token" => "it cannot go on like this here".to_owned(),
            "expected term" => "a path, a value or a filter is missing here".to_owned(),
            message => message.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

/// What often mends a program: it is written as in another language.
pub fn advice(program: &str) -> &'static str {
    let has = |word: &str| program.contains(word);
    if has("&&") || has("||") {
        "jq says `and` and `or`, for example `(.dialog | length > 0) and (.parties | length > 1)`"
    } else if has("{{") {
        "jq knows no braces around names: write the path alone, for example `.dialog | length > 0`"
    } else if has("===") || has(" is ") {
        "jq compares with `==` and `!=`, and negates with `| not`"
    } else if has("'") {
        "jq puts texts in double quotes, for example `.subject == \"Complaint\"`"
    } else {
        "a jq program over the vCon is for example `.dialog | length > 0`"
    }
}

impl Program {
    /// Compiles `text`.
    ///
    /// # Errors
    /// The first place that is no jq, or that calls what does not exist.
    pub fn compile(text: &str) -> Result<Program, CompileError> {
        if let Some(offset) = too_deep(text) {
            let message = format!("brackets are nested deeper than {MAX_BRACKETS} levels");
            return Err(CompileError { offset, message });
        }
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let loader = Loader::new(definitions.filter(|definition| !FORBIDDEN.contains(&definition.name)));
        let modules = loader.load(&arena, File { code: text, path: () }).map_err(|errors| {
            errors.into_iter().next().map_or_else(|| unknown(text), |(_, error)| load_error(text, error))
        })?;
        let filter = Compiler::default()
            .with_funs(functions.filter(|(name, ..)| !FORBIDDEN.contains(name)))
            .compile(modules)
            .map_err(|errors| {
                let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
                first.map_or_else(|| unknown(text), |(name, what)| at(text, name, unknown_name(name, what.as_str())))
            })?;
        Ok(Program { text: text.to_owned(), filter })
    }

    /// The program's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first output for `input`, or `None` when there is none.
    ///
    /// # Errors
    /// Permanent: the program raised an error before its first output.
    pub fn first(&self, input: &Value) -> Result<Option<Value>> {
        Ok(self.run(input)?.map(|output| to_json(&output)))
    }

    /// Whether the first output for `input` is neither null nor false; no output is no match.
    ///
    /// # Errors
    /// Permanent, as [`first`](Self::first).
    pub fn matches(&self, input: &Value) -> Result<bool> {
        Ok(self.run(input)?.is_some_and(|output| !matches!(output, Val::Null | Val::Bool(false))))
    }

    fn run(&self, input: &Value) -> Result<Option<Val>> {
        let input = Val::deserialize(input)
            .map_err(|error| Error::permanent("the vCon cannot be given to jq").caused_by(error))?;
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let first = self.filter.id.run((context, input)).map(jaq_core::unwrap_valr).next();
        first.transpose().map_err(|error| {
            let message: String = error.to_string().chars().take(400).collect();
            Error::permanent(format!("the jq program `{}` failed: {message}", self.text))
        })
    }
}

/// Whether Python takes the value for true: not so null, false, 0, and empty strings, lists and objects. `jq_link`
/// matches by it.
pub fn python_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(boolean) => *boolean,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

fn to_json(output: &Val) -> Value {
    match output {
        Val::Null => Value::Null,
        Val::Bool(boolean) => Value::Bool(*boolean),
        // What JSON cannot say (NaN, infinity) is null, as jq prints it.
        Val::Num(number) => serde_json::from_str(&number.to_string()).unwrap_or(Value::Null),
        Val::BStr(bytes) | Val::TStr(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        Val::Arr(elements) => elements.iter().map(to_json).collect(),
        Val::Obj(members) => {
            let name = |name: &Val| match to_json(name) {
                Value::String(name) => name,
                other => other.to_string(),
            };
            Value::Object(members.iter().map(|(key, value)| (name(key), to_json(value))).collect())
        }
    }
}

/// Where the brackets get too deep. Those in strings count as well, for simplicity.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_BRACKETS
    })
}

fn load_error(text: &str, error: jaq_core::load::Error<&str>) -> CompileError {
    use jaq_core::load::Error::{Io, Lex, Parse};
    let first = match error {
        Io(errors) => errors.into_iter().next().map(|(place, problem)| at(text, place, problem)),
        Lex(errors) => errors
            .into_iter()
            .next()
            .map(|(expected, place)| at(text, place, format!("expected {}", expected.as_str()))),
        Parse(errors) => errors
            .into_iter()
            .next()
            .map(|(expected, place)| at(text, place, format!("expected {}", expected.as_str()))),
    };
    first.unwrap_or_else(|| unknown(text))
}

/// What is not there, and what was probably meant.
fn unknown_name(name: &str, what: &str) -> String {
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).map(|definition| definition.name);
    let functions = jaq_core::funs::<JustLut<Val>>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let names: Vec<&str> = definitions.chain(functions.map(|(name, ..)| name)).collect();
    let allowed = names.iter().copied().filter(|known| !FORBIDDEN.contains(known));
    match nearest(name, allowed).filter(|_| what == "filter") {
        Some(near) => format!("there is no {what} `{name}`; did you mean `{near}`?"),
        None => format!("there is no {what} `{name}`"),
    }
}

/// An error at `place`, a part of `text`.
fn at(text: &str, place: &str, message: String) -> CompileError {
    // A place in a definition of the library lies outside of the text.
    let inside = text.as_bytes().as_ptr_range().contains(&place.as_ptr());
    let offset = if inside { jaq_core::load::span(text, place).start } else { text.len() };
    CompileError { offset, message }
}

fn unknown(text: &str) -> CompileError {
    CompileError { offset: text.len(), message: "this is no jq program".to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first(program: &str, input: &Value) -> Option<Value> {
        Program::compile(program).unwrap().first(input).unwrap()
    }

    #[test]
    fn the_first_output_counts() {
        assert_eq!(first(".dialog | length > 0", &json!({"dialog": [{}]})), Some(json!(true)));
        assert_eq!(first(".[] | select(. > 1)", &json!([1, 2.5, 3])), Some(json!(2.5)));
        assert_eq!(first("empty", &json!(1)), None);
        assert_eq!(first("1, error(\"late\")", &json!(1)), Some(json!(1)));
        assert_eq!(first("limit(1; repeat(7))", &json!(null)), Some(json!(7)));
        let value = json!({"a": [1, -2, 1.5, "x", null, true, {"b": {}}], "big": u64::MAX});
        assert_eq!(first(".", &value), Some(value));
        assert_eq!(first("nan", &json!(1)), Some(Value::Null));
    }

    #[test]
    fn matching_is_that_of_jq() {
        for (program, matches) in [("0", true), ("\"\"", true), ("null", false), ("false", false), ("empty", false)] {
            assert_eq!(Program::compile(program).unwrap().matches(&Value::Null).unwrap(), matches, "{program}");
        }
    }

    #[test]
    fn python_takes_empty_things_for_false() {
        for value in [json!(null), json!(false), json!(0), json!(-0.0), json!(""), json!([]), json!({})] {
            assert!(!python_truthy(&value), "{value}");
        }
        for value in [json!(true), json!(0.1), json!(" "), json!([0]), json!({"a": null})] {
            assert!(python_truthy(&value), "{value}");
        }
    }

    #[test]
    fn a_wrong_program_is_refused_with_its_place() {
        for (program, offset, part) in [
            (".a | nonsense", 5, "nonsense"),
            (".a | $missing", 5, "$missing"),
            (".a | (", 6, "expected"),
            (".a ]", 3, "expected"),
            ("\"open", 5, "expected"),
            ("env", 0, "env"),
            ("$ENV", 0, "$ENV"),
            ("1 | halt", 4, "halt"),
            ("import \"x\" as x; .", 8, "not supported"),
        ] {
            let error = Program::compile(program).unwrap_err();
            assert!(error.message.contains(part), "{program}: {error}");
            assert_eq!(error.offset, offset, "{program}: {error}");
        }
    }

    #[test]
    fn a_program_of_brackets_does_not_end_the_process() {
        assert_eq!(Program::compile(&"[".repeat(20_000)).unwrap_err().offset, MAX_BRACKETS);
        let deepest = format!("{}{}", "[".repeat(MAX_BRACKETS), "]".repeat(MAX_BRACKETS));
        assert!(Program::compile(&deepest).unwrap().matches(&Value::Null).unwrap());
    }

    #[test]
    fn an_error_of_the_program_is_permanent() {
        let error = Program::compile(".a.b").unwrap().first(&json!({"a": "text"})).unwrap_err();
        assert!(!error.is_retryable());
        assert!(error.message().contains("`.a.b` failed"), "{error}");
    }

    #[test]
    fn a_program_is_shared_by_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&Program::compile(".").unwrap());
    }
}
