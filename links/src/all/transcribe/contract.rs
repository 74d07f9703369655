//! vcon-server's five modules for transcription, each a vendor of its own.

use vconductor_core::config::{Key, Node, Options, Style, Value};

/// Their names, which are other names of this link.
pub(super) const MODULES: [&str; 5] = [
    "links.deepgram_link",
    "links.openai_transcribe",
    "links.groq_whisper",
    "links.hugging_face_whisper",
    "links.wtf_transcribe",
];

/// Options of this link that vcon-server has nowhere; they stay where they are.
const OWN: [&str; 10] = [
    "fallback",
    "fallback_after",
    "format",
    "channels",
    "send",
    "callback",
    "callback_timeout",
    "cache",
    "parallel",
    "vendor",
];

/// Makes options of this link out of those of one of the modules.
pub(super) fn adapted(module: &str, options: Options) -> Options {
    let vendor = match module {
        "links.deepgram_link" => "deepgram",
        "links.openai_transcribe" => "openai",
        "links.groq_whisper" => "groq",
        "links.hugging_face_whisper" => "hugging_face",
        "links.wtf_transcribe" => "vfun",
        _ => return options,
    };
    let whole = &options.node;
    let named = |name: &str, node: Node| (Key { name: name.to_owned(), span: node.span.clone() }, node);
    let (mut own, theirs): (Vec<_>, Vec<_>) =
        whole.entries().iter().cloned().partition(|(key, _)| OWN.contains(&key.name.as_str()));
    let scalar = Node {
        value: Value::String(vendor.to_owned()),
        text: vendor.to_owned(),
        style: Style::Plain,
        ..Node::null(&whole.span)
    };
    own.retain(|(key, _)| key.name != "vendor");
    own.push(named("vendor", scalar));
    let map = |entries| Node { value: Value::Mapping(entries), style: Style::Collection, ..Node::null(&whole.span) };
    own.push(named("vendor_options", map(theirs)));
    Options { node: map(own), path: options.path.clone() }
}
