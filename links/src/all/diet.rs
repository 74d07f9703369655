//! `links.diet`: takes the weight out of a vCon.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use vconductor_core::document::{Edit, Json, View};
use vconductor_core::http::Request;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::secret::Secret;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

/// Removes what makes a vCon large: recordings, analyses, attachments, prompts.
///
/// A recording that is to be kept elsewhere (`post_media_to_url`) leaves the vCon only after the other side has
/// confirmed it with a URL; while it cannot be reached, the vCon stays as it is and the step is tried again. A
/// recording that was confirmed is not sent again in the same run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// Whether the `body` of every dialog is emptied, or replaced by a URL when `post_media_to_url` is set. Bodies that
    /// are URLs already (`body_type: url`) stay.
    remove_dialog_body: bool,
    /// Where bodies are sent before they are removed: by POST, one JSON object `{content, vcon_uuid, dialog_id}` for
    /// each dialog. The answer must be 2xx with a JSON object that has a `url`. Without it, bodies are not kept.
    post_media_to_url: String,
    /// Whether all analyses are removed.
    remove_analysis: bool,
    /// Media types (`mediatype`, in older vCons `mimetype` or `mime_type`) of the attachments to remove.
    remove_attachment_types: Vec<String>,
    /// Whether every member called `system_prompt` is removed, at any depth.
    remove_system_prompts: bool,
    /// Not supported: bodies cannot be moved to S3 by this link.
    s3_bucket: String,
    /// Belongs to `s3_bucket`.
    s3_path: String,
    /// Belongs to `s3_bucket`.
    aws_access_key_id: Secret,
    /// Belongs to `s3_bucket`.
    aws_secret_access_key: Secret,
    /// Belongs to `s3_bucket`.
    aws_region: String,
    /// Belongs to `s3_bucket`: seconds until its URLs expire.
    presigned_url_expiration: Option<u64>,
}

struct Diet {
    options: Options,
}

register_link!(Diet);

impl LinkPlugin for Diet {
    const MODULE: &'static str = "links.diet";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "\
lighten:
  module: links.diet
  options:
    remove_dialog_body: true
    post_media_to_url: https://media.example.com/upload
    remove_attachment_types: [image/png]
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        if !options.s3_bucket.is_empty() || !options.s3_path.is_empty() {
            return Err(Error::configuration(
                "options `s3_bucket` and `s3_path`: this build has no S3 client for links",
            )
            .help("set `post_media_to_url`, or store the whole vCon with the storage `storage.s3`"));
        }
        if !options.post_media_to_url.is_empty() {
            upload_request(&options.post_media_to_url)?;
        }
        Ok(Diet { options })
    }
}

/// The operator wrote this URL.
fn upload_request(url: &str) -> Result<Request> {
    let refused =
        || Error::configuration("option `post_media_to_url` is not a URL").help("write it like https://host/path");
    let request = Request::post(url).map_err(|error| refused().caused_by(error))?;
    // `localhost:8080/up` reads as a URL with the scheme `localhost`.
    if !matches!(request.url().scheme(), "http" | "https") {
        return Err(refused());
    }
    Ok(request.trusted())
}

#[async_trait]
impl Link for Diet {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        // Bodies last: a prompt may lie inside of a body, and would be looked for in the URL that replaced it.
        let bodies = self.bodies(vcon, context).await?;
        let root = vcon.document().root();
        if self.options.remove_system_prompts {
            let mut prompts = Vec::new();
            system_prompts(root, "", &mut prompts);
            prompts.into_iter().for_each(|pointer| context.edit(Edit::remove(pointer)));
        }
        if self.options.remove_analysis && root.get("analysis").is_some() {
            context.edit(Edit::remove("/analysis"));
        }
        // From behind: elements after a removed one move up.
        for index in self.unwanted_attachments(root).into_iter().rev() {
            context.edit(Edit::remove(format!("/attachments/{index}")));
        }
        bodies.into_iter().for_each(|edit| context.edit(edit));
        Ok(Outcome::Continue)
    }
}

impl Diet {
    /// The edits that replace the bodies of the dialogs.
    async fn bodies(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        if !self.options.remove_dialog_body {
            return Ok(edits);
        }
        let dialogs = vcon.document().get("/dialog").into_iter().flat_map(|list| list.elements());
        for (index, dialog) in dialogs.enumerate() {
            let Some(body) = dialog.get("body").filter(|body| has_weight(dialog, *body)) else { continue };
            let pointer = format!("/dialog/{index}/body");
            if self.options.post_media_to_url.is_empty() {
                edits.push(Edit::set(pointer, Json::string("")));
                continue;
            }
            if context.cancel.is_cancelled() {
                return Err(Error::retryable("stopped before all bodies were sent"));
            }
            let url = self.upload(index, dialog, body, context).await?;
            edits.push(Edit::set(pointer, Json::string(&url)));
            edits.push(Edit::set(format!("/dialog/{index}/body_type"), Json::string("url")));
        }
        Ok(edits)
    }

