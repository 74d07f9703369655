use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::config::{Environment, Level, Mode, load_text};
use vconductor_core::plugin::{Asked, StorageEntry, inventory};

use super::*;

fn refused(options: Value) -> vconductor_core::Error {
    let options = serde_json::from_value(options).unwrap();
    let Err(error) = RedisStorage::new("archive", options) else { panic!("it was accepted") };
    error
}

#[test]
fn what_cannot_work_is_refused_with_the_option_and_without_the_password() {
    let cases = [
        (json!({"prefix": ""}), "`prefix`"),
        (json!({"prefix": "vcon"}), "`prefix`"),
        (json!({"expires": 0.5}), "`expires`"),
        (json!({"timeout": 0}), "`timeout`"),
        (json!({"redis_url": "http://u:sesame@host"}), "`redis_url`"),
        (json!({"redis_url": "redis://u:sesame@host:6379/x"}), "`redis_url`"),
    ];
    for (options, named) in cases {
        let error = refused(options);
        let text = error.chain_text();
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{text}");
        assert!(text.contains(named) && !text.contains("sesame"), "{text}");
    }
}

struct Bare;

impl Environment for Bare {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::Error::other("none"))
    }
}

/// The findings about a storage at a place that nobody could mistake for a default.
fn findings(head: &str) -> (Mode, Vec<(Level, String)>) {
    let text = format!(
        "{head}storages:\n  archive:\n    module: storage.redis_storage\n    options: {{redis_url: nonsense, prefix: a}}\n"
    );
    let config = load_text("a.yml", &text, &Bare).config.unwrap();
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == RedisStorage::MODULE).unwrap();
    let (mut findings, options) = (Vec::new(), &config.storages[0].options);
    let asked = Asked { name: "archive", module: entry.module, options, mode: &config.mode };
    (entry.configure)(asked, &mut findings);
    let findings = findings.iter().map(|finding| (finding.level, format!("{} {}", finding.span, finding.message)));
    (config.mode.clone(), findings.collect())
}

#[test]
fn the_url_that_vcon_server_ignores_is_ignored_with_a_warning_where_its_files_are_read() {
    let (mode, found) = findings("");
    assert_eq!(mode, Mode::Compatible);
    assert!(
        matches!(&found[..], [(Level::Warning, text)] if text.contains("redis_url") && text.contains(":4:")),
        "{found:?}"
    );
    let (mode, found) = findings("store: embedded:x\n");
    assert!(mode.is_native());
    assert!(matches!(&found[..], [(Level::Error, text)] if text.contains("`redis_url`")), "{found:?}");
}
