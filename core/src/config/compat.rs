//! What vcon-server does otherwise than its files say, and what becomes of it here.

use super::code::Code;
use super::finding::Finding;
use super::model::{ChainConfig, Config};
use super::node::{Node, Value};
use super::source::Span;

/// Gives the configuration the effect that it has in vcon-server, notes each setting that has none, and names them all
/// in one warning.
pub(crate) fn keep_old_effects(config: &mut Config, chains: Option<&Node>, findings: &mut Vec<Finding>) {
    let mut effects = Vec::new();
    for (name, chain) in chains.map_or(&[][..], Node::entries) {
        for (key, value) in chain.entries() {
            if let Some(note) = ignored(&key.name, value) {
                effects.push(effect(&key.span, format!("`chains.{}.{}`: {note}", name.name, key.name)));
            }
        }
    }
    effects.extend(last_chain_wins(&mut config.chains));
    effects.sort_by_key(|effect| effect.span.range().start);
    findings.extend(summary(&effects));
    config.effects = effects;
}

/// What a setting would do outside of compatibility mode, if that differs.
fn ignored(key: &str, value: &Node) -> Option<&'static str> {
    match (key, &value.value) {
        ("enabled", Value::Bool(false) | Value::Int(0)) => Some("the chain runs all the same"),
        ("timeout", value) if !matches!(value, Value::Null) => Some("the time is not limited"),
        ("tracers", value) if !matches!(value, Value::Null) => Some("all tracers see this chain"),
        _ => None,
    }
}

fn effect(span: &Span, message: String) -> Finding {
    Finding::warning(Code::Compatibility, span, message)
}

/// Takes every ingress list away from all chains but the last one that names it.
fn last_chain_wins(chains: &mut [ChainConfig]) -> Vec<Finding> {
    let mut effects = Vec::new();
    for index in 0..chains.len() {
        let (earlier, later) = chains.split_at_mut(index + 1);
        let Some(chain) = earlier.last_mut() else { continue };
        let name = chain.name.clone();
        chain.ingress_lists.retain(|list| {
            let taker = later.iter().rev().find(|other| other.ingress_lists.iter().any(|other| **other == **list));
            if let Some(taker) = taker {
                let message =
                    format!("`chains.{name}` gets nothing from `{}`: the later chain `{}` takes it", list, taker.name);
                effects.push(effect(&list.span, message).related(&taker.name.span, "this chain takes the list"));
            }
            taker.is_none()
        });
    }
    effects
}

/// One warning for all effects, at the first of them.
fn summary(effects: &[Finding]) -> Option<Finding> {
    let (first, rest) = effects.split_first()?;
    let message = match rest.len() {
        0 => format!("compatibility mode: {}", first.message),
        more => format!("compatibility mode: {}; {more} more below", first.message),
    };
    let finding = effect(&first.span, message).help(
        "settings that vcon-server ignores are ignored here too: remove them, or use one of vConductor's keys \
         (for example a top-level `store:`) to give them their effect",
    );
    Some(rest.iter().fold(finding, |finding, effect| finding.related(&effect.span, effect.message.clone())))
}

/// Outside of compatibility mode a list belongs to one chain.
pub(crate) fn reject_shared_lists(chains: &[ChainConfig], findings: &mut Vec<Finding>) {
    let taken: Vec<_> =
        chains.iter().filter(|c| c.enabled).flat_map(|c| c.ingress_lists.iter().map(move |list| (c, list))).collect();
    for (index, (chain, list)) in taken.iter().enumerate() {
        let Some((first, before)) = taken[..index].iter().find(|(_, before)| before.value == list.value) else {
            continue;
        };
        let (message, help) = if first.name == chain.name {
            (format!("`chains.{}` names the ingress list `{list}` twice", chain.name), "remove one of the two")
        } else {
            let message = format!("the ingress list `{list}` belongs to the chain `{}`", first.name);
            (message, "give each chain a list of its own")
        };
        findings.push(
            Finding::error(Code::ListTakenTwice, &list.span, message)
                .related(&before.span, "first taken here")
                .help(help),
        );
    }
}
