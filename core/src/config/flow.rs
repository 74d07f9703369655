//! What the steps of one chain mean for each other: what is read before it is written, written twice, or never reached.

use super::check::Catalog;
use super::code::Code;
use super::finding::Finding;
use super::model::{ChainConfig, Config, Step, StepLink};
use super::node::{Node, Value};
use super::source::Span;
use crate::plugin::{Facts, Stops};

/// A step that runs, with what its link tells about itself.
pub(crate) struct Placed<'a> {
    pub(crate) step: &'a StepLink,
    pub(crate) facts: Facts,
    /// The options that it runs with.
    options: Node,
    /// Its index in the chain; the branches of `parallel` share one.
    position: usize,
    in_parallel: bool,
}

impl Placed<'_> {
    /// Whether it works on a part of the vCons only.
    fn is_partial(&self) -> bool {
        self.step.condition.is_some() || self.facts.partial
    }

    /// Where its options name a list; the step itself where that cannot be told.
    pub(crate) fn place_of(&self, list: &str) -> &Span {
        find(&self.options, list).map_or(&self.step.link.span, |node| &node.span)
    }

    /// A list or type as the options write it, so that no interpolated value is shown.
    pub(crate) fn shown<'s>(&'s self, name: &'s str) -> &'s str {
        find(&self.options, name).map_or(name, |node| node.text.as_str())
    }

    /// Whether nothing behind it is reached.
    pub(crate) fn ends_chain(&self) -> bool {
        self.facts.stops == Stops::Always && self.step.condition.is_none() && !self.in_parallel
    }

    fn writes_any(&self, kinds: &[String]) -> Option<&str> {
        self.facts.writes.iter().find(|kind| kinds.contains(kind)).map(String::as_str)
    }
}

/// The value in options that is this text.
fn find<'n>(node: &'n Node, text: &str) -> Option<&'n Node> {
    match &node.value {
        Value::String(found) if found == text => Some(node),
        Value::Mapping(entries) => entries.iter().find_map(|(_, node)| find(node, text)),
        Value::Sequence(items) => items.iter().find_map(|node| find(node, text)),
        _ => None,
    }
}

/// The steps of a chain that run.
pub(crate) fn placed<'a>(config: &Config, chain: &'a ChainConfig, catalog: &dyn Catalog) -> Vec<Placed<'a>> {
    let mut placed = Vec::new();
    for (position, step) in chain.links.iter().enumerate() {
        let (branches, in_parallel) = match step {
            Step::Link(link) => (std::slice::from_ref(&**link), false),
            Step::Parallel { links, .. } => (links.as_slice(), true),
        };
        for step in branches.iter().filter(|step| step.enabled) {
            let (Some(link), Some(options)) = (config.link(&step.link), config.step_options(step)) else { continue };
            let facts = catalog.link_facts(&link.module, &options, &config.mode);
            placed.push(Placed { step, facts, options: options.node, position, in_parallel });
        }
    }
    placed
}

/// Reports what is wrong with the order of a chain's steps.
pub(crate) fn check(chain: &ChainConfig, steps: &[Placed<'_>], findings: &mut Vec<Finding>) {
    findings.extend(steps.iter().filter_map(|reader| too_early(reader, steps)));
    findings.extend(steps.iter().enumerate().filter_map(|(index, step)| hidden(step, &steps[..index])));
    findings.extend(unreachable(chain, steps));
}

/// A step that reads what only a step behind it writes.
fn too_early(reader: &Placed<'_>, steps: &[Placed<'_>]) -> Option<Finding> {
    let wanted = &reader.facts.reads;
    let before = |step: &&Placed<'_>| step.position < reader.position;
    if wanted.is_empty()
        || steps.iter().filter(before).any(|step| step.facts.writes_anything || step.writes_any(wanted).is_some())
    {
        return None;
    }
    let others = steps.iter().filter(|step| !std::ptr::eq(*step, reader) && !before(step));
    let (writer, kind) = others.into_iter().find_map(|step| Some((step, step.writes_any(wanted)?)))?;
    // Each of them has its own vCons.
    if reader.step.condition.is_some() && writer.step.condition.is_some() {
        return None;
    }
    let (reading, writing, kind) = (&reader.step.link, &writer.step.link, writer.shown(kind));
    let (message, help) = match writer.position == reader.position {
        true => (
            format!("`{reading}` reads the analysis `{kind}` while `{writing}` writes it"),
            format!("put `{writing}` before the `parallel` step"),
        ),
        false => (
            format!("`{reading}` reads the analysis `{kind}` before `{writing}` has written it"),
            format!("put `{writing}` before `{reading}`: as it stands `{reading}` finds nothing to work on"),
        ),
    };
    Some(
        Finding::warning(Code::AnalysisTooEarly, &reading.span, message)
            .related(&writing.span, format!("`{kind}` is written here"))
            .help(help),
    )
}

/// A step that passes over what an earlier one has done.
fn hidden(step: &Placed<'_>, earlier: &[Placed<'_>]) -> Option<Finding> {
    let kind = step.facts.once.as_ref()?;
    let first = earlier.iter().find(|first| {
        first.facts.once.as_ref() == Some(kind)
            && first.position < step.position
            && !(first.is_partial() && step.is_partial())
    })?;
    let (name, before, kind) = (&step.step.link, &first.step.link, step.shown(kind));
    let (message, help) = match **name == **before {
        true => (format!("`{name}` is in this chain twice and works only once"), "remove one of the two".to_owned()),
        false => (
            format!(
                "`{name}` writes the analysis `{kind}`, as `{before}` before it does, and passes over what has one"
            ),
            format!("give `{name}` a type of its own, for example `analysis_type: {name}`"),
        ),
    };
    Some(
        Finding::warning(Code::AnalysisHidden, &name.span, message)
            .related(&before.span, format!("`{kind}` is written here first"))
            .help(help),
    )
}

/// What stands behind a step that ends the chain for every vCon.
fn unreachable(chain: &ChainConfig, steps: &[Placed<'_>]) -> Option<Finding> {
    let end = steps.iter().find(|step| step.ends_chain())?;
    let name = &end.step.link;
    let behind: Vec<_> = steps.iter().filter(|step| step.position > end.position).collect();
    let tail = chain.storages.first().map(|storage| &storage.name).or_else(|| chain.egress_lists.first());
    let (span, what) = match (behind.as_slice(), tail) {
        ([], None) => return None,
        ([], Some(tail)) => (&tail.span, "no vCon gets to the storages and egress lists of this chain".to_owned()),
        ([only], _) => (&only.step.link.span, format!("the step `{}` is never reached", only.step.link)),
        ([first, rest @ ..], _) => {
            let link = &first.step.link;
            (&link.span, format!("the step `{link}` and {} more behind it are never reached", rest.len()))
        }
    };
    Some(
        Finding::warning(Code::UnreachableStep, span, format!("{what}: `{name}` ends the chain for every vCon"))
            .related(&name.span, "the chain ends here")
            .help(format!("put what shall still happen before `{name}`, or change its options so that vCons pass")),
    )
}
