//! What is wrong with the section `followers`.

use vconductor_core::config::{Code, Config, Finding, Follower, Span, nearest};
use vconductor_core::http::Url;

/// Adds what is wrong with the followers of a configuration.
pub(crate) fn check(config: &Config, findings: &mut Vec<Finding>) {
    for follower in &config.followers {
        let mut refuse = |key: &str, why: &str, help: &str| {
            let message = format!("`followers.{}.{key}` {why}", follower.name);
            findings.push(Finding::error(Code::BadValue, place(follower, key), message).help(help));
        };
        if let Err(why) = base(&follower.url) {
            refuse(
                "url",
                why,
                "write the address of the other server's API, for example https://north.example.com/api",
            );
        }
        let lists =
            [("egress_list", &follower.egress_list), ("follower_ingress_list", &follower.follower_ingress_list)];
        for (key, list) in lists {
            if list.trim().is_empty() {
                refuse(key, "is empty", "name a list");
            }
        }
        if follower.pulling_interval.is_zero() {
            refuse("pulling_interval", "is 0", "write the time between two pulls, for example 60");
        }
        if follower.fetch_vcon_limit == 0 {
            refuse("fetch_vcon_limit", "is 0", "write how many vCons one pull may bring, for example 10");
        }
        if follower.auth_token.expose().chars().any(char::is_control) {
            refuse("auth_token", "holds a line break", "a secret read from a file often ends in a line break");
        }
        findings.extend(untaken(config, follower));
    }
}

/// Where a key's value stands.
fn place<'a>(follower: &'a Follower, key: &str) -> &'a Span {
    follower.written.node.get(key).map_or(&follower.name.span, |node| &node.span)
}

/// What is pulled would lie on a list for ever.
fn untaken(config: &Config, follower: &Follower) -> Option<Finding> {
    let list = &follower.follower_ingress_list;
    let lists: Vec<&str> = config
        .chains
        .iter()
        .filter(|chain| chain.enabled)
        .flat_map(|chain| &chain.ingress_lists)
        .map(|list| &**list)
        .collect();
    if list.trim().is_empty() || lists.contains(&list.as_str()) {
        return None;
    }
    let message = format!("no chain takes from `{list}`, where `followers.{}` puts what it pulls", follower.name);
    let finding = Finding::warning(Code::UntakenList, place(follower, "follower_ingress_list"), message);
    Some(match nearest(list, &lists) {
        Some(near) => finding.nearest(Some(near)),
        None => finding.help(format!("add `{list}` to the `ingress_lists` of a chain")),
    })
}

/// The base of the other server's API.
pub(super) fn base(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "is no absolute URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is no http or https URL");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or fragment, which the base of an API cannot have");
    }
    Ok(url)
}
