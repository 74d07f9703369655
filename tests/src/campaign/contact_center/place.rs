//! Everything around the chain: its servers and its vendors.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use redis::Connection;
use serde_json::{Value, json};

use crate::recorder::Recorder;
use crate::servers::mongo::MongoServer;
use crate::servers::opensearch::OpenSearchServer;
use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::servers::s3::{BUCKET, S3Server};
use crate::vendors::deepgram::Deepgram;
use crate::vendors::openai_language::OpenAiLanguage;
use crate::vendors::said::Speech;
use crate::vendors::slack::Slack;
use crate::vendors::{Call, Fault, Vendor};

/// The chain, from the root of the repository.
pub(super) const CHAIN: &str = "chains/contact-center.yml";

/// The key of every vendor, which nothing may hold.
pub(super) const KEY: &str = "a-key-of-the-campaign";
/// How long vendors think, so that kills find calls under way.
const THINKS: Duration = Duration::from_millis(15);
/// One conversation in so many is a complaint.
const COMPLAINTS: u64 = 4;

pub(super) struct Place {
    redis: RedisServer,
    s3: S3Server,
    search: OpenSearchServer,
    mongo: MongoServer,
    postgres: PostgresServer,
    receiver: Recorder,
    vendors: [(&'static str, Vendor); 3],
    /// Calls of vendors that were judged already.
    judged: Mutex<BTreeMap<&'static str, usize>>,
}

impl Place {
    pub(super) async fn start() -> Place {
        let speech = Speech::answering(answer);
        let vendors = [
            ("deepgram", Vendor::start(Deepgram::new(&[KEY]).hears_numbers()).await),
            ("openai", Vendor::start(OpenAiLanguage::new(&[KEY], &speech)).await),
            ("slack", Vendor::start(Slack::new(KEY, &["call-alerts"])).await),
        ];
        for (_, vendor) in &vendors {
            vendor.takes(THINKS);
        }
        Place {
            redis: RedisServer::start(),
            s3: S3Server::start(),
            search: OpenSearchServer::start(),
            mongo: MongoServer::start(),
            postgres: PostgresServer::start(),
            receiver: Recorder::start(Duration::from_millis(5)).await.expect("a port"),
            vendors,
            judged: Mutex::default(),
        }
    }

    /// What the chain reads from the environment.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let url = |index: usize, path: &str| format!("{}{path}", self.vendors[index].1.url);
        let s3 = self.s3.options();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let variables = [
            ("DEEPGRAM_KEY", KEY.to_owned()),
            ("DEEPGRAM_URL", url(0, "")),
            ("OPENAI_API_KEY", KEY.to_owned()),
            ("OPENAI_URL", url(1, "/v1")),
            ("SLACK_TOKEN", KEY.to_owned()),
            ("SLACK_URL", url(2, "/api")),
            ("WEBHOOK_SECRET", "whsec_Y2FtcGFpZ24tc2VjcmV0LW9mLXRoZS1jZW50ZXI".to_owned()),
            ("WEBHOOK_URL", self.receiver.url("/conversations")),
            ("POSTGRES_URL", self.postgres.url()),
            ("MONGO_URL", self.mongo.url()),
            ("ELASTICSEARCH_URL", self.search.url()),
            ("S3_BUCKET", BUCKET.to_owned()),
            ("S3_URL", self.s3.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", text(&s3["aws_access_key_id"])),
            ("AWS_SECRET_ACCESS_KEY", text(&s3["aws_secret_access_key"])),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Modules and options with which the storages are looked into from outside.
    pub(super) fn storages(&self) -> [(&'static str, Value); 4] {
        let mut s3 = self.s3.options();
        s3["s3_path"] = json!("calls");
        [
            ("storage.s3", s3),
            ("storage.elasticsearch", json!({"url": self.search.url(), "documents": true})),
            ("storage.mongo", json!({"url": self.mongo.url(), "database": "conserver", "collection": "vcons"})),
            ("storage.postgres", json!({"url": self.postgres.url(), "table_name": "vcons"})),
        ]
    }

    pub(super) fn redis_url(&self) -> String {
        self.redis.url()
    }

    pub(super) fn connect(&self) -> Connection {
        self.redis.connect()
    }

    /// Paid calls by vendor so far.
    pub(super) fn paid(&self) -> BTreeMap<&'static str, usize> {
        self.vendors.iter().map(|(name, vendor)| (*name, vendor.paid())).collect()
    }

    /// Calls by vendor that are to be judged.
    pub(super) fn calls(&self) -> Vec<(&'static str, Vec<Call>)> {
        let judged = self.judged.lock().expect("nobody fails with it");
        let new =
            |name: &&'static str, calls: Vec<Call>| calls.into_iter().skip(judged.get(name).copied().unwrap_or(0));
        self.vendors.iter().map(|(name, vendor)| (*name, new(name, vendor.calls()).collect())).collect()
    }

    /// What was called so far is not judged any more.
    pub(super) fn forget(&self) {
        let seen = self.vendors.iter().map(|(name, vendor)| (*name, vendor.calls().len())).collect();
        *self.judged.lock().expect("nobody fails with it") = seen;
    }

    /// The model refuses its next call and repeats the key.
    pub(super) fn will_be_refused(&self) {
        self.vendors[1].1.will(Fault::Echo(400, format!("no organisation for {KEY}")));
    }

    /// What any vendor refused, in its words.
    pub(super) fn refusals(&self) -> Vec<String> {
        let refused = |(name, vendor): &(&'static str, Vendor)| {
            let calls = vendor.calls().into_iter().filter(|call| !(200..300).contains(&call.status));
            calls.map(|call| format!("{name} refused {} with {}", call.path, call.status)).collect::<Vec<_>>()
        };
        self.vendors.iter().flat_map(refused).collect()
    }
}

/// What the model makes of a request: each task of the chain is known by what it asks for, each conversation by the number
/// that is said in it.
fn answer(request: &str) -> String {
    let number = request.split("number ").filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    let number = number.last().unwrap_or(1);
    let is_complaint = number % COMPLAINTS == 0;
    if request.contains("applies") {
        json!({"applies": is_complaint}).to_string()
    } else if request.contains("participant") {
        let named = |party: &str, role: &str| {
            request.contains(&format!("{party}: ")).then(|| json!({"participant": party, "role": role}))
        };
        let roles: Vec<Value> =
            [named("party 0", "customer"), named("party 1", "agent")].into_iter().flatten().collect();
        json!({"roles": roles}).to_string()
    } else if request.contains("NEEDS REVIEW") {
        format!("{}: they spoke of number {number}.", if is_complaint { "NEEDS REVIEW" } else { "FINE" })
    } else {
        format!("The customer asked about number {number}. The agent looked it up and promised to call back.")
    }
}
