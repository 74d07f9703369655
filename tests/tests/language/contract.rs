//! What vcon-server's links would have written is what ours write, member by member.

use super::*;

struct Row {
    module: &'static str,
    options: Value,
    says: &'static str,
    writes: Value,
    tags: &'static [&'static str],
}

fn rows() -> Vec<Row> {
    let question = "Is it a complaint?";
    vec![
        Row {
            module: "links.analyze",
            options: json!({"prompt": "Sum up.", "model": "gpt-3.5-turbo-16k"}),
            says: "A refund is wanted.",
            writes: json!({"type": "summary", "dialog": 0, "vendor": "openai", "body": "A refund is wanted.",
                "encoding": "none", "vendor_schema": {"model": "gpt-3.5-turbo-16k", "prompt": "Sum up."}}),
            tags: &[],
        },
        Row {
            module: "links.analyze_and_label",
            options: json!({"prompt": "Labels as JSON?"}),
            says: r#"{"labels": ["refund", "billing"], "why": "said so"}"#,
            writes: json!({"type": "labeled_analysis", "dialog": 0, "vendor": "openai",
                "body": {"labels": ["refund", "billing"], "why": "said so"}, "encoding": "json",
                "vendor_schema": {"model": "gpt-4-turbo", "prompt": "Labels as JSON?"}}),
            tags: &["refund:refund", "billing:billing"],
        },
        Row {
            module: "links.analyze_vcon",
            options: json!({"prompt": "As JSON.", "system_prompt": "You are one."}),
            says: r#"{"score": 3}"#,
            writes: json!({"type": "json_analysis", "dialog": 0, "vendor": "openai", "body": {"score": 3},
                "encoding": "json", "vendor_schema":
                {"model": "gpt-3.5-turbo-16k", "prompt": "As JSON.", "system_prompt": "You are one."}}),
            tags: &[],
        },
        Row {
            module: "links.check_and_tag",
            options: json!({"tag_name": "kind", "tag_value": "complaint", "evaluation_question": question}),
            says: r#"{"applies": true}"#,
            writes: json!({"type": "tag_evaluation", "dialog": 0, "vendor": "openai", "encoding": "json",
                "body": {"link_name": "the_link", "tag": "kind:complaint", "applies": true},
                "vendor_schema": {"model": "gpt-5", "evaluation_question": question}}),
            tags: &["kind:complaint"],
        },
        Row {
            module: "links.check_and_tag",
            options: json!({"tag_name": "kind", "tag_value": true, "evaluation_question": question,
                "verbosity": "low", "minimal_reasoning": true}),
            says: r#"{"applies": false}"#,
            writes: json!({"type": "tag_evaluation", "dialog": 0, "vendor": "openai", "encoding": "json",
                "body": {"link_name": "the_link", "tag": "kind:True", "applies": false},
                "vendor_schema": {"model": "gpt-5", "evaluation_question": question}}),
            tags: &[],
        },
        Row {
            module: "links.detect_engagement",
            options: json!({"prompt": "Both?"}),
            says: " True\n",
            writes: json!({"type": "engagement_analysis", "dialog": 0, "vendor": "openai", "body": "true",
                "encoding": "none", "vendor_schema": {"model": "gpt-4.1", "prompt": "Both?", "is_engaged": true}}),
            tags: &["engagement:true"],
        },
        Row {
            module: "links.detect_engagement",
            options: json!({"prompt": "Both?", "analysis_type": "engaged"}),
            says: "false",
            writes: json!({"type": "engaged", "dialog": 0, "vendor": "openai", "body": "false",
                "encoding": "none", "vendor_schema": {"model": "gpt-4.1", "prompt": "Both?", "is_engaged": false}}),
            tags: &["engagement:false"],
        },
    ]
}

