//! `graph`.

use serde_json::{Value, json};

use super::place::Place;

const CHAINS: &str = "\
ingress:
  twilio: {module: ingress.twilio, list: calls, options: {account_sid: AC0123456789abcdef0123456789abcdef, auth_token: \"${env:TOKEN:-t}\", public_url: 'https://hooks.example.com/ingress/twilio'}}
links:
  tag: {module: links.tag, options: {tags: [new]}}
  route: {module: links.tag_router, options: {tag_routes: {new: sales}}}
  count: {module: links.summary_stats}
storages:
  files: {module: storage.file, options: {path: ./files}}
  copy: {module: storage.file, options: {path: ./copy}}
chains:
  calls:
    ingress_lists: [calls]
    links: [tag, {parallel: [count, {link: route, if: '.parties | length > 1'}]}]
    storages: [files, {storage: copy, required: false}]
    egress_lists: [done]
  sales:
    ingress_lists: [sales]
    links: []
    enabled: false
";

#[test]
fn chains_are_drawn_for_people_pages_and_machines() {
    let place = Place::new();
    place.write("chains.yml", CHAINS);
    let drawn = |form: &str| {
        let told = place.run(&["graph", "chains.yml", "--output", form]);
        assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{form}");
        told.stdout
    };
    insta::assert_snapshot!("graph", [drawn("text"), drawn("mermaid"), drawn("dot")].join("\n"));
    let told: Value = serde_json::from_str(&drawn("json")).unwrap();
    assert_eq!(told["lists"], json!(["calls", "done", "sales"]));
    assert_eq!(told["chains"][0]["steps"][1][1]["pushes"], json!(["sales"]));
    assert_eq!(told["chains"][0]["storages"][1], json!({"name": "copy", "required": false}));
}

#[test]
fn a_wrong_configuration_is_not_drawn() {
    let place = Place::new();
    place.write("chains.yml", CHAINS.replace("[tag, {", "[tga, {"));
    let told = place.run(&["graph", "chains.yml"]);
    assert_eq!((told.code, told.stdout.as_str()), (78, ""));
    assert!(told.stderr.contains("did you mean `tag`?"), "{}", told.stderr);
}
