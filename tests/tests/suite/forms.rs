//! Chains that sign, encrypt, open and edit vCons: what is stored in the end, also when runs go on after a failure.

use vconductor_core::jose::{Chains, Keys, Payload, Signers, Trust, decrypt, verify};
use vconductor_core::store::TenantScope;
use vconductor_core::vcon::{Form, Vcon};
use vconductor_tests::authority::{Authority, Kind};
use vconductor_tests::stage::{Stage, uuid, vcon};

/// A stage with the keys of us and of a partner in its folder.
struct Setting {
    stage: Stage,
    authority: Authority,
    partner_key: String,
}

impl Setting {
    fn new() -> Setting {
        let (stage, authority) = (Stage::new(), Authority::new());
        let (ours, partner) = (authority.signer(Kind::P256, "ours"), authority.signer(Kind::Rsa, "partner"));
        for (name, text) in [
            ("ours.pem", ours.bundle()),
            ("root.pem", authority.root.clone()),
            ("partner.crt", partner.chain.clone()),
            ("partner.pem", partner.bundle()),
        ] {
            std::fs::write(stage.folder().join(name), text).unwrap();
        }
        Setting { stage, authority, partner_key: partner.key }
    }

    fn links(&self) -> String {
        let folder = self.stage.folder().display();
        format!(
            "links:
  sign: {{module: links.sign, options: {{keys: ['${{file:{folder}/ours.pem}}']}}}}
  encrypt: {{module: links.encrypt, options: {{recipients: ['${{file:{folder}/partner.crt}}']}}}}
  decrypt: {{module: links.decrypt, options: {{keys: ['${{file:{folder}/partner.pem}}']}}}}
  verify: {{module: links.verify, options: {{trust: ['${{file:{folder}/root.pem}}'], unwrap: true, tag: signer}}}}
  tag: {{module: links.tag, options: {{tags: [seen]}}}}
  tag_late: {{module: links.tag, options: {{tags: [late]}}}}
  probe: {{module: links.probe_external, options: {{log: forms, fail_times: 2}}}}
"
        )
    }

    async fn run(&self, steps: &str) {
        let links = self.links();
        let chain = format!(
            "{links}chains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    links: {steps}\n    retry: {{attempts: 20, base: 5ms, cap: 5ms}}\n"
        );
        self.stage.run(&chain).await;
    }

    async fn held(&self, id: &str) -> Vcon {
        Vcon::read(self.stage.store.get(&TenantScope::Everything, id).await.unwrap().unwrap().document).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_signs_and_encrypts_and_another_opens_edits_and_signs() {
    let setting = Setting::new();
    let id = uuid(8_001);
    let text = vcon(&id);
    setting.stage.give("in", &id, &text).await;
    // Links that edit skip the signed form, so that `tag_late` does nothing.
    setting.run("[tag, sign, tag_late, encrypt]").await;
    let encrypted = setting.held(&id).await;
    assert_eq!(encrypted.form(), Form::Encrypted);
    let keys = Keys::read("partner", setting.partner_key.as_bytes()).unwrap();
    let signed = decrypt(encrypted.document(), &keys).unwrap().vcon;
    let trust = Trust::nobody("2026-11-25T00:00:00Z".parse().unwrap())
        .anchors(&Keys::read("root", setting.authority.root.as_bytes()).unwrap());
    assert!(verify(signed.document(), &trust, &Chains::none()).is_accepted(Signers::All));
    let inside = Payload::of(signed.document()).unwrap().innermost().unwrap();
    assert_eq!(inside.tags().len(), 1, "tagged before, not behind");

    assert_eq!(setting.stage.take("out").await.len(), 1);
    let came_in = String::from_utf8(encrypted.to_bytes().to_vec()).unwrap();
    setting.stage.give("in", &id, &came_in).await;
    // The run goes on twice after the vCon was opened, and then once after it was signed.
    setting.run("[decrypt, verify, probe, tag_late, sign, probe]").await;
    assert_eq!(setting.stage.take("out").await.len(), 1, "{:?}", setting.stage.dead("DLQ:in").await);
    let signed = setting.held(&id).await;
    assert!(verify(signed.document(), &trust, &Chains::none()).is_accepted(Signers::All));
    let inside = Payload::of(signed.document()).unwrap().innermost().unwrap();
    let tags: Vec<_> = inside.tags().into_iter().map(|tag| (tag.name, tag.value)).collect();
    assert!(tags.iter().any(|(_, value)| value.as_deref() == Some("ours")), "the signer's name: {tags:?}");
    assert_eq!(tags.len(), 3, "{tags:?}");
}
