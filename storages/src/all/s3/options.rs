//! Options of `storage.s3`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::{Period, Size};
use vconductor_core::migrate::Egress;
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

/// The smallest and the largest part that S3 takes (Amazon S3 user guide, "multipart upload limits").
const PART: std::ops::RangeInclusive<u64> = 5 << 20..=5 << 30;

/// Writes each vCon to an object of its own on Amazon S3, or on a server that speaks its protocol.
///
/// Objects are `[<s3_path>/]YYYY/MM/DD/<uuid>.vcon`, by the day of `created_at` in the offset that it is written with; the
/// day of each vCon lies in `[<s3_path>/]lookup/<uuid>.txt`. That is what vcon-server writes, and what it wrote is loaded,
/// listed and deleted as well. Lists go by day, and in a day by name. The content is the document byte for byte. An object
/// is written under a condition, so that an older revision never replaces a newer one of the same day, whoever else writes.
/// Characters of a uuid other than letters, digits, `-`, `_` and `.` are written as `%XX`. The key needs `s3:GetObject`,
/// `s3:PutObject`, `s3:DeleteObject` and `s3:ListBucket`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// The bucket; it must exist.
    pub(super) aws_bucket: String,
    /// The id of the access key. Without one the usual places are looked at: environment, profile, web identity,
    /// container, instance.
    pub(super) aws_access_key_id: Option<String>,
    /// The access key.
    pub(super) aws_secret_access_key: Option<Secret>,
    /// The token of temporary credentials.
    pub(super) aws_session_token: Option<Secret>,
    /// The region. Default: what environment or profile say, else `us-east-1`.
    pub(super) aws_region: Option<String>,
    /// Another server than Amazon's, for example `https://minio.example.com:9000`.
    pub(super) endpoint_url: Option<String>,
    /// What the names of objects start with.
    pub(super) s3_path: String,
    /// Whether the bucket stands in the path of the URL and not in the name of the host. Default: yes where
    /// `endpoint_url` is given.
    #[schemars(extend("x-result" = false))]
    pub(super) path_style: Option<bool>,
    /// How the server encrypts objects. Default: as the bucket says.
    pub(super) sse: Option<Sse>,
    /// The key of `sse: aws:kms`. Default: the account's own key for S3.
    pub(super) sse_kms_key_id: Option<String>,
    /// The storage class, for example `STANDARD_IA`. Default: the server's.
    pub(super) storage_class: Option<String>,
    /// A larger document goes up in parts of this size, four at a time. Default: `16MB`.
    pub(super) part_size: Size,
    /// Whether the server knows conditional writes (`If-Match` and `If-None-Match`), as Amazon S3, MinIO, Ceph and R2 do.
    /// Set it to `false` for a server that does not: then two conductors that write the same vCon in the same
    /// moment may leave the older revision. Default: `true`.
    pub(super) conditional_writes: bool,
    /// So many vCons of a batch are written at once. Default: 16.
    #[schemars(extend("x-result" = false))]
    pub(super) concurrency: usize,
    /// The longest time for an answer of the server. Default: `60s`.
    #[schemars(extend("x-result" = false))]
    pub(super) timeout: Period,
    /// What the URLs of offloaded media start with (section `media`), where they are served from another place than the
    /// bucket itself.
    pub(super) media_url: Option<String>,
    /// In which form vCons are written: `as_is` (byte for byte, the default), `0.0.1` (the names of that version, as
    /// vcon-server's egress writes them), `string-bodies` (as vcon-server stores it) or `core-04` (the newest draft). In
    /// another form than `as_is` the storage is not lossless. A signed or encrypted vCon is written as it is.
    pub(super) format: Egress,
}

/// Server-side encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(super) enum Sse {
    /// With keys of S3.
    #[serde(rename = "AES256")]
    Aes256,
    /// With keys of the key management service.
    #[serde(rename = "aws:kms")]
    Kms,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            aws_bucket: String::new(),
            aws_access_key_id: None,
            aws_secret_access_key: None,
            aws_session_token: None,
            aws_region: None,
            endpoint_url: None,
            s3_path: String::new(),
            path_style: None,
            sse: None,
            sse_kms_key_id: None,
            storage_class: None,
            part_size: Size(16 << 20),
            conditional_writes: true,
            concurrency: 16,
            timeout: Period(Duration::from_secs(60)),
            media_url: None,
            format: Egress::AsIs,
        }
    }
}

impl Options {
    /// The options with what is empty taken as not given, as an empty variable of the environment leaves it.
    pub(super) fn checked(mut self) -> Result<Self> {
        let texts = [
            &mut self.aws_access_key_id,
            &mut self.aws_region,
            &mut self.endpoint_url,
            &mut self.sse_kms_key_id,
            &mut self.storage_class,
            &mut self.media_url,
        ];
        for text in texts {
            *text = text.take().filter(|text| !text.is_empty());
        }
        for secret in [&mut self.aws_secret_access_key, &mut self.aws_session_token] {
            *secret = secret.take().filter(|secret| !secret.is_empty());
        }
        let wrong = |message: &str, help: &str| Err(Error::configuration(message).help(help));
        if self.aws_bucket.is_empty() {
            return wrong("option `aws_bucket` is missing", "name the bucket that vCons are written to");
        }
        if self.aws_bucket.contains(['/', ' ']) {
            return wrong(
                "option `aws_bucket` is no name of a bucket",
                "write its name alone; folders inside of it go to `s3_path`",
            );
        }
        if self.aws_access_key_id.is_some() != self.aws_secret_access_key.is_some() {
            return wrong(
                "only one of `aws_access_key_id` and `aws_secret_access_key` is given",
                "give both, or none to use environment, profile or role",
            );
        }
        for (name, url) in [("endpoint_url", &self.endpoint_url), ("media_url", &self.media_url)] {
            let good = |url: &String| url.starts_with("https://") || url.starts_with("http://");
            if url.as_ref().is_some_and(|url| !good(url) || url.contains('@')) {
                return wrong(
                    &format!("option `{name}` is no URL"),
                    "write https://host[:port]; keys do not belong into it",
                );
            }
        }
        if self.sse_kms_key_id.is_some() && self.sse != Some(Sse::Kms) {
            return wrong(
                "`sse_kms_key_id` is given without `sse: aws:kms`",
                "write `sse: aws:kms`, or take the key out",
            );
        }
        if !PART.contains(&self.part_size.0) {
            return wrong("option `part_size` is not between 5MB and 5GB", "write a size such as 16MB");
        }
        if self.concurrency == 0 || self.timeout.0.is_zero() {
            return wrong("options `concurrency` and `timeout` must be more than 0", "leave them out for the defaults");
        }
        Ok(self)
    }
}
