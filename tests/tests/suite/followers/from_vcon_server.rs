//! From vcon-server: its read of a list takes away, so that nothing may be lost afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use vconductor_core::error::Class;
use vconductor_core::store::TenantScope;
use vconductor_tests::servers::vcon_server::{TOKEN, Trouble, VconServer};
use vconductor_tests::stage::{uuid, vcon};

use super::place::{Place, was_killed};

fn fill(server: &VconServer, numbers: std::ops::Range<u32>) -> BTreeMap<String, usize> {
    numbers
        .map(|number| {
            server.push("done", &uuid(number), &vcon(&uuid(number)));
            (uuid(number), 1)
        })
        .collect()
}

/// What arrives is what was there, byte for byte, each once; what goes wrong meanwhile costs nothing but time.
#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_once_through_refusals_slowness_and_answers_that_break_off() {
    for place in [Place::embedded(), Place::redis().await] {
        let server = VconServer::start().await;
        let expected = fill(&server, 0..40);
        let slow = Trouble::Slow(Duration::from_millis(400));
        server.trouble("/vcon/egress", &[Trouble::Status(500), Trouble::Status(503), slow]);
        server.trouble(&format!("/vcon/{}", uuid(3)), &[Trouble::Status(500), Trouble::Cut, slow]);
        server.trouble(&format!("/vcon/{}", uuid(4)), &[Trouble::Cut, Trouble::Cut]);
        server.trouble(&format!("/vcon/{}", uuid(5)), &[Trouble::Status(403)]);
        let output = place.run(&server.url(), TOKEN, None).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // A refused pull counts as idle, so that a run until idle comes to its end; here it came back in time or not.
        let again = place.run(&server.url(), TOKEN, None).await;
        assert!(output.status.success() && again.status.success(), "{told}");
        let last = place.run(&server.url(), TOKEN, None).await;
        assert!(last.status.success());
        assert_eq!(place.out().await, expected, "{told}");
        let stored =
            place.stage.store.get(&TenantScope::Everything, &uuid(3)).await.expect("an answer").expect("a document");
        assert_eq!(stored.document, vcon(&uuid(3)), "not a byte is changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_one_is_a_dead_letter_and_holds_nobody_up() {
    let place = Place::embedded();
    let server = VconServer::start().await;
    server.push_id("done", "gone");
    server.push_id("done", "../../version");
    server.push("done", &uuid(90), "{\"detail\": [");
    let expected = fill(&server, 0..20);
    let output = place.run(&server.url(), TOKEN, None).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.out().await, expected);
    let dead = place.stage.dead("DLQ:followers:north").await;
    let mut reasons: Vec<_> =
        dead.iter().map(|letter| (letter.uuid.as_str(), letter.failure.class, letter.failure.step.as_str())).collect();
    reasons.sort_by_key(|(uuid, ..)| uuid.to_owned());
    let step = "fetch from north";
    let permanent = Class::Permanent;
    assert_eq!(
        reasons,
        [("../../version", permanent, step), (uuid(90).as_str(), permanent, step), ("gone", permanent, step)]
    );
    assert!(dead.iter().all(|letter| letter.failure.help.is_some() || letter.uuid == uuid(90)));
    let asked = server.requests();
    assert!(!asked.iter().any(|path| path.contains("version") && !path.contains("..")), "{asked:?}");
    // Revived when it is there again, it arrives.
    server.push("other", "gone", &vcon(&uuid(91)));
    let gone = dead.iter().find(|letter| letter.uuid == "gone").expect("a letter");
    assert!(place.stage.store.revive(gone.run).await.expect("an answer"));
    place.run(&server.url(), TOKEN, None).await;
    assert_eq!(place.out().await, BTreeMap::from([("gone".to_owned(), 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_takes_nothing_and_is_told_with_its_fix() {
    let place = Place::embedded();
    let server = VconServer::start().await;
    fill(&server, 0..3);
    let output = place.run(&server.url(), "sesame-open-up", None).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("403") && told.contains("check the API key") && !told.contains("sesame"), "{told}");
    assert_eq!((server.len("done"), server.replies().len()), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_follower_loses_nothing_but_the_reply_in_flight() {
    let points =
        ["follow_reply_read", "follow_noted", "follow_listed", "follow_fetched", "follow_stored", "follow_enqueued"];
    killed_at(&points, &[1, 2, 5], Place::embedded()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_follower_on_redis_loses_nothing_but_the_reply_in_flight() {
    // What a killed process held on Redis waits for the end of its lease, so one point has to do.
    killed_at(&["follow_listed"], &[2], Place::redis().await).await;
}

/// At each point the process is killed once or more; in the end each vCon has arrived, once, but for the one thing that the
/// documentation names: the reply in flight is lost.
async fn killed_at(points: &[&str], counts: &[u32], place: Place) {
    let server = VconServer::start().await;
    let mut expected = BTreeMap::new();
    let (mut lost, mut in_flight): (Vec<String>, Vec<String>) = Default::default();
    let mut next = 0;
    for point in points {
        for count in counts {
            expected.append(&mut fill(&server, next..next + 40));
            next += 40;
            let output = place.run(&server.url(), TOKEN, Some(&format!("{point}:{count}"))).await;
            assert!(
                was_killed(&output),
                "{point}:{count} was never passed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let in_hand = server.replies().last().cloned().expect("a reply");
            match *point {
                "follow_reply_read" => lost.extend(in_hand),
                "follow_noted" | "follow_listed" => {}
                // While what was taken is fetched, the next reply may be on its way.
                _ => in_flight.extend(in_hand),
            }
            assert!(place.run(&server.url(), TOKEN, None).await.status.success());
        }
    }
    let arrived = place.out().await;
    let missing: Vec<&String> = expected.keys().filter(|uuid| !arrived.contains_key(*uuid)).collect();
    assert!(lost.iter().all(|uuid| missing.contains(&uuid)), "{missing:?}");
    assert!(missing.iter().all(|uuid| lost.contains(uuid) || in_flight.contains(uuid)), "{missing:?}");
    assert!(arrived.values().all(|count| *count == 1), "{arrived:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_conductors_share_what_is_to_be_fetched() {
    let place = Place::redis().await;
    let server = VconServer::start().await;
    let expected = fill(&server, 0..200);
    // Both run in one folder: one of them pulls, both fetch.
    let (_one, _two) = (place.start(&server.url(), TOKEN), place.start(&server.url(), TOKEN));
    let started = std::time::Instant::now();
    loop {
        let lists = place.stage.store.lists().await.expect("lists");
        let out = lists.iter().find(|status| status.list == "out").map_or(0, |status| status.waiting);
        if out == 200 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{lists:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.out().await, expected);
}
