//! The shipped chain of a contact centre, whole, three times and under some kills: a short run of what
//! `scripts/soak/contact-center` runs for long.

use std::path::Path;

use vconductor_tests::campaign::contact_center::{Order, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_contact_centre_loses_nothing_and_pays_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = Path::new(env!("CARGO_BIN_EXE_conductor_under_test")).to_owned();
    let order = Order { binary, calls: 6, kills: 4, seed: 20_260_103, show: false };
    let found = run(&order, folder.path()).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    if !found.breaches.is_empty() {
        println!("logs: {}", folder.keep().display());
    }
    assert_eq!(found.breaches, Vec::<String>::new(), "seed {}", order.seed);
    assert!(found.done > 0 && found.paid.values().all(|(paid, _)| *paid > 0), "{found:?}");
    println!("{found:?}");
}
