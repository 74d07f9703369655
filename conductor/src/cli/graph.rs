//! `graph`: the chains of a configuration as a picture.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::configuration::{self, Configuration};
use super::exit::{Exit, Failure, Result};
use super::output::{self, DIM, STRONG, plain, styled};
use super::plugins;
use crate::flow::{Flow, FlowChain, FlowStep};

const ABOUT: &str = "\
Draw the chains of a configuration

Shows where vCons come from, which chain takes them, through which links, where they are saved and to which lists they go on, \
also those that a link such as tag_router sends them to. Opens no connection.";

const EXAMPLES: &str = "\
Examples:
  vconductor graph chains.yml
  vconductor graph chains.yml --output mermaid      # for a Markdown page
  vconductor graph chains.yml --output dot | dot -Tsvg > chains.svg

Exit codes:
  0 drawn   78 the configuration is wrong";

/// Draw the chains of a configuration
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Graph {
    /// Files and folders of *.yml
    #[arg(value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum GraphFormat {
    /// For people: a block for each chain.
    #[default]
    Text,
    /// A flowchart of Mermaid, which GitHub and GitLab draw in Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// One JSON document.
    Json,
}

impl Graph {
    pub(crate) fn run(&self) -> Result<Exit> {
        let registry = plugins::registry()?;
        let paths = configuration::paths(&self.config, "graph")?;
        let configuration = Configuration::load(&paths, &registry);
        let Some(config) = configuration.usable() else {
            configuration::complain(&configuration.findings);
            return Err(Failure::Silent(Exit::Configuration));
        };
        let flow = Flow::of(config, &registry);
        match self.output {
            GraphFormat::Text => output::print(&text(&flow))?,
            GraphFormat::Mermaid => output::print(&mermaid(&flow))?,
            GraphFormat::Dot => output::print(&dot(&flow))?,
            GraphFormat::Json => output::print_json(&document(&flow))?,
        }
        Ok(Exit::Done)
    }
}

fn text(flow: &Flow) -> String {
    let mut text = String::new();
    for source in &flow.sources {
        text.push_str(&format!("{}  to list {}\n", styled(STRONG, plain(&source.name)), plain(&source.list)));
    }
    for chain in &flow.chains {
        let off = if chain.enabled { "" } else { " (not enabled)" };
        text.push_str(&format!("{}{}\n", styled(STRONG, plain(&chain.name)), styled(DIM, off)));
        let mut row = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                text.push_str(&format!("  {} {}\n", styled(DIM, format!("{what:<9}")), plain(&names.join(", "))));
            }
        };
        row("from", chain.from.clone());
        row("links", chain.steps.iter().map(shown).collect());
        row(
            "storages",
            chain.storages.iter().map(|(name, required)| format!("{name}{}", optional(*required))).collect(),
        );
        row("to", chain.to.clone());
        for (link, list) in chain.pushes() {
            row("routes", vec![format!("{list}, by {link}")]);
        }
    }
    text
}

fn optional(required: bool) -> &'static str {
    if required { "" } else { " (not required)" }
}

/// `tag`, `announce (if)`, `[a | b]`.
fn shown(step: &FlowStep) -> String {
    let links: Vec<String> =
        step.links.iter().map(|link| format!("{}{}", link.name, if link.conditional { " (if)" } else { "" })).collect();
    if links.len() == 1 { links.concat() } else { format!("[{}]", links.join(" | ")) }
}

