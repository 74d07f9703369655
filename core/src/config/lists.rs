//! The lists that chains share: loops, and lists whose name was probably misspelled.

use std::collections::VecDeque;

use super::code::Code;
use super::finding::{Finding, Level};
use super::flow::Placed;
use super::model::{ChainConfig, Config, Name};
use super::source::Span;
use crate::plugin::Stops;

/// A chain that runs, and its steps.
pub(crate) struct Running<'a> {
    pub(crate) chain: &'a ChainConfig,
    pub(crate) steps: Vec<Placed<'a>>,
}

/// A way from one chain to another: a list that the one hands over to and the other takes from.
struct Way<'a> {
    to: usize,
    list: String,
    /// The list as it is written, so that no interpolated value is shown.
    shown: String,
    /// Where the list is named.
    span: &'a Span,
    /// Every vCon goes it.
    certain: bool,
}

/// Reports loops and near misses.
pub(crate) fn check(config: &Config, chains: &[Running<'_>], findings: &mut Vec<Finding>) {
    let ways: Vec<Vec<Way<'_>>> = chains.iter().map(|from| ways(from, chains)).collect();
    let mut told: Vec<usize> = Vec::new();
    for start in 0..chains.len() {
        if told.contains(&start) {
            continue;
        }
        if let Some(loops) = shortest_loop(start, &ways) {
            told.extend(loops.iter().map(|way| way.to));
            findings.push(looping(config, chains, start, &loops));
        }
    }
    for Running { chain, steps } in chains {
        for list in &chain.egress_lists {
            findings.extend(near_miss(
                (list, &list.text),
                &list.span,
                &format!("`chains.{}` hands over to", chain.name),
                chains,
            ));
        }
        for step in steps {
            for list in &step.facts.pushes {
                let who = format!("the step `{}` sends vCons to", step.step.link);
                findings.extend(near_miss((list, step.shown(list)), step.place_of(list), &who, chains));
            }
        }
    }
    for auth in &config.ingress_auth {
        findings.extend(near_miss((&auth.list, &auth.list.text), &auth.list.span, "these keys are for", chains));
    }
}

/// The ways out of a chain.
fn ways<'a>(from: &'a Running<'_>, chains: &[Running<'_>]) -> Vec<Way<'a>> {
    let Running { chain, steps } = from;
    let goes_through = steps.iter().all(|step| step.facts.stops == Stops::Never);
    let ends_early = steps.iter().any(Placed::ends_chain);
    let egress = chain.egress_lists.iter().filter(|_| !ends_early);
    let egress = egress.map(|list| (list.value.clone(), list.text.clone(), &list.span, goes_through));
    let pushed = steps.iter().flat_map(|step| {
        step.facts.pushes.iter().map(|list| (list.clone(), step.shown(list).to_owned(), step.place_of(list), false))
    });
    let mut ways = Vec::new();
    for (list, shown, span, certain) in egress.chain(pushed) {
        let takers = chains.iter().enumerate().filter(|(_, other)| takes(other.chain, &list));
        ways.extend(takers.map(|(to, _)| Way { to, list: list.clone(), shown: shown.clone(), span, certain }));
    }
    ways
}

fn takes(chain: &ChainConfig, list: &str) -> bool {
    chain.ingress_lists.iter().any(|ingress| **ingress == *list)
}

/// The shortest way from a chain back to itself.
fn shortest_loop<'w, 'a>(start: usize, ways: &'w [Vec<Way<'a>>]) -> Option<Vec<&'w Way<'a>>> {
    let mut reached: Vec<Option<(usize, &Way<'_>)>> = vec![None; ways.len()];
    let mut next = VecDeque::from([start]);
    while let Some(from) = next.pop_front() {
        for way in &ways[from] {
            if way.to == start {
                let mut path = vec![way];
                let mut at = from;
                while at != start {
                    let (before, way) = reached[at]?;
                    path.push(way);
                    at = before;
                }
                path.reverse();
                return Some(path);
            }
            if reached[way.to].is_none() {
                reached[way.to] = Some((from, way));
                next.push_back(way.to);
            }
        }
    }
    None
}

fn looping(config: &Config, chains: &[Running<'_>], start: usize, path: &[&Way<'_>]) -> Finding {
    let certain = path.iter().all(|way| way.certain);
    let level = if certain && config.mode.is_native() { Level::Error } else { Level::Warning };
    let first = &chains[start].chain;
    let last = path[path.len() - 1];
    let message = if let [only] = path {
        let verb = if only.certain { "hands vCons back" } else { "can hand vCons back" };
        format!("`chains.{}` {verb} to its own list `{}`", first.name, only.shown)
    } else {
        let names: Vec<String> = path.iter().map(|way| format!("`{}`", chains[way.to].chain.name)).collect();
        let verb = if certain { "go round" } else { "can go round" };
        format!("vCons {verb} through the chains `{}` -> {}", first.name, names.join(" -> "))
    };
    let help = match certain {
        true => "every vCon goes round for ever: hand over to another list",
        false => {
            "see to it that no vCon comes back for ever: a condition that its second round does not fulfil, or another list"
        }
    };
    let mut finding = Finding::new(level, Code::Loop, last.span, message).help(help);
    for way in &path[..path.len() - 1] {
        finding = finding.related(way.span, format!("goes on to `{}`", chains[way.to].chain.name));
    }
    let back = first.ingress_lists.iter().find(|ingress| ingress.value == last.list);
    back.into_iter().fold(finding, |finding, back| finding.related(&back.span, "taken from here"))
}

/// A list that nothing takes from while the name of one that is taken from differs by a slip of the pen.
fn near_miss((list, shown): (&str, &str), span: &Span, who: &str, chains: &[Running<'_>]) -> Option<Finding> {
    let mut taken = chains.iter().flat_map(|running| &running.chain.ingress_lists);
    if taken.clone().any(|ingress| **ingress == *list) {
        return None;
    }
    let near: &Name = taken.find(|ingress| is_slip(list, ingress))?;
    Some(
        Finding::warning(Code::UntakenList, span, format!("{who} the list `{shown}`, which no chain takes from"))
            .nearest(Some(&near.text))
            .related(&near.span, "this list is taken from")
            .help("if another program takes from it, give it a name that differs more"),
    )
}

/// Whether two names differ by case, `-` and `_`, or one letter. Digits tell lists apart on purpose.
fn is_slip(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim().to_lowercase().replace('-', "_");
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let (one, other) = (plain(one), plain(other));
    let shortest = one.chars().count().min(other.chars().count());
    one == other || (shortest >= 4 && digits(&one) == digits(&other) && strsim::damerau_levenshtein(&one, &other) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_names() {
        for (one, other, expected) in [
            ("complaint", "complaints", true),
            ("Calls", "calls", true),
            ("to-review", "to_review", true),
            ("cals", "calls", true),
            ("done1", "done2", false),
            ("analysed", "analysts", false),
            ("out", "our", false),
            ("calls", "calls_done", false),
        ] {
            assert_eq!(is_slip(one, other), expected, "{one} {other}");
        }
    }
}
