//! Texts that are too long for one call.

use super::*;

/// A transcript of this many turns of about 15 tokens.
fn long(turns: usize) -> Value {
    let said = |number: usize| format!("Speaker {}: This is what I said as number {number} of many.\n", number % 2);
    vcon(json!([{"type": "transcript", "dialog": 0, "body": (0..turns).map(said).collect::<String>()}]))
}

fn user(call: &vconductor_tests::vendors::Call) -> String {
    let body = call.json().unwrap();
    body["messages"][1]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_long_text_is_cut_between_turns_and_the_answers_are_merged() {
    let (vendor, speech) = openai().await;
    let options = json!({"prompt": "Sum up.", "model": "gpt-4.1", "max_input_tokens": 1000});
    let link = link("links.analyze", at(&vendor, options)).unwrap();
    let vcon = long(60);
    for number in 1..=3 {
        speech.says(format!("answer {number}"));
    }
    let stage = LinkStage::new(UUID);
    let ran = run(&stage, &link, &vcon).await;
    ran.result.as_ref().unwrap();
    let calls = vendor.calls();
    let asked: Vec<String> = calls.iter().map(user).collect();
    let (merge, pieces) = asked.split_last().unwrap();
    assert!(pieces.len() == 2 && merge.contains("answers for its parts"), "{} calls", asked.len());
    let mut heard = 0;
    for (index, piece) in pieces.iter().enumerate() {
        assert!(piece.contains(&format!("part {} of 2", index + 1)) && piece.starts_with("Sum up."), "{piece}");
        for line in piece.lines().filter(|line| line.starts_with("Speaker ")) {
            assert!(line.ends_with(&format!("as number {heard} of many.")), "whole turns in their order: {line}");
            heard += 1;
        }
    }
    assert_eq!(heard, 60, "nothing is left out");
    assert!(merge.contains("Part 1:\nanswer 1") && merge.contains("Part 2:\nanswer 2"), "{merge}");
    assert!(merge.contains("<answers "), "answers are fenced as well");
    let applied = ran.applied(&read(&vcon)).unwrap();
    let after: Value = serde_json::from_slice(&applied.to_bytes()).unwrap();
    assert_eq!(analyses(&after, "summary")[0]["body"], "answer 3");
    let parts: Vec<String> = stage.parts().into_keys().collect();
    assert_eq!(parts, ["dialog 0", "dialog 0 merge 1, 1 of 1", "dialog 0 piece 1 of 2", "dialog 0 piece 2 of 2"]);
}

#[tokio::test]
async fn pieces_that_were_answered_are_not_asked_again() {
    let (vendor, speech) = openai().await;
    let options = json!({"model": "gpt-4.1", "max_input_tokens": 1000, "cache": "off"});
    let link = link("links.analyze", at(&vendor, options)).unwrap();
    let stage = LinkStage::new(UUID);
    let vcon = long(60);
    // A refusal in the second piece ends the first attempt; the next one begins there.
    speech.says("first");
    speech.will(vconductor_tests::vendors::said::Said::Text(String::new()));
    assert!(run(&stage, &link, &vcon).await.result.unwrap_err().is_retryable());
    run(&stage, &link, &vcon).await.result.unwrap();
    let asked: Vec<String> = vendor.calls().iter().map(user).collect();
    let firsts = asked.iter().filter(|text| text.contains("part 1 of 2")).count();
    assert_eq!((asked.len(), firsts), (4, 1));
}

#[tokio::test]
async fn instructions_that_leave_no_room_are_a_fault_of_the_configuration() {
    let (vendor, _) = openai().await;
    let options = json!({"prompt": "Sum up. ".repeat(200), "max_input_tokens": 500});
    let error = failed(&link("links.analyze", at(&vendor, options)).unwrap(), &long(1)).await;
    assert_eq!(error.class(), vconductor_core::Class::Configuration);
    assert!(vendor.calls().is_empty());
}
