//! The bucket: one call per function, with classed errors.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use bytes::Bytes;
use tokio::sync::OnceCell;
use vconductor_core::{Error, Result};

use super::fault::{Refused, refused};
use super::options::{Options, Sse};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Keys that S3 lists at once (Amazon S3 API reference, `ListObjectsV2`, `MaxKeys`).
const PAGE: i32 = 1000;
/// The region of a bucket that nobody says anything about.
const REGION: &str = "us-east-1";

/// What must hold when an object is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing.
    None,
    /// There is no such object.
    Absent,
    /// The object is still the one with this tag.
    Matches(String),
}

/// An object to write.
#[derive(Debug, Clone)]
pub(super) struct Upload<'a> {
    pub(super) key: &'a str,
    pub(super) content: Bytes,
    pub(super) mediatype: &'a str,
    pub(super) metadata: HashMap<String, String>,
    pub(super) condition: Condition,
}

/// What is known of an object without its content.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) tag: String,
    pub(super) metadata: HashMap<String, String>,
}

/// A bucket on a server.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) name: String,
    /// As people name it, without secrets.
    pub(super) place: String,
    pub(super) part_size: usize,
    options: Options,
    /// Made at the first use: looking for credentials may open sockets.
    client: OnceCell<Client>,
}

impl Bucket {
    /// Opens no socket.
    pub(super) fn new(options: &Options) -> Self {
        let name = options.aws_bucket.clone();
        let place = match &options.endpoint_url {
            Some(endpoint) => format!("bucket `{name}` on {endpoint}"),
            None => format!("bucket `{name}`"),
        };
        let part_size = usize::try_from(options.part_size.0).unwrap_or(usize::MAX);
        Bucket { name, place, part_size, options: options.clone(), client: OnceCell::new() }
    }

    pub(super) async fn client(&self) -> &Client {
        self.client.get_or_init(|| connect(&self.options)).await
    }

