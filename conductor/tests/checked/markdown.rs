//! Configurations in Markdown files.

use std::path::Path;

use serde_json::Value;

use crate::place::{Place, done};

const PAGE: &str = "\
# A page

Other YAML is not looked at:

```yaml
services:
  redis: {image: redis}
```

A part of a configuration, with a variable that nobody set and a mistake:

```yaml
links:
  summarise:
    module: links.analyze
    options: {api_key: \"${env:NOBODY_SET_THIS}\", sampling_rate: 50}
```

- In a list, all of one:

  ```yml
  store: embedded:./data
  links:
    tag: {module: links.tag}
  chains:
    calls: {ingress_lists: [calls], links: [tga]}
  ```

The links of this one are elsewhere:

```yaml fragment
chains:
  calls: {ingress_lists: [calls], links: [tag], storages: [s3], concurency: 3, weight: 2}
```

This one is wrong on purpose:

```yaml no-check
chains: 1
```
";

#[test]
fn findings_are_at_the_lines_of_the_file() {
    let place = Place::new();
    place.write("page.md", PAGE);
    let said = place.run(&["check", "page.md"]);
    insta::assert_snapshot!("markdown", said.all());
    let document: Value = serde_json::from_str(&place.run(&["check", "page.md", "--output", "json"]).stdout).unwrap();
    let blocks: Vec<_> =
        document["blocks"].as_array().unwrap().iter().map(|block| (&block["line"], &block["extent"])).collect();
    assert_eq!(
        format!("{blocks:?}"),
        r#"[(Number(13), String("part")), (Number(22), String("whole")), (Number(32), String("part"))]"#
    );
}

#[test]
fn yaml_and_markdown_are_checked_together_and_folders_hold_yaml_alone() {
    let place = Place::new();
    let good = "store: embedded:./data\nlinks: {tag: {module: links.tag}}\nchains: {calls: {ingress_lists: [calls], links: [tag]}}\n";
    place
        .write("conf/chains.yml", good)
        .write("conf/page.md", PAGE)
        .write("docs/good.md", format!("```yaml\n{good}```\n"));
    let folder = place.run(&["check", "conf", "--deny-warnings"]);
    assert_eq!(folder.code, 0, "{}", folder.all());
    let both = place.run(&["check", "conf", "docs/*.md", "--deny-warnings"]);
    assert_eq!(both.code, 0, "{}", both.all());
    assert!(
        both.stdout.contains("1 chain, 1 link, no storages; 1 configuration in 1 Markdown file: no errors"),
        "{}",
        both.all()
    );
    let all = place.run(&["check", "conf", "**/*.md"]);
    assert_eq!(all.code, 78, "{}", all.all());
    let none = place.run(&["check", "*.md"]);
    assert_eq!((none.code, none.stderr.contains("no file matches")), (2, true), "{}", none.all());
    place.write("empty.md", "nothing here\n");
    let empty = place.run(&["check", "empty.md"]);
    assert_eq!(empty.code, 0);
    assert!(empty.stdout.contains("no configurations in Markdown"), "{}", empty.all());
}

/// Every page of this repository, with no variable set.
#[test]
fn the_documentation_of_this_project_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let place = Place::new();
    let pages =
        ["README.md", "docs/*.md", "docs/reference/*/*.md"].map(|pattern| root.join(pattern).display().to_string());
    let mut arguments = vec!["check", "--deny-warnings", "--output", "json"];
    arguments.extend(pages.iter().map(String::as_str));
    let said = place.run(&arguments);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    let shown = [("checking.md", "VC0507"), ("moving-from-vcon-server.md", "VC0601")];
    let is_shown = |finding: &&Value| {
        let (file, code) = (finding["file"].as_str().unwrap(), finding["code"].as_str().unwrap());
        shown.iter().any(|(page, on_purpose)| file.ends_with(page) && code == *on_purpose)
    };
    // Two pages show a warning on purpose; nothing else is wrong anywhere.
    let findings: Vec<&Value> = document["findings"].as_array().unwrap().iter().collect();
    let wrong: Vec<_> = findings.iter().filter(|finding| !is_shown(finding)).collect();
    assert_eq!((wrong.len(), findings.len()), (0, shown.len()), "{wrong:#?}");
    assert!(document["blocks"].as_array().unwrap().len() >= 10);
}

/// Without the secrets of a deployment, the shipped chains pass as they do with them.
#[test]
fn what_is_not_set_may_be_taken_as_set() {
    let chains = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains");
    for file in ["contact-center.yml", "telephony.yml", "quickstart.yml"] {
        let path = chains.join(file).display().to_string();
        let place = Place::new();
        let said = place.run(&["check", &path, "--assume-env", "--deny-warnings"]);
        assert_eq!(said.code, 0, "{file}: {}", said.all());
        let wrong = std::fs::read_to_string(&path).unwrap().replacen("module: links.tag", "module: links.tga", 1);
        if wrong.contains("tga") {
            place.write("wrong.yml", wrong);
            assert_eq!(place.run(&["check", "wrong.yml", "--assume-env"]).code, 78, "{file}");
        }
    }
    let place = Place::new();
    place.write("a.yml", "store: embedded:./d\nlinks:\n  t: {module: links.tag, options: {tags: [\"${env:TEAM}\"]}}\nchains:\n  c: {ingress_lists: [c], links: [t], weight: \"${env:WEIGHT}\"}\n");
    assert_eq!(
        place.run(&["check", "a.yml", "--assume-env"]).code,
        0,
        "{}",
        place.run(&["check", "a.yml", "--assume-env"]).all()
    );
    assert_eq!(place.run(&["check", "a.yml"]).code, 78);
    let set = done(place.command(&["check", "a.yml", "--assume-env"]).env("WEIGHT", "heavy"));
    assert_eq!(set.code, 78, "what is set is judged: {}", set.all());
}
