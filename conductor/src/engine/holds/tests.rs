//! Decisions about holds.

use super::keeper::{LOOK, next_look};
use super::*;

const NOW: Millis = 1_800_000_000_000;

fn refused() -> Error {
    Error::configuration("401 Unauthorized").help("check the key")
}

const FIRST: Millis = 10_000;

fn ten_seconds() -> Holds {
    Holds::new(Duration::from_secs(10))
}

fn until(holds: &Holds) -> Millis {
    holds.lock().holds["link:a"].until
}

#[test]
fn faults_in_a_row_double_the_time_and_a_success_ends_it() {
    let holds = ten_seconds();
    assert!(holds.admit("a", NOW).is_ok());
    let mut now = NOW;
    for seconds in [10, 20, 40, 80, 160, 320, 600, 600] {
        assert!(matches!(holds.fault("a", &refused(), now, None, now), Fault::Waits(due) if due > now));
        assert_eq!(until(&holds), now + seconds * 1000);
        assert!(holds.admit("a", now + 1).is_err() && holds.admit("b", now + 1).is_ok());
        // What was under way when it was held changes nothing.
        holds.fault("a", &refused(), now - 5, None, now + 1);
        assert_eq!(until(&holds), now + seconds * 1000);
        now = until(&holds);
    }
    let hold = holds.known().remove(0);
    assert_eq!((hold.since, hold.times), (NOW, 8));
    assert_eq!((hold.reason.as_str(), hold.help.as_deref()), ("401 Unauthorized", Some("check the key")));
    holds.taken("a", NOW - 1);
    assert_eq!(holds.known().len(), 1, "what began before the fault proves nothing");
    holds.taken("a", now);
    assert_eq!(holds.known(), []);
    assert!(matches!(holds.fault("a", &refused(), now + 1, None, now + 2), Fault::Waits(_)));
    assert_eq!(until(&holds), now + 2 + FIRST);
}

#[test]
fn a_few_try_first() {
    let holds = ten_seconds();
    holds.fault("a", &refused(), NOW, None, NOW);
    let over = NOW + FIRST;
    let admitted: Vec<_> = (0..10).filter_map(|_| holds.admit("a", over).ok()).collect();
    assert_eq!(admitted.len(), TRIAL);
    // One that began before the trial, and one that fails in it.
    assert!(matches!(holds.fault("a", &refused(), NOW, None, over), Fault::Waits(due) if due < over + 2 * SHORT));
    assert_eq!(until(&holds), over);
    drop(admitted);
    assert!(holds.admit("a", over).is_ok());
    holds.taken("a", over);
    assert_eq!((0..10).filter(|_| holds.admit("a", over).is_ok()).count(), 10);
}

#[test]
fn a_run_is_at_fault_when_the_link_took_others_since() {
    let holds = ten_seconds();
    holds.fault("a", &refused(), NOW, None, NOW + 5);
    let failed = Some(NOW + 5);
    let over = until(&holds);
    assert!(matches!(holds.fault("a", &refused(), over, failed, over + 1), Fault::Waits(_)), "it took nobody");
    holds.taken("a", NOW + 2);
    assert!(matches!(holds.fault("a", &refused(), over, failed, over + 2), Fault::Waits(_)), "it began before");
    holds.taken("a", over + 3);
    assert_eq!(holds.fault("a", &refused(), over + 4, failed, over + 5), Fault::Own);
    assert_eq!(holds.known(), [], "the link is not held for it");
    // A fault of something that began before others were taken holds nothing either.
    assert!(matches!(holds.fault("a", &refused(), over, None, over + 5), Fault::Waits(due) if due < over + 2 * SHORT));
    assert_eq!(holds.known(), []);
}

#[test]
fn what_the_store_says_holds_except_where_this_process_knows_better() {
    let holds = ten_seconds();
    let hold = |what: &str, until| Hold {
        what: what.to_owned(),
        reason: String::new(),
        help: None,
        since: NOW,
        until,
        times: 1,
    };
    holds.learn(vec![hold("link:a", NOW + 10), hold("link:b", NOW + 10)], NOW);
    holds.taken("a", NOW + 1);
    holds.fault("c", &refused(), NOW, None, NOW);
    holds.learn(vec![hold("link:a", NOW + 10), hold("chain:d", NOW + 10)], NOW);
    let known: Vec<String> = holds.known().into_iter().map(|hold| hold.what).collect();
    assert_eq!(known, ["chain:d", "link:c"]);
    assert_eq!(holds.lock().unsaved.keys().collect::<Vec<_>>(), ["link:a", "link:c"]);
    assert_eq!(next_look(&holds, NOW), Duration::from_millis(10));
    holds.lock().unsaved.clear();
    holds.learn(Vec::new(), NOW);
    assert!(holds.known().is_empty() && holds.admit("c", NOW).is_ok());
    assert_eq!(next_look(&holds, NOW), LOOK);
}

#[test]
fn waiting_runs_come_back_at_different_moments_and_not_too_late() {
    let dues: Vec<Millis> = (0..100).map(|_| due(NOW + 10_000, NOW)).collect();
    assert!(dues.iter().all(|due| (NOW + 10_000..=NOW + 11_100).contains(due)));
    assert!(dues.iter().max() > dues.iter().min());
    assert!((0..100).all(|_| due(NOW + 600_000, NOW) <= NOW + 33_100));
    assert!(due(NOW - 5, NOW) >= NOW);
}
