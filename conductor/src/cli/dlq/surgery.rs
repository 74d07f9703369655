//! How a dead run goes on: as it is, from an earlier link, in another chain, or from the start.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use vconductor_core::config::Config;
use vconductor_core::plugin::Registry;
use vconductor_core::run::{Deviation, Ledger, Recorded, RunId, Stage};
use vconductor_core::store::{DeadLetter, Revival, dead_letter_queue};

use crate::cli::bulk::different::{self, Different};
use crate::cli::configuration::{Chain, Configured};
use crate::cli::exit::Failure;
use crate::engine::deviations;

/// Where runs go on.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The list.
    pub(crate) list: String,
    /// The chain that takes from it, where a configuration tells.
    pub(crate) chain: Option<String>,
}

/// What is changed about runs that go on.
#[derive(Debug, Default)]
pub(crate) struct Surgery {
    /// Another list.
    pub(crate) to: Option<Target>,
    /// The link to start from again.
    pub(crate) from_link: Option<String>,
    /// Whether they start over as new runs.
    pub(crate) new_run: bool,
    /// What they do otherwise than their chain says.
    pub(crate) deviation: Deviation,
    /// The chains of the configuration, for the order of their links; empty where none was named.
    pub(crate) chains: Vec<Chain>,
    /// The configuration, to check the deviation against.
    configured: Option<(Config, Registry)>,
    /// By chain, what of the deviation does not fit it.
    checked: Mutex<HashMap<String, Option<String>>>,
}

/// What becomes of one dead run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plan {
    /// It goes on as it is.
    Continue,
    /// It goes on changed.
    Changed(Box<Revival>),
    /// It cannot be done.
    Refused(String),
}

impl Surgery {
    /// As it is asked for.
    pub(crate) fn new(
        to: Option<Target>,
        different: &Different,
        new_run: bool,
        configured: Option<&Configured>,
    ) -> Surgery {
        Surgery {
            to,
            from_link: different.from_link.clone(),
            new_run,
            deviation: different.deviation(false),
            chains: configured.map(|all| all.chains().to_vec()).unwrap_or_default(),
            configured: configured.map(|all| (all.config().clone(), all.registry().clone())),
            checked: Mutex::default(),
        }
    }

    /// Whether what is asked fits the chain that most runs of a queue go on in; told before anything is done.
    pub(crate) fn check(&self, queue: &str) -> Result<(), Failure> {
        let Some((config, registry)) = &self.configured else { return Ok(()) };
        let own =
            || self.chains.iter().find(|chain| chain.ingress_lists.iter().any(|list| dead_letter_queue(list) == queue));
        let chain = match &self.to {
            Some(target) => target.chain.clone(),
            None => own().map(|chain| chain.name.clone()),
        };
        let Some(chain) = chain else { return Ok(()) };
        let all = Deviation { from_link: self.from_link.clone(), ..self.deviation.clone() };
        different::check(config, registry, &chain, &all)
    }

