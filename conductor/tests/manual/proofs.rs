//! A page that is wrong is noticed: each kind of mistake, made on purpose.

use libtest_mimic::Trial;

use crate::page::Page;
use crate::{Findings, blocks, environment, expected, root, session, structure};

/// A page in the folder of the book.
fn page(text: &str) -> Page {
    Page::parse("docs/made-up.md", text)
}

fn fails(findings: &Findings, with: &str) {
    assert!(findings.len() == 1 && findings[0].contains(with), "{with}: {findings:?}");
}

fn sessions() {
    let right = page(
        "# A\n```yaml fragment file=a/b.txt\nx: 1\n```\n```console\n$ NAME=world\n$ cat a/b.txt\nx: 1\n$ echo hello \\\n  $NAME\n\
         hello ...\n$ false  # exit 1\n```\n```sh\necho one\ntest $NAME = world\n```\n",
    );
    assert_eq!(session::run(&right), Findings::new());
    fails(&session::run(&page("```console\n$ echo b\na\n```")), "made-up.md:1: $ echo b\nsays\nb\nand not\na");
    fails(&session::run(&page("\n\n```console\n$ false\n```")), "made-up.md:3: $ false\nends with 1");
    fails(&session::run(&page("```console\n$ true  # exit 2\n```")), "ends with 0");
    fails(&session::run(&page("```sh\nfalse\ntrue\n```")), "a command ends with 1");
    fails(&session::run(&page("```sh\nif\n```")), "a command ends with");
    fails(&session::run(&page("```sh\nexit 3\n```")), "the shell ended");
    fails(&session::run(&page("<!-- session: tee -->\n\n```sh\ntrue\n```")), "no direction is called `tee`");
    fails(&session::run(&page("```console\na\n```")), "begins with `$ `");
}

fn servers() {
    let text = "<!-- session: redis -->\n\n```console\n$ redis-cli SET a b\nOK\n$ echo localhost:6379\nlocalhost:6379\n```\n\
                ```console background\n$ echo up; sleep 600\nup\n```\n<!-- session: stop -->\n";
    assert_eq!(session::run(&page(text)), Findings::new());
}

fn configurations() {
    let check = |text: &str| blocks::check(&page(text));
    assert_eq!(check("```yaml\nchains: {a: {ingress_lists: [b], links: []}}\n```"), Findings::new());
    fails(&check("```yaml\nchains: {a: {ingress_lists: [b], links: [c]}}\n```"), "VC0402");
    assert_eq!(check("```yaml fragment\nchains: {a: {ingress_lists: [b], links: [c]}}\n```"), Findings::new());
    fails(&check("```yaml fragment\na: [\n```"), "no YAML");
    assert_eq!(check("```yaml no-check\non: push\n```"), Findings::new());
    fails(&check("```json\n{\n```"), "no JSON");
    fails(&check("```yaml fragmnt\na: 1\n```"), "has no mark `fragmnt`");
    fails(&check("```text file=a.txt\nb\n```"), "readers do not see the mark: say `a.txt`");
    assert_eq!(check("In `a.txt`:\n```text file=a.txt\nb\n```\n```text file=b.txt\n# b.txt\n```"), Findings::new());
    fails(&check("```yml\na: 1\n```"), "no known language: `yml`");
    fails(&check("    indented\n"), "no known language: ``");
    fails(&check("```rust from=conductor/src/main.rs\nfn made_up() {}\n```"), "not in conductor/src/main.rs");
    let other = Page::parse("docs/errors/VC0301.md", "```yaml\nchains: {a: {ingress_lists: [b], links: [c]}}\n```");
    fails(&blocks::check(&other), "does not tell VC0301");
    fails(&blocks::not_run(&[page("```sh no-run\ntrue\n```")]), "wants a reason");
    let many = vec![page("```sh no-run it wants Docker\ntrue\n```"); 40];
    fails(&blocks::not_run(&many), "40 blocks are not run");
}

fn links() {
    let book = |summary: &str, text: &str| {
        let pages = [Page::parse("docs/SUMMARY.md", summary), Page::parse("docs/redis.md", text)];
        structure::check(&root(), &pages)
    };
    let listed = "- [A](redis.md)\n";
    let right =
        "# A\n## The `b` of C, d\n## e\n## e\n[1](#the-b-of-c-d) [2](redis.md#e-1) [3](https://example.com/#x)\n";
    assert_eq!(book(listed, right), Findings::new());
    fails(&book("", "# A\n"), "docs/redis.md is not in docs/SUMMARY.md");
    fails(&book("- [A](redis.md)\n- [B](none.md)\n", "# A\n").split_off(1).into_iter().take(1).collect(), "none.md");
    fails(&book("- [A](redis.md)\n- [B](./redis.md)\n", "# A\n"), "listed twice");
    fails(&book(listed, "# A\n[1](#b)\n"), "docs/redis.md:2: `#b`: docs/redis.md has no heading `b`");
    fails(&book(listed, "# A\n| a |\n|---|\n| [1](gone.md) |\n"), "docs/redis.md:4: `gone.md`: nothing is there");
    fails(&book(listed, "# A\n[1](../README.md)\n"), "write the path of another file as `code`");
    fails(&book(listed, "# A\n[1](errors)\n"), "not to folders");
    fails(&book(listed, "text\n"), "has no heading");
}

/// The tests of the test.
pub(crate) fn trials() -> Vec<Trial> {
    let proofs: [(&str, fn()); 6] = [
        ("lines", expected::lines_are_compared_with_room_for_what_differs),
        ("environment", environment::a_wrong_row_is_noticed),
        ("sessions", sessions),
        ("servers", servers),
        ("configurations", configurations),
        ("links", links),
    ];
    proofs
        .map(|(name, proof)| {
            Trial::test(format!("proofs::{name}"), move || {
                proof();
                Ok(())
            })
        })
        .into()
}
