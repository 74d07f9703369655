//! Calls outside: models, tokens, headers; the HTTP API; and that no trace tells what a conversation says.

use std::time::Duration;

use vconductor_tests::collector::Collector;
use vconductor_tests::recorder::Recorder;
use vconductor_tests::stage::{Stage, uuid};
use vconductor_tests::vendors::Vendor;
use vconductor_tests::vendors::openai_audio::OpenAiAudio;
use vconductor_tests::vendors::openai_language::OpenAiLanguage;
use vconductor_tests::vendors::said::Speech;

use super::{launch, only, run, traces, until};

const KEY: &str = "sk-planted-0123456789abcdef";

fn model(vendor: &Vendor) -> String {
    format!(
        "links:\n  sum_up:\n    module: links.analyze\n    options:\n      provider: openai\n      base_url: {}/v1\n      \
         api_key: {KEY}\n      model: gpt-4.1-mini\n      prompt: planted-prompt\n      \
         source: {{analysis_type: transcript, text_location: body}}\n\
         chains:\n  c:\n    ingress_lists: [in]\n    links: [sum_up]\n",
        vendor.url
    )
}

fn spoken(id: &str) -> String {
    let mut vcon: serde_json::Value = serde_json::from_str(&vconductor_tests::stage::vcon(id)).expect("JSON");
    vcon["analysis"] = serde_json::json!([{
        "type": "transcript", "dialog": 0, "vendor": "x", "encoding": "none", "body": "planted-transcript: I want my money back."
    }]);
    vcon.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_model_is_told_by_the_conventions_and_without_what_was_said() {
    let (stage, collector) = (Stage::new(), Collector::start().await);
    let speech = Speech::answering(|_| "planted-answer: a refund.".to_owned());
    let vendor = Vendor::start(OpenAiLanguage::new(&[KEY], &speech)).await;
    stage.give("in", &uuid(1), &spoken(&uuid(1))).await;
    run(launch(&stage, &model(&vendor), collector.environment())).await;
    assert_eq!(vendor.paid(), 1);
    assert_eq!(vendor.calls()[0].header("traceparent"), "", "a vendor need not know our traces");

    let traces = traces(&collector);
    let trace = traces.values().next().expect("a trace");
    let (chat, post) = (only(trace, "chat gpt-4.1-mini"), only(trace, "POST"));
    assert_eq!((chat.parent.as_str(), chat.kind), (only(trace, "link.sum_up").id.as_str(), 3));
    assert_eq!(post.parent, chat.id);
    let said = |name: &str| chat.attributes.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!((said("gen_ai.operation.name"), said("gen_ai.provider.name")), ("chat", "openai"));
    assert_eq!((said("gen_ai.request.model"), said("gen_ai.response.model")), ("gpt-4.1-mini", "gpt-4.1-mini"));
    assert!(said("gen_ai.response.id").starts_with("chatcmpl-"), "{chat:?}");
    assert_eq!(said("gen_ai.response.finish_reasons"), "[stop]");
    let tokens = |name: &str| said(name).parse::<f64>().unwrap_or_else(|_| panic!("{name} of {chat:?}"));
    let (input, output) = (tokens("gen_ai.usage.input_tokens"), tokens("gen_ai.usage.output_tokens"));
    assert!(input > 0.0 && output > 0.0);
    for (kind, count) in [("input", input), ("output", output)] {
        let attributes =
            [("gen_ai.token.type", kind), ("gen_ai.request.model", "gpt-4.1-mini"), ("gen_ai.operation.name", "chat")];
        assert_eq!(collector.value("gen_ai.client.token.usage", &attributes), 1.0);
        let sum: f64 = collector
            .metrics()
            .iter()
            .filter(|((name, found), _)| {
                name == "gen_ai.client.token.usage" && found.get("gen_ai.token.type").is_some_and(|found| found == kind)
            })
            .map(|(_, point)| point.sum)
            .sum();
        assert_eq!(sum, count, "{kind}");
    }
    assert_eq!(collector.value("gen_ai.client.operation.duration", &[("gen_ai.provider.name", "openai")]), 1.0);
    let everything = format!("{:?} {:?} {:?}", collector.spans(), collector.metrics(), collector.resources());
    for planted in [KEY, "planted-prompt", "planted-transcript", "planted-answer", "+12025550123", "hello"] {
        assert!(!everything.contains(planted), "{planted} is told to the collector");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_says_its_status_and_hosts_that_are_named_see_the_trace() {
    let (stage, collector) = (Stage::new(), Collector::start().await);
    let vendor = Vendor::start(OpenAiLanguage::new(&["sk-another"], &Speech::new())).await;
    stage.give("in", &uuid(1), &spoken(&uuid(1))).await;
    let mut environment = collector.environment();
    environment.push(("VCONDUCTOR_TRACEPARENT_TO".to_owned(), "127.0.0.1".to_owned()));
    let mut launch = launch(&stage, &model(&vendor), environment);
    launch.arguments.clear();
    let mut conductor = launch.start(1);
    until("it is refused", || vendor.answered(401) > 0).await;
    until("that is told", || collector.spans().iter().any(|span| span.name == "POST")).await;
    conductor.signal("TERM");
    conductor.wait(super::LIMIT);
    let traces = traces(&collector);
    let trace = traces.values().next().expect("a trace");
    let (chat, post) = (only(trace, "chat gpt-4.1-mini"), only(trace, "POST"));
    assert!(chat.failed && post.failed);
    assert_eq!((chat.attributes["error.type"].as_str(), post.attributes["error.type"].as_str()), ("401", "401"));
    let header = vendor.calls()[0].header("traceparent").to_owned();
    assert_eq!(header, format!("00-{}-{}-01", post.trace, post.id));
    assert_eq!(collector.value("gen_ai.client.operation.duration", &[("error.type", "401")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn transcription_is_told_with_its_seconds() {
    let (stage, collector) = (Stage::new(), Collector::start().await);
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    let id = uuid(1);
    stage.give("in", &id, &crate::transcription::vcon(&id, 3)).await;
    let configuration = crate::transcription::configuration(&vendor, "", "    links: [transcribe]\n");
    run(launch(&stage, &configuration, collector.environment())).await;
    let traces = traces(&collector);
    let trace = traces.values().next().expect("a trace");
    let call = trace.iter().find(|span| span.name.starts_with("transcription ")).expect("the call of the vendor");
    assert_eq!(call.attributes["gen_ai.operation.name"], "transcription");
    let seconds: f64 = call.attributes["vconductor.audio.seconds"].parse().expect("seconds");
    assert!((2.9..3.2).contains(&seconds), "{seconds}");
    assert_eq!(collector.value("gen_ai.client.operation.duration", &[("gen_ai.operation.name", "transcription")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_is_part_of_the_callers_trace_and_its_run_is_linked_to_it() {
    const CALLER: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    const VENDOR: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let (stage, collector) = (Stage::new(), Collector::start().await);
    let recorder = Recorder::start(Duration::ZERO).await.expect("a recorder");
    let configuration = format!(
        "links:\n  call: {{module: links.webhook, options: {{webhook-urls: ['{}']}}}}\n\
         ingress:\n  hook: {{module: ingress.generic, list: in, options: {{map: .body, token: a-token-of-a-vendor}}}}\n\
         chains:\n  c: {{ingress_lists: [in], links: [call]}}\n",
        recorder.url("/call")
    );
    let port = vconductor_tests::servers::redis::free_port();
    let mut environment = collector.environment();
    environment.push(("CONSERVER_API_TOKEN".to_owned(), "a-token-for-tests".to_owned()));
    let mut launch = launch(&stage, &configuration, environment);
    launch.arguments = vec!["--http".to_owned(), format!("127.0.0.1:{port}")];
    let mut conductor = launch.start(1);
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}");
    let started = std::time::Instant::now();
    while client.get(format!("{url}/health")).send().await.is_err() {
        assert!(started.elapsed() < super::LIMIT, "{}", conductor.tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let post = |id: u32, token: &'static str, traceparent: Option<String>| {
        let mut call = client.post(format!("{url}/vcon?ingress_lists=in")).header("x-conserver-api-token", token);
        if let Some(traceparent) = traceparent {
            call = call.header("traceparent", traceparent);
        }
        call.body(vconductor_tests::stage::vcon(&uuid(id))).send()
    };
    let traceparent = format!("00-{}-{}-01", CALLER.0, CALLER.1);
    assert_eq!(post(1, "a-token-for-tests", Some(traceparent.clone())).await.expect("an answer").status(), 201);
    assert_eq!(post(2, "a-token-for-tests", None).await.expect("an answer").status(), 201);
    assert_eq!(post(3, "another", Some(traceparent)).await.expect("an answer").status(), 403);
    let told =
        serde_json::json!({"text": "planted-text", "from": "+15550100", "to": "+15550101", "application": "sms"});
    let hook = client.post(format!("{url}/ingress/hook")).header("authorization", "Bearer a-token-of-a-vendor");
    let hook = hook.header("traceparent", format!("00-{}-{}-01", VENDOR.0, VENDOR.1)).json(&told).send();
    assert_eq!(hook.await.expect("an answer").status(), 200);
    until("all are worked on", || recorder.calls().len() == 3).await;
    let roots = || collector.spans().iter().filter(|span| span.name == "vcon_processing.c").count();
    until("that is told", || roots() == 3).await;
    conductor.signal("TERM");
    assert!(conductor.wait(super::LIMIT).success(), "{}", conductor.tail());

    let traces = traces(&collector);
    let posts: Vec<_> = collector.spans().into_iter().filter(|span| span.name == "POST /vcon").collect();
    assert_eq!(posts.len(), 2, "strangers make no spans: {posts:?}");
    let post = posts.iter().find(|span| span.parent == CALLER.1).expect("below the caller's span");
    assert_eq!(
        (post.trace.as_str(), post.kind, post.attributes["http.response.status_code"].as_str()),
        (CALLER.0, 2, "201")
    );
    let mut told_by_vendor = 0;
    for trace in traces.values().filter(|trace| trace.iter().any(|span| span.name == "vcon_processing.c")) {
        let root = only(trace, "vcon_processing.c");
        let (linked, span) = &root.links[0];
        let is_posted = posts.iter().any(|post| (&post.trace, &post.id) == (linked, span));
        let is_told = (linked.as_str(), span.as_str()) == VENDOR;
        assert!(is_posted != is_told, "{root:?} of {posts:?}");
        told_by_vendor += usize::from(is_told);
    }
    assert_eq!(told_by_vendor, 1, "the trace of a webhook goes through the item that it was");
    let sent = [("messaging.destination.name", "in"), ("messaging.operation.name", "enqueue")];
    assert_eq!(collector.value("messaging.client.sent.messages", &sent), 2.0);
    assert_eq!(
        collector.value("conserver.api.count_vcons_enqueued", &[("ingress_list", "in"), ("source", "new")]),
        2.0
    );
}
