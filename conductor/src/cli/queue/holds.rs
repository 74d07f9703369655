//! What is held, as `queue` shows it, and `queue release`.

use clap::Args;
use comfy_table::Cell;
use serde_json::{Value, json};
use vconductor_core::clock::Millis;
use vconductor_core::config::nearest;
use vconductor_core::store::Hold;

use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Result};
use crate::cli::output::{self, Format, HELP, WARN, number, styled};
use crate::cli::paragraphs::wrapped;

const EXAMPLES: &str = "\
Examples:
  vconductor queue release link:transcribe      # the key is mended: go on at once
  vconductor queue release chain:support        # go on although the budget is spent";

/// Let go of what is held; conductors go on with it within two seconds
///
/// A link is held when the other side refuses its credentials or settings, a chain when its budget is spent. Each is tried
/// again by itself; this is for those who do not want to wait. What `queue` shows under HELD are the names. A key that its
/// provider refuses is only shown: letting go of it takes it off the list.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Release {
    /// What is held, as `queue` names it
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Release {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        let known: Vec<String> = desk.store.holds().await?.into_iter().map(|hold| hold.what).collect();
        let mut done = Vec::with_capacity(self.what.len());
        for what in &self.what {
            let released = desk.store.release(what).await?;
            if !released {
                let near = nearest(what, &known).map(|near| format!("did you mean `{near}`?"));
                output::complain(WARN, "warning", format!("`{}` is not held", output::plain(what)), near.as_deref());
            }
            if released && self.common.output == Format::Table {
                output::print(&format!("{} is let go\n", output::plain(what)))?;
            }
            done.push(json!({"what": what, "released": released}));
        }
        match self.common.output {
            Format::Table => {}
            Format::Json => output::print_json(&done)?,
            Format::Jsonl => output::print_jsonl(&done)?,
        }
        let all = done.iter().all(|one| one["released"] == true);
        Ok(if all { Exit::Done } else { Exit::Findings })
    }
}

/// Whether something stops runs now.
pub(super) fn stops(hold: &Hold, now: Millis) -> bool {
    hold.until > now && !hold.what.starts_with("key:")
}

/// For programs.
pub(super) fn value(hold: &Hold) -> Value {
    json!({
        "what": hold.what,
        "reason": hold.reason,
        "help": hold.help,
        "since": age::moment(hold.since),
        "until": age::moment(hold.until),
        "times": hold.times,
        "trying": hold.until <= age::now(),
    })
}

/// For people: a table, and what to do below it.
pub(super) fn text(holds: &[Hold]) -> String {
    if holds.is_empty() {
        return String::new();
    }
    let mut table = output::table(&["HELD", "SINCE", "TIMES", "TRIED AGAIN", "WHY"]);
    for hold in holds {
        table.add_row([
            Cell::new(output::plain(&hold.what)),
            number(age::age(hold.since)),
            number(hold.times),
            number(next(hold, age::now())),
            Cell::new(output::plain(&hold.reason)),
        ]);
    }
    let mut text = format!("\n{}\n", output::table_text(&table));
    for hold in holds {
        let what = output::plain(&hold.what);
        if let Some(help) = &hold.help {
            text.push_str(&wrapped(&format!("{what}: {}", output::plain(help)), 0, 2));
        }
        if hold.until > age::now() {
            let help = styled(HELP, format_args!("vconductor queue release {}", output::quoted(&what)));
            text.push_str(&format!("{what}: once it is mended, {help} lets it go at once\n"));
        }
    }
    text
}

fn next(hold: &Hold, now: Millis) -> String {
    match u64::try_from(hold.until - now) {
        Ok(left) if left > 0 => format!("in {}", age::short(std::time::Duration::from_millis(left))),
        _ => "now".to_owned(),
    }
}

/// For the end of a `run`: what is held and why, in one sentence each.
pub(crate) fn remarks(holds: &[Hold]) -> Vec<String> {
    holds
        .iter()
        .filter(|hold| stops(hold, age::now()))
        .map(|hold| {
            format!(
                "{}: {} since {}, refused {} in a row: {}",
                output::plain(&hold.what),
                styled(WARN, "held"),
                age::moment(hold.since),
                counted(u64::from(hold.times), "time"),
                output::plain(&hold.reason)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(what: &str, left: Millis) -> Hold {
        Hold {
            what: what.to_owned(),
            reason: "401 Unauthorized".to_owned(),
            help: Some("set KEY".to_owned()),
            since: age::now() - 65_000,
            until: age::now() + left,
            times: 3,
        }
    }

    #[test]
    fn people_see_what_why_since_when_and_what_to_do() {
        assert_eq!(text(&[]), "");
        let text = text(&[hold("link:a", 90_500), hold("key:b", -5)]);
        for part in ["link:a", "65 s", "3", "in 90 s", "401 Unauthorized", "link:a: set KEY", "queue release link:a"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("now") && !text.contains("release key:b"), "{text}");
    }

    #[test]
    fn keys_and_what_is_over_stop_nothing() {
        let now = age::now();
        assert!(stops(&hold("link:a", 1000), now) && stops(&hold("chain:a", 1000), now));
        assert!(!stops(&hold("key:a", 1000), now) && !stops(&hold("link:a", -1), now));
        assert_eq!(remarks(&[hold("link:a", 60_000), hold("link:b", -1)]).len(), 1);
        assert!(remarks(&[hold("link:a", 60_000)])[0].contains("3 times in a row: 401"));
    }

    #[test]
    fn programs_get_moments() {
        let value = value(&hold("link:a", 60_000));
        assert_eq!((&value["what"], &value["times"], &value["trying"]), (&json!("link:a"), &json!(3), &json!(false)));
        assert!(value["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{value}");
    }
}