    /// Sends one body, at most once per run, and returns its new URL.
    async fn upload(
        &self,
        index: usize,
        dialog: View<'_>,
        body: View<'_>,
        context: &LinkContext<'_>,
    ) -> Result<String> {
        let content = body.to_value();
        // With the content's hash, so that an edited vCon never gets the URL of another recording.
        let hash = Sha256::digest(body.text().as_bytes());
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let part = format!("dialog {index} {hash}");
        let dialog_id = dialog.get("id").map_or_else(|| json!(""), |id| id.to_value());
        let message = json!({"content": content, "vcon_uuid": context.step.uuid, "dialog_id": dialog_id});
        let request = upload_request(&self.options.post_media_to_url)?
            .header("Idempotency-Key", &context.effect_id(&part))?
            .json(&message)?;
        let send = async {
            let answer: serde_json::Value = context.http.send(&request).await?.json()?;
            match answer["url"].as_str() {
                Some(url) if !url.is_empty() => Ok(url.to_owned()),
                _ => Err(Error::permanent(format!("{}: the answer has no `url`", request.shown()))
                    .help("the receiver must answer with a JSON object that has the new URL of the body as `url`")),
            }
        };
        context.once(&part, send).await.map_err(|error| error.within(format_args!("body of dialog {index}")))
    }
}

/// Whether there is something to remove; a body that was replaced before is not.
fn has_weight(dialog: View<'_>, body: View<'_>) -> bool {
    let is_url = dialog.get("body_type").and_then(|kind| kind.as_str()).is_some_and(|kind| kind == "url");
    let is_empty = body.is_null() || body.as_str().is_some_and(|text| text.is_empty());
    !is_url && !is_empty
}

impl Diet {
    /// The indices of the attachments whose media type is listed.
    fn unwanted_attachments(&self, root: View<'_>) -> Vec<usize> {
        let unwanted = |attachment: &View<'_>| {
            ["mediatype", "mimetype", "mime_type"]
                .into_iter()
                .filter_map(|name| attachment.get(name)?.as_str())
                .any(|found| self.options.remove_attachment_types.iter().any(|listed| *listed == found))
        };
        let attachments = root.get("attachments").into_iter().flat_map(|list| list.elements()).enumerate();
        attachments.filter(|(_, attachment)| unwanted(attachment)).map(|(index, _)| index).collect()
    }
}

