//! The suite that every storage must pass: each case runs on a private place, chosen by the storage's capabilities.
//!
//! A new storage gets a row in `backends.rs`; one without a row fails the suite. One backend or case alone:
//! `cargo test -p vconductor-tests --test storages -- file::older`.

mod backends;
mod cases;
mod crash;
mod elasticsearch;
mod list_cases;
mod mongo;
mod outage;
mod postgres;
mod redis;
mod s3;
mod vcons;

use std::collections::BTreeMap;
use std::path::Path;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;
use vconductor_core::plugin::{StorageEntry, inventory};

use backends::{BACKENDS, Backend, LIMITS, Place, VARIANTS};
use cases::Case;
use vconductor_storages as _;

/// Trials at once.
const AT_ONCE: usize = 4;

fn main() {
    if crash::is_writer() {
        return crash::write_until_killed();
    }
    let mut arguments = Arguments::from_args();
    // The most of a trial is waiting for a server.
    arguments.test_threads.get_or_insert(AT_ONCE);
    let registered: BTreeMap<&str, &'static StorageEntry> = shipped().map(|entry| (entry.module, entry)).collect();
    let mut trials = vec![
        Trial::test("registry::every_example_builds", every_example_builds),
        Trial::test("registry::every_folder_is_registered", every_folder_is_registered),
        Trial::test("file::killed_writer_leaves_whole_files", || {
            crash::killed_writer_leaves_whole_files();
            Ok(())
        }),
    ];
    trials.extend(redis::trials());
    trials.extend(s3::trials());
    trials.extend(elasticsearch::trials());
    trials.extend(postgres::trials());
    trials.extend(mongo::trials());
    for (module, entry) in &registered {
        match BACKENDS.iter().find(|backend| backend.module == *module) {
            Some(backend) => {
                trials.extend(trials_of(module.strip_prefix("storage.").unwrap_or(module), backend, entry));
                let variants = VARIANTS.iter().filter(|(_, variant)| variant.module == *module);
                trials.extend(variants.flat_map(|(name, variant)| trials_of(name, variant, entry)));
            }
            None => {
                let problem = format!("`{module}` has no row in tests/behaviour/storages/backends.rs");
                trials.push(Trial::test(format!("{module}::has_a_row"), || Err(Failed::from(problem))));
            }
        }
    }
    for backend in BACKENDS.iter().filter(|backend| !registered.contains_key(backend.module)) {
        let problem = format!("`{}` has a row, but no storage registers that name", backend.module);
        trials.push(Trial::test(format!("{}::is_registered", backend.module), || Err(Failed::from(problem))));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The probes of the engine's tests may be linked in too; they are no part of what ships.
fn shipped() -> impl Iterator<Item = &'static StorageEntry> {
    inventory::iter::<StorageEntry>.into_iter().filter(|entry| !entry.file.starts_with("tests/"))
}

/// The cases of one storage; those that it does not declare show as ignored.
fn trials_of(name: &str, backend: &'static Backend, entry: &'static StorageEntry) -> Vec<Trial> {
    let cases = cases::CASES.iter().chain(list_cases::CASES).chain(outage::CASES);
    cases
        .map(|case| Trial::ignorable_test(format!("{name}::{}", case.name), move || run(backend, entry, case)))
        .collect()
}

fn run(backend: &Backend, entry: &'static StorageEntry, case: &Case) -> Result<Completion, Failed> {
    let is_beyond = |limit: &&(&str, &str, &str)| limit.0 == backend.module && limit.1 == case.name;
    if let Some((_, _, reason)) = LIMITS.iter().find(is_beyond) {
        return Ok(Completion::ignored_with(*reason));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let place: Place = (backend.place)();
        let subject = cases::Subject { entry, place };
        if !(case.needs)(subject.open().capabilities()) {
            return Ok(Completion::ignored_with("the storage does not declare it"));
        }
        match (case.run)(subject).await {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => Ok(Completion::Completed),
        }
    })
}

/// The example of each manual page is one storage as it stands under `storages:`, with options that it accepts.
fn every_example_builds() -> Result<(), Failed> {
    for entry in shipped() {
        let example: BTreeMap<String, Value> = serde_yaml::from_str(entry.example)?;
        let mut examples = example.into_values();
        let (Some(example), None) = (examples.next(), examples.next()) else {
            return Err(format!("the example of `{}` must hold one storage", entry.module).into());
        };
        if example["module"] != entry.module {
            return Err(format!("the example of `{}` names another module", entry.module).into());
        }
        (entry.build)("example", example["options"].clone()).map_err(|error| error.chain_text())?;
    }
    Ok(())
}

/// What is registered is what lies in the folders: nothing was dropped by the linker, nothing is registered elsewhere.
fn every_folder_is_registered() -> Result<(), Failed> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("../storages/src/all");
    let mut on_disk: Vec<String> = std::fs::read_dir(folders)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    let mut registered: Vec<String> = shipped()
        .filter_map(|entry| Some(Path::new(entry.file).parent()?.file_name()?.to_string_lossy().into_owned()))
        .collect();
    on_disk.sort();
    registered.sort();
    if on_disk == registered {
        return Ok(());
    }
    Err(format!("folders: {on_disk:?}\nregistered: {registered:?}").into())
}