    /// Why the deviation does not fit a chain.
    fn misfit(&self, chain: &str) -> Option<String> {
        if self.deviation.is_none() {
            return None;
        }
        let (config, registry) = self.configured.as_ref()?;
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let check = || {
            let findings = deviations::check(config, registry, chain, &self.deviation).err()?;
            Some(findings.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; "))
        };
        checked.entry(chain.to_owned()).or_insert_with(check).clone()
    }

    /// The chain that a dead run goes on in, as far as is known.
    fn chain_of(&self, letter: &DeadLetter) -> String {
        if let Some(target) = &self.to {
            return target.chain.clone().unwrap_or_default();
        }
        let own = letter.ledger.as_ref().map(|ledger| ledger.chain.clone()).filter(|chain| !chain.is_empty());
        let of_list = || self.chains.iter().find(|chain| chain.ingress_lists.contains(&letter.list));
        own.or_else(|| of_list().map(|chain| chain.name.clone())).unwrap_or_default()
    }

    /// What becomes of a dead run.
    pub(crate) fn plan(&self, letter: &DeadLetter) -> Plan {
        let list = self.to.as_ref().map_or(&letter.list, |target| &target.list);
        let deviates = !self.deviation.is_none();
        let chain = if deviates { self.chain_of(letter) } else { String::new() };
        if let Some(why) = self.misfit(&chain) {
            return Plan::Refused(why);
        }
        let fresh = || Ledger { chain: chain.clone(), ..Ledger::default() };
        if self.new_run {
            let ledger = deviates.then(|| Ledger { deviation: self.deviation.clone(), ..fresh() });
            return Plan::Changed(Box::new(Revival { run: RunId::new(), list: list.clone(), ledger }));
        }
        let mut ledger = letter.ledger.clone().or_else(|| deviates.then(fresh));
        if let (Some(ledger), Some(target)) = (&mut ledger, &self.to) {
            enter(ledger, target, list != &letter.list);
        }
        if let (Some(link), Some(ledger)) = (&self.from_link, &mut ledger)
            && let Err(why) = self.cut(link, letter, ledger)
        {
            return Plan::Refused(why);
        }
        if let Some(ledger) = &mut ledger {
            self.deviate(ledger);
            count_anew(ledger);
        }
        if *list == letter.list && ledger == letter.ledger {
            return Plan::Continue;
        }
        Plan::Changed(Box::new(Revival { run: letter.run, list: list.clone(), ledger }))
    }

    fn deviate(&self, ledger: &mut Ledger) {
        if let (Some(begins), Some(link)) = (&mut ledger.deviation.from_link, &self.from_link) {
            begins.clone_from(link);
        }
        if self.deviation.is_none() {
            return;
        }
        ledger.deviation = ledger.deviation.and(&self.deviation);
        // A finished link whose result-changing options are others now runs again; what was stored is without it.
        if !self.deviation.set.is_empty() && ledger.stage != Stage::Links {
            back_to_links(ledger);
        }
    }

    /// Takes the entries from `link` on out of the ledger, and what came after them.
    fn cut(&self, link: &str, letter: &DeadLetter, ledger: &mut Ledger) -> Result<(), String> {
        let own = self.chains.iter().find(|chain| chain.name == ledger.chain);
        let own = own.or_else(|| self.chains.iter().find(|chain| chain.ingress_lists.contains(&letter.list)));
        match own {
            Some(chain) => {
                let Some(start) = chain.links.iter().position(|name| name == link) else {
                    return Err(format!("chain `{}` has no link `{link}`", chain.name));
                };
                let earlier = &chain.links[..start];
                ledger.steps.retain(|entry| earlier.contains(&entry.key.link));
            }
            None => match ledger.steps.iter().position(|entry| entry.key.link == link) {
                Some(start) => ledger.steps.truncate(start),
                None if letter.failure.step == link => {}
                None => {
                    return Err(format!(
                        "its ledger does not know link `{link}`; name the configuration with --config for the order of \
                         the links"
                    ));
                }
            },
        }
        back_to_links(ledger);
        Ok(())
    }
}

/// Makes the ledger one of the target's chain: finished steps are kept, so what is paid is not paid again; stage and
/// storages belong to the chain that it leaves.
fn enter(ledger: &mut Ledger, target: &Target, moves: bool) {
    let stays = target.chain.as_ref().map_or(!moves, |chain| *chain == ledger.chain);
    if !stays {
        ledger.chain = target.chain.clone().unwrap_or_default();
        back_to_links(ledger);
    }
}

/// A step that used its attempts up gets all of them again; what it finished in part is kept.
fn count_anew(ledger: &mut Ledger) {
    for entry in ledger.steps.iter_mut().filter(|entry| !entry.is_finished()) {
        entry.attempts = 0;
    }
}

fn back_to_links(ledger: &mut Ledger) {
    ledger.stage = Stage::Links;
    ledger.pushes.clear();
    ledger.storages.clear();
    ledger.storage_attempts = 0;
    ledger.parked = ledger.parked.take().filter(|key| ledger.steps.iter().any(|entry| entry.key == *key));
    ledger.switched_to = ledger.steps.iter().rev().find_map(|entry| match &entry.outcome {
        Recorded::Switch(uuid) => Some(uuid.clone()),
        _ => None,
    });
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use vconductor_core::error::Class;
    use vconductor_core::run::{StepEntry, StepKey};

    use super::*;

    fn entry(link: &str, outcome: Recorded) -> StepEntry {
        StepEntry {
            key: StepKey { link: link.to_owned(), occurrence: 0, options: "o".to_owned() },
            outcome,
            pushes: Vec::new(),
            parts: Default::default(),
            attempts: 1,
            usage: None,
            finished_at: 0,
            generation: "g".to_owned(),
        }
    }

    fn letter() -> DeadLetter {
        let steps = vec![
            entry("find", Recorded::Switch("other".to_owned())),
            entry("transcribe", Recorded::Continue),
            entry("notify", Recorded::Unfinished),
        ];
        let ledger = Ledger {
            chain: "support".to_owned(),
            switched_to: Some("other".to_owned()),
            stage: Stage::Storages,
            steps,
            storages: [("files".to_owned(), 7)].into(),
            ..Ledger::default()
        };
        DeadLetter {
            run: RunId(Uuid::from_u128(7)),
            uuid: "a".to_owned(),
            list: "calls".to_owned(),
            queue: "DLQ:calls".to_owned(),
            failure: vconductor_core::store::Failure {
                class: Class::Permanent,
                step: "notify".to_owned(),
                message: "no".to_owned(),
                help: None,
                attempts: 1,
                at: 0,
            },
            ledger: Some(ledger),
        }
    }

    fn from_link(link: &str, chains: &[Chain]) -> Plan {
        Surgery { from_link: Some(link.to_owned()), chains: chains.to_vec(), ..Surgery::default() }.plan(&letter())
    }

    fn changed(plan: Plan) -> Revival {
        match plan {
            Plan::Changed(revival) => *revival,
            other => panic!("{other:?}"),
        }
    }

    fn links(revival: &Revival) -> Vec<&str> {
        revival.ledger.iter().flat_map(|ledger| &ledger.steps).map(|entry| entry.key.link.as_str()).collect()
    }

    fn support() -> Chain {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        Chain {
            name: "support".to_owned(),
            ingress_lists: names(&["calls"]),
            links: names(&["find", "tag", "transcribe", "notify"]),
        }
    }

    #[test]
    fn without_surgery_a_run_goes_on_as_it_is() {
        let mut letter = letter();
        letter.ledger.as_mut().unwrap().steps.pop();
        assert_eq!(Surgery::default().plan(&letter), Plan::Continue);
        let same = Target { list: "calls".to_owned(), chain: Some("support".to_owned()) };
        assert_eq!(Surgery { to: Some(same), ..Surgery::default() }.plan(&letter), Plan::Continue);
    }

    #[test]
    fn a_step_that_was_given_up_gets_its_attempts_again() {
        let ledger = changed(Surgery::default().plan(&letter())).ledger.unwrap();
        assert_eq!(ledger.steps.iter().map(|entry| entry.attempts).collect::<Vec<_>>(), [1, 1, 0]);
        assert_eq!((ledger.stage, ledger.storages.len()), (Stage::Storages, 1), "nothing else is changed");
    }

    #[test]
    fn from_a_link_on_entries_and_all_later_stages_are_dropped() {
        let revival = changed(from_link("transcribe", &[]));
        assert_eq!((revival.run, links(&revival)), (letter().run, vec!["find"]));
        let ledger = revival.ledger.unwrap();
        assert_eq!((ledger.stage, ledger.storages.len()), (Stage::Links, 0));
        assert_eq!(ledger.switched_to.as_deref(), Some("other"), "the step that switched is kept");
        let revival = changed(from_link("find", &[]));
        assert_eq!(revival.ledger.unwrap().switched_to, None);
    }

    #[test]
    fn a_link_without_entry_needs_the_order_of_the_chain() {
        assert!(matches!(from_link("tag", &[]), Plan::Refused(why) if why.contains("--config")));
        assert_eq!(links(&changed(from_link("tag", &[support()]))), ["find"]);
        assert!(matches!(from_link("tga", &[support()]), Plan::Refused(why) if why.contains("no link `tga`")));
    }

    #[test]
    fn another_chain_keeps_what_is_paid_and_nothing_of_the_old_storages() {
        let target = Target { list: "chats".to_owned(), chain: Some("chat".to_owned()) };
        let revival = changed(Surgery { to: Some(target), ..Surgery::default() }.plan(&letter()));
        assert_eq!((revival.list.as_str(), links(&revival).len()), ("chats", 3));
        let ledger = revival.ledger.unwrap();
        assert_eq!((ledger.chain.as_str(), ledger.stage, ledger.storages.len()), ("chat", Stage::Links, 0));
    }

    #[test]
    fn another_list_of_the_same_chain_changes_the_list_only() {
        let target = Target { list: "late".to_owned(), chain: Some("support".to_owned()) };
        let revival = changed(Surgery { to: Some(target), ..Surgery::default() }.plan(&letter()));
        assert_eq!((revival.list.as_str(), links(&revival).len()), ("late", 3));
        assert_eq!(revival.ledger.map(|ledger| ledger.storages), letter().ledger.map(|ledger| ledger.storages));
    }

    #[test]
    fn what_is_different_goes_with_the_run_and_over_what_was_different_before() {
        let deviation = |skip: &str, set: &str| Deviation {
            from_link: None,
            skip: vec![skip.to_owned()],
            set: vec![set.to_owned()],
        };
        let mut before = letter();
        before.ledger.as_mut().unwrap().deviation = deviation("tag", "notify.options.a=1");
        let surgery = Surgery { deviation: deviation("find", "notify.options.a=2"), ..Surgery::default() };
        let ledger = changed(surgery.plan(&before)).ledger.unwrap();
        assert_eq!((ledger.deviation.skip.join(" ").as_str(), ledger.deviation.set.len()), ("tag find", 1));
        assert_eq!(ledger.deviation.set, ["notify.options.a=2"]);
        assert_eq!((ledger.stage, ledger.steps.len()), (Stage::Links, 3), "a link may have to run again; paid is kept");
        let bare = DeadLetter { ledger: None, ..letter() };
        let surgery = Surgery { chains: vec![support()], ..surgery };
        assert_eq!(changed(surgery.plan(&bare)).ledger.unwrap().chain, "support");
        let anew = Surgery { new_run: true, ..surgery };
        let ledger = changed(anew.plan(&before)).ledger.unwrap();
        assert_eq!(
            (ledger.steps.len(), &ledger.deviation),
            (0, &anew.deviation),
            "a new run has nothing of the old one"
        );
    }

    #[test]
    fn a_new_run_has_a_new_id_and_no_ledger() {
        let revival = changed(Surgery { new_run: true, ..Surgery::default() }.plan(&letter()));
        assert!(revival.run != letter().run && revival.ledger.is_none());
    }
}