/// What both picture languages draw: nodes with a shape, and arrows.
struct Picture {
    /// Key, name, what it is.
    nodes: Vec<(String, String, Shape)>,
    /// From, to, label, whether it is dashed.
    arrows: Vec<(String, String, String, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Source,
    List,
    Chain,
    Storage,
}

impl Picture {
    fn of(flow: &Flow) -> Self {
        let mut picture = Picture { nodes: Vec::new(), arrows: Vec::new() };
        for source in &flow.sources {
            let key = picture.node(Shape::Source, &source.name, &source.name);
            let list = picture.node(Shape::List, &source.list, &source.list);
            picture.arrows.push((key, list, String::new(), false));
        }
        for chain in &flow.chains {
            let links: Vec<String> = chain.steps.iter().map(shown).collect();
            let label =
                if links.is_empty() { chain.name.clone() } else { format!("{}\n{}", chain.name, links.join(" → ")) };
            let key = picture.node(Shape::Chain, &chain.name, &label);
            for list in &chain.from {
                let list = picture.node(Shape::List, list, list);
                picture.arrows.push((list, key.clone(), String::new(), false));
            }
            for (storage, required) in &chain.storages {
                let storage = picture.node(Shape::Storage, storage, storage);
                picture.arrows.push((key.clone(), storage, String::new(), !required));
            }
            for list in &chain.to {
                let list = picture.node(Shape::List, list, list);
                picture.arrows.push((key.clone(), list, String::new(), false));
            }
            for (link, list) in chain.pushes() {
                let list = picture.node(Shape::List, list, list);
                picture.arrows.push((key.clone(), list, link.to_owned(), true));
            }
        }
        picture
    }

    /// The key of a node, which is made when it is first named.
    fn node(&mut self, shape: Shape, name: &str, label: &str) -> String {
        let wanted = |(_, own, kind): &&(String, String, Shape)| *kind == shape && own.lines().next() == Some(name);
        if let Some((key, ..)) = self.nodes.iter().find(wanted) {
            return key.clone();
        }
        let key = format!("n{}", self.nodes.len());
        self.nodes.push((key.clone(), label.to_owned(), shape));
        key
    }
}

fn mermaid(flow: &Flow) -> String {
    let picture = Picture::of(flow);
    let written = |text: &str| text.replace('"', "#quot;").replace('\n', "<br/>");
    let mut text = "flowchart LR\n".to_owned();
    for (key, label, shape) in &picture.nodes {
        let (open, close) = match shape {
            Shape::Source => ("([", "])"),
            Shape::List => ("[/", "/]"),
            Shape::Chain => ("[", "]"),
            Shape::Storage => ("[(", ")]"),
        };
        text.push_str(&format!("  {key}{open}\"{}\"{close}\n", written(label)));
    }
    for (from, to, label, dashed) in &picture.arrows {
        let arrow = if *dashed { "-.->" } else { "-->" };
        let label = if label.is_empty() { String::new() } else { format!("|\"{}\"|", written(label)) };
        text.push_str(&format!("  {from} {arrow}{label} {to}\n"));
    }
    text
}

fn dot(flow: &Flow) -> String {
    let picture = Picture::of(flow);
    let written = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut text = "digraph chains {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n".to_owned();
    for (key, label, shape) in &picture.nodes {
        let shape = match shape {
            Shape::Source => "ellipse",
            Shape::List => "parallelogram",
            Shape::Chain => "box",
            Shape::Storage => "cylinder",
        };
        text.push_str(&format!("  {key} [label=\"{}\", shape={shape}];\n", written(label)));
    }
    for (from, to, label, dashed) in &picture.arrows {
        let style = if *dashed { ", style=dashed" } else { "" };
        text.push_str(&format!("  {from} -> {to} [label=\"{}\"{style}];\n", written(label)));
    }
    text.push_str("}\n");
    text
}

fn document(flow: &Flow) -> Value {
    let chain = |chain: &FlowChain| {
        let link = |link: &crate::flow::FlowLink| {
            json!({"name": link.name, "module": link.module, "conditional": link.conditional, "pushes": link.pushes,
                "reads": link.reads, "writes": link.writes})
        };
        let steps: Vec<Vec<Value>> = chain.steps.iter().map(|step| step.links.iter().map(link).collect()).collect();
        let storage = |(name, required): &(String, bool)| json!({"name": name, "required": required});
        json!({
            "name": chain.name,
            "enabled": chain.enabled,
            "ingress_lists": chain.from,
            "steps": steps,
            "storages": chain.storages.iter().map(storage).collect::<Vec<_>>(),
            "egress_lists": chain.to,
        })
    };
    let lists: BTreeSet<&str> = flow.lists();
    json!({
        "sources": flow.sources.iter().map(|source| json!({"name": source.name, "list": source.list})).collect::<Vec<_>>(),
        "lists": lists,
        "chains": flow.chains.iter().map(chain).collect::<Vec<_>>(),
    })
}