/// Collects the pointers of all members called `system_prompt`, not looking into them.
fn system_prompts(view: View<'_>, pointer: &str, found: &mut Vec<String>) {
    for (name, value) in view.members() {
        let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        if name == "system_prompt" {
            found.push(inner);
        } else {
            system_prompts(value, &inner, found);
        }
    }
    for (index, value) in view.elements().enumerate() {
        system_prompts(value, &format!("{pointer}/{index}"), found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vconductor_core::Class;

    use super::*;
    use crate::link_stage::{Answer, LinkStage, Ran, Receiver};

    fn diet(options: Value) -> Result<Diet> {
        Diet::new("diet", serde_json::from_value(options).unwrap())
    }

    fn two_recordings() -> Vcon {
        let dialog = json!([{"id": "d0", "body": "AAAA", "encoding": "base64url"}, {"url": "x"}, {"body": "BBBB"}]);
        Vcon::read(json!({"uuid": "u", "dialog": dialog}).to_string()).unwrap()
    }

    fn after(ran: &Ran, vcon: &Vcon) -> Value {
        ran.applied(vcon).unwrap().document().root().to_value()
    }

    #[tokio::test]
    async fn each_option_removes_its_part() {
        let vcon = json!({
            "uuid": "u",
            "system_prompt": "1",
            "dialog": [
                {"body": "AAAA"}, {"body": {"system_prompt": "x"}}, 5, {"body": "https://x", "body_type": "url"}
            ],
            "analysis": [{"type": "a", "a/b": {"system_prompt": "2", "keep": 1}}],
            "attachments": [
                {"mime_type": "image/png"}, {"mimetype": "image/png"}, {"mediatype": "text/plain"},
                {"mediatype": "image/png"}
            ],
        });
        let with = |changes: &[(&str, Value)]| {
            let mut vcon = vcon.clone();
            for (pointer, value) in changes {
                *vcon.pointer_mut(pointer).unwrap() = value.clone();
            }
            vcon
        };
        let mut without_analysis = vcon.clone();
        without_analysis.as_object_mut().unwrap().remove("analysis");
        let mut without_prompts = with(&[("/dialog/1/body", json!({})), ("/analysis/0/a~1b", json!({"keep": 1}))]);
        without_prompts.as_object_mut().unwrap().remove("system_prompt");
        for (options, expected) in [
            (json!({}), vcon.clone()),
            (json!({"s3_bucket": "", "aws_region": "us-east-1", "presigned_url_expiration": null}), vcon.clone()),
            (
                json!({"remove_dialog_body": true}),
                with(&[("/dialog/0/body", json!("")), ("/dialog/1/body", json!(""))]),
            ),
            (json!({"remove_analysis": true}), without_analysis),
            (
                json!({"remove_attachment_types": ["image/png"]}),
                with(&[("/attachments", json!([{"mediatype": "text/plain"}]))]),
            ),
            (json!({"remove_system_prompts": true}), without_prompts),
            (
                json!({"remove_system_prompts": true, "remove_dialog_body": true, "remove_analysis": true,
                       "remove_attachment_types": ["image/png", "text/plain"]}),
                json!({"uuid": "u", "attachments": [],
                       "dialog": [{"body": ""}, {"body": ""}, 5, {"body": "https://x", "body_type": "url"}]}),
            ),
        ] {
            let link = diet(options.clone()).unwrap();
            let before = Vcon::read(vcon.to_string()).unwrap();
            let ran = LinkStage::new("u").run(&link, &before).await;
            assert_eq!(after(&ran, &before), expected, "{options}");
            let again = ran.applied(&before).unwrap();
            let ran = LinkStage::new("u").run(&link, &again).await;
            assert_eq!(after(&ran, &again), expected, "{options} again");
        }
    }

    #[tokio::test]
    async fn a_body_is_replaced_by_the_url_that_the_receiver_gives() {
        let receiver = Receiver::start().await.unwrap();
        let url = format!("{}/up", receiver.url);
        let link = diet(json!({"remove_dialog_body": true, "post_media_to_url": url})).unwrap();
        let vcon = two_recordings();
        let ran = LinkStage::new("u").run(&link, &vcon).await;
        assert_eq!(
            after(&ran, &vcon)["dialog"],
            json!([
                {"id": "d0", "body": "https://media.test/1", "encoding": "base64url", "body_type": "url"},
                {"url": "x"},
                {"body": "https://media.test/2", "body_type": "url"}
            ])
        );
        let sent: Vec<_> = receiver.received().iter().map(|call| call.json()).collect();
        assert_eq!(sent[0], json!({"content": "AAAA", "vcon_uuid": "u", "dialog_id": "d0"}));
        assert_eq!(sent[1], json!({"content": "BBBB", "vcon_uuid": "u", "dialog_id": ""}));
    }

    #[tokio::test]
    async fn a_failed_upload_keeps_the_body_and_is_continued_where_it_failed() {
        let receiver = Receiver::start().await.unwrap();
        let link = diet(json!({"remove_dialog_body": true, "post_media_to_url": receiver.url})).unwrap();
        receiver.will_answer("/", Answer::status(200).body(r#"{"url":"https://kept/0"}"#));
        receiver.will_answer("/", Answer::status(503).header("retry-after", "7"));
        let (stage, vcon) = (LinkStage::new("u"), two_recordings());
        let ran = stage.run(&link, &vcon).await;
        let error = ran.result.unwrap_err();
        assert!(error.is_retryable() && error.message().contains("dialog 2"), "{error}");
        assert_eq!(error.wait().map(|wait| wait.as_secs()), Some(7));
        assert!(ran.requested.edits.is_empty());
        let ran = stage.run(&link, &vcon).await;
        let dialog = &after(&ran, &vcon)["dialog"];
        assert_eq!(
            (&dialog[0]["body"], &dialog[2]["body"]),
            (&json!("https://kept/0"), &json!("https://media.test/3"))
        );
        let calls = receiver.received();
        assert_eq!(calls.len(), 3, "the first body is not sent again");
        assert_eq!(calls[1].header("idempotency-key"), calls[2].header("idempotency-key"));
        assert_ne!(calls[0].header("idempotency-key"), calls[1].header("idempotency-key"));
    }

    #[tokio::test]
    async fn an_answer_without_url_is_an_error() {
        let receiver = Receiver::start().await.unwrap();
        let link = diet(json!({"remove_dialog_body": true, "post_media_to_url": receiver.url})).unwrap();
        for (answer, class) in [
            (Answer::status(200).body("{}"), Class::Permanent),
            (Answer::status(200).body(r#"{"url":""}"#), Class::Permanent),
            (Answer::status(200).body("<html>"), Class::Retryable),
            (Answer::status(400), Class::Permanent),
            (Answer::status(302).header("location", "/else"), Class::Permanent),
        ] {
            receiver.will_answer("/", answer);
            let ran = LinkStage::new("u").run(&link, &two_recordings()).await;
            assert_eq!(ran.result.unwrap_err().class(), class);
            assert!(ran.requested.edits.is_empty());
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for options in [
            json!({"s3_bucket": "b"}),
            json!({"s3_path": "p"}),
            json!({"post_media_to_url": "media"}),
            json!({"post_media_to_url": "media:80/up"}),
        ] {
            assert_eq!(diet(options.clone()).err().unwrap().class(), Class::Configuration, "{options}");
        }
    }
}