#[tokio::test]
async fn each_link_writes_what_vcon_server_writes() {
    for Row { module, options, says, writes, tags: expected } in rows() {
        let (vendor, speech) = openai().await;
        speech.says(says);
        let link = link(module, at(&vendor, options)).unwrap();
        let after = done(&link, &call()).await;
        let kind = writes["type"].as_str().unwrap();
        assert_eq!(analyses(&after, kind), std::slice::from_ref(&writes), "{module}");
        assert_eq!(tags(&after), expected, "{module}");
        // What is there is not made again, and nobody is asked.
        assert_eq!(done(&link, &after).await, after, "{module}");
        assert_eq!(vendor.calls().len(), 1, "{module}");
        // Everything else is as it was.
        for member in ["vcon", "uuid", "created_at", "parties", "dialog"] {
            assert_eq!(after[member], call()[member], "{module}: {member}");
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_kept_as_text_with_the_reason() {
    let (vendor, speech) = openai().await;
    speech.says("Labels: refund");
    speech.says("Sorry. Labels: refund");
    let link = link("links.analyze_and_label", at(&vendor, json!({}))).unwrap();
    let after = done(&link, &call()).await;
    let [written] = &analyses(&after, "labeled_analysis")[..] else { panic!("one analysis") };
    assert_eq!((written["encoding"].as_str(), written["body"].as_str()), (Some("none"), Some("Sorry. Labels: refund")));
    assert!(written["vendor_schema"]["parse_error"].as_str().unwrap().contains("not JSON"));
    assert!(tags(&after).is_empty());
    assert_eq!(vendor.calls().len(), 2, "it was sent back once");
}

#[tokio::test]
async fn text_generation_writes_what_was_meant() {
    use vconductor_tests::vendors::text_generation::TextGeneration;
    let speech = Speech::new();
    let vendor = Vendor::start(TextGeneration::new(&[KEY], "meta-llama/Llama-2-70b-chat-hf", &speech)).await;
    speech.says("Hello, how may I help?");
    let options = json!({"HUGGINGFACE_API_KEY": KEY, "base_url": format!("{}/models", vendor.url)});
    let link = link("links.hugging_llm_link", options).unwrap();
    let after = done(&link, &call()).await;
    let parameters = json!({"max_length": 1000, "temperature": 0.7});
    let model = "meta-llama/Llama-2-70b-chat-hf";
    assert_eq!(
        analyses(&after, "llm_analysis"),
        [json!({"type": "llm_analysis", "dialog": 0, "vendor": "huggingface", "encoding": "json",
            "body": {"analysis": "Hello, how may I help?", "model": model, "parameters": parameters},
            "vendor_schema": {"opts": {"model": model, "use_local_model": false, "max_length": 1000, "temperature": 0.7}}})]
    );
    assert_eq!(vendor.calls()[0].json().unwrap()["inputs"], "hello I want a refund");
    assert_eq!(done(&link, &after).await, after);
    vendor.will(Fault::Status(503));
    let loading = failed(&link, &vcon(json!([{"type": "transcript", "dialog": 0, "body": "other words"}]))).await;
    assert_eq!((loading.is_retryable(), loading.wait().unwrap().as_secs()), (true, 20));
}

/// `only_if`, on an analyze link (contract 2.0).
#[tokio::test]
async fn a_link_works_only_where_its_condition_holds() {
    let (vendor, _) = openai().await;
    let condition = json!({"section": "attachments", "purpose": "tags", "includes": "kind:complaint"});
    let link = link("links.analyze", at(&vendor, json!({"only_if": condition}))).unwrap();
    let mut vcon = call();
    assert!(analyses(&done(&link, &vcon).await, "summary").is_empty());
    vcon["attachments"] = json!([{"type": "tags", "body": "[\"kind:complaint\"]", "encoding": "json"}]);
    assert_eq!(analyses(&done(&link, &vcon).await, "summary").len(), 1);
    assert_eq!(vendor.calls().len(), 1);
}

#[tokio::test]
async fn dialogs_without_text_are_passed_over_and_others_are_not() {
    let (vendor, _) = openai().await;
    let link = link("links.analyze", at(&vendor, json!({}))).unwrap();
    let mut vcon = vcon(json!([
        {"type": "transcript", "dialog": [1], "body": {"transcript": "one"}},
        {"type": "wtf_transcription", "dialog": 2, "body": {"transcript": {"text": "two", "language": "en"},
            "segments": [{"id": 0, "start": 0.0, "end": 1.0, "text": "two", "confidence": 1.0}], "metadata": {}}},
        {"type": "transcript", "dialog": [3, 4], "body": "three and four"},
        {"type": "transcript", "dialog": 5, "body": ""},
    ]));
    let dialog = vcon["dialog"][0].clone();
    vcon["dialog"] = vec![dialog; 6].into();
    let after = done(&link, &vcon).await;
    let of: Vec<Value> = analyses(&after, "summary").into_iter().map(|analysis| analysis["dialog"].clone()).collect();
    assert_eq!(of, [json!(1), json!(2), json!([3, 4])]);
    assert_eq!(vendor.calls().len(), 3);
}

#[tokio::test]
async fn usage_is_reported_as_vcon_server_reports_it_and_never_paid_for_again() {
    use vconductor_tests::link_stage::{Answer, Receiver};
    let (vendor, _) = openai().await;
    let receiver = Receiver::start().await.unwrap();
    receiver.will_answer("/usage", Answer::status(500));
    let options = json!({"send_ai_usage_data_to_url": format!("{}/usage", receiver.url), "ai_usage_api_token": "t"});
    let link = link("links.analyze", at(&vendor, options)).unwrap();
    done(&link, &call()).await;
    let reports = receiver.received();
    let report = reports[0].json();
    assert_eq!(reports[0].header("authorization"), "Bearer t");
    assert_eq!(
        (&report["type"], &report["sub_type"], &report["unit_type"]),
        (&json!("VCON_PROCESSING"), &json!("ANALYZE"), &json!("tokens"))
    );
    assert_eq!((&report["record_id"], &report["ai_model"]), (&json!(UUID), &json!("gpt-3.5-turbo-16k")));
    assert!(report["input_units"].as_u64().unwrap() > 0 && report["output_units"].as_u64().unwrap() > 0);
    assert_eq!((vendor.calls().len(), reports.len()), (1, 1));
}