    pub(super) fn refused<E>(
        &self,
        error: &aws_sdk_s3::error::SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
    ) -> Refused
    where
        E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        refused(&self.place, error)
    }

    /// Encryption and storage class of everything that is written.
    pub(super) fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>, Option<StorageClass>) {
        let sse = self.options.sse.map(|sse| match sse {
            Sse::Aes256 => ServerSideEncryption::Aes256,
            Sse::Kms => ServerSideEncryption::AwsKms,
        });
        let class = self.options.storage_class.as_deref().map(StorageClass::from);
        (sse, self.options.sse_kms_key_id.clone(), class)
    }

    /// Where people find an object. Keys are of letters that URLs may hold, but for the `%` of odd uuids.
    pub(super) fn url(&self, key: &str) -> String {
        let key = key.replace('%', "%25").replace(' ', "%20");
        if let Some(base) = &self.options.media_url {
            return format!("{}/{key}", base.trim_end_matches('/'));
        }
        match &self.options.endpoint_url {
            Some(endpoint) => format!("{}/{}/{key}", endpoint.trim_end_matches('/'), self.name),
            None => {
                let region = self.options.aws_region.as_deref().unwrap_or(REGION);
                format!("https://{}.s3.{region}.amazonaws.com/{key}", self.name)
            }
        }
    }

    /// Writes an object, in parts if it is large. Answers its tag.
    pub(super) async fn put(&self, upload: Upload<'_>) -> Result<String, Refused> {
        if upload.content.len() > self.part_size {
            return super::parts::put(self, upload).await;
        }
        let (sse, key_id, class) = self.encryption();
        let (absent, matches) = upload.condition.headers();
        let request = self.client().await.put_object().bucket(&self.name).key(upload.key);
        let sent = request
            .content_type(upload.mediatype)
            .set_metadata(Some(upload.metadata))
            .set_server_side_encryption(sse)
            .set_ssekms_key_id(key_id)
            .set_storage_class(class)
            .set_if_none_match(absent)
            .set_if_match(matches)
            .body(upload.content.into())
            .send()
            .await;
        match sent {
            Ok(written) => Ok(written.e_tag().unwrap_or_default().to_owned()),
            // It was deleted since it was looked at.
            Err(error) => match self.refused(&error) {
                Refused::Missing => Err(Refused::Changed),
                other => Err(other),
            },
        }
    }

    /// The content of an object and what is known of it.
    pub(super) async fn get(&self, key: &str) -> Result<Option<(Bytes, Head)>> {
        let sent = self.client().await.get_object().bucket(&self.name).key(key).send().await;
        let found = match sent.map_err(|error| self.refused(&error)) {
            Ok(found) => found,
            Err(Refused::Missing) => return Ok(None),
            Err(other) => return Err(other.into_error()),
        };
        let tag = found.e_tag().unwrap_or_default().to_owned();
        let metadata = found.metadata().cloned().unwrap_or_default();
        let content = found.body.collect().await.map_err(|error| {
            Error::retryable(format!("{}: the object broke off while it was read", self.place))
                .help("it is tried again")
                .caused_by(error)
        })?;
        Ok(Some((content.into_bytes(), Head { tag, metadata })))
    }

    /// What is known of an object.
    pub(super) async fn head(&self, key: &str) -> Result<Option<Head>> {
        match self.client().await.head_object().bucket(&self.name).key(key).send().await {
            Ok(found) => Ok(Some(Head {
                tag: found.e_tag().unwrap_or_default().to_owned(),
                metadata: found.metadata().cloned().unwrap_or_default(),
            })),
            Err(error) => match self.refused(&error) {
                Refused::Missing => Ok(None),
                other => Err(other.into_error()),
            },
        }
    }

    /// Deletes an object. With a tag: only if it is still that one. Servers that do not look at conditions of deletes may
    /// ignore them without a word, so it is looked at before as well.
    pub(super) async fn delete(&self, key: &str, tag: Option<String>) -> Result<()> {
        if let Some(tag) = &tag
            && self.head(key).await?.is_none_or(|head| head.tag != *tag)
        {
            return Ok(());
        }
        let conditional = tag.filter(|_| self.options.conditional_writes);
        let request = || async { self.client().await.delete_object().bucket(&self.name).key(key) };
        if let Some(tag) = conditional {
            match request().await.if_match(tag).send().await {
                Ok(_) => return Ok(()),
                // Conditional deletes came long after conditional writes; a server without them says so.
                Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 501) => {}
                Err(error) => match self.refused(&error) {
                    Refused::Missing | Refused::Changed => return Ok(()),
                    other => return Err(other.into_error()),
                },
            }
        }
        match request().await.send().await {
            Ok(_) => Ok(()),
            Err(error) => match self.refused(&error) {
                Refused::Missing => Ok(()),
                other => Err(other.into_error()),
            },
        }
    }

    /// At most `limit` of the keys that start with `prefix`, in their order, from behind `after` on; and whether they are the last.
    pub(super) async fn keys(&self, prefix: &str, after: Option<String>, limit: usize) -> Result<(Vec<String>, bool)> {
        let request = self.client().await.list_objects_v2().bucket(&self.name).prefix(prefix);
        let limit = i32::try_from(limit).unwrap_or(i32::MAX).min(PAGE);
        let page = request.set_start_after(after.clone()).max_keys(limit).send().await;
        let page = page.map_err(|error| self.refused(&error).into_error())?;
        let keys: Vec<String> = page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
        let is_last = page.is_truncated() != Some(true);
        let stands_still = match keys.first() {
            Some(first) => after.is_some_and(|after| *first <= after),
            None => !is_last,
        };
        if stands_still {
            return Err(Error::permanent(format!(
                "{}: the server does not list on from the key that it is told, so the list would not end",
                self.place
            ))
            .help("it must know `start-after` of ListObjectsV2, as Amazon S3, MinIO and versitygw do; update it or use another"));
        }
        Ok((keys, is_last))
    }

    /// All folders in a folder: what keys have between `prefix` and the next `/`.
    pub(super) async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let (mut folders, mut after) = (Vec::new(), None);
        loop {
            let request = self.client().await.list_objects_v2().bucket(&self.name).prefix(prefix).delimiter("/");
            let page = request.set_continuation_token(after).send().await;
            let page = page.map_err(|error| self.refused(&error).into_error())?;
            folders.extend(page.common_prefixes().iter().filter_map(|folder| folder.prefix().map(str::to_owned)));
            after = page.next_continuation_token().map(str::to_owned).filter(|_| page.is_truncated() == Some(true));
            if after.is_none() {
                return Ok(folders);
            }
        }
    }
}

impl Condition {
    /// `If-None-Match` and `If-Match`.
    pub(super) fn headers(self) -> (Option<String>, Option<String>) {
        match self {
            Condition::None => (None, None),
            Condition::Absent => (Some("*".to_owned()), None),
            Condition::Matches(tag) => (None, Some(tag)),
        }
    }
}

async fn connect(options: &Options) -> Client {
    let named = options.aws_access_key_id.as_ref().zip(options.aws_secret_access_key.as_ref());
    let (mut builder, found) = match (named, &options.aws_region) {
        // Nothing of the environment is needed, so nothing of it is looked at.
        (Some(_), Some(_)) => (Builder::new().behavior_version(BehaviorVersion::latest()), None),
        _ => {
            let found = aws_config::defaults(BehaviorVersion::latest()).load().await;
            (Builder::from(&found), found.region().map(ToString::to_string))
        }
    };
    if let Some((id, key)) = named {
        let token = options.aws_session_token.as_ref().map(|token| token.expose().to_owned());
        let credentials = Credentials::new(id.clone(), key.expose(), token, None, "options");
        builder = builder.credentials_provider(credentials);
    }
    let region = options.aws_region.clone().or(found).unwrap_or_else(|| REGION.to_owned());
    builder = builder.region(Region::new(region));
    if let Some(endpoint) = &options.endpoint_url {
        // Servers that are not Amazon's know the older checksums only; the signature covers the content anyway.
        builder = builder
            .endpoint_url(endpoint)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(options.timeout.0);
    let config = builder
        .force_path_style(options.path_style.unwrap_or(options.endpoint_url.is_some()))
        // The engine decides when to try again.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts.build());
    Client::from_conf(config.build())
}
