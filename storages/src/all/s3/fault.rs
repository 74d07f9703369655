//! What a refusal of the server means for the engine and for the operator.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use vconductor_core::{Class, Error};

/// Why a call did not do what it was asked for.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is no such object.
    Missing,
    /// The condition of a write does not hold: somebody else has written.
    Changed,
    /// Anything else.
    Failed(Error),
}

impl Refused {
    /// The error for a call that has no condition and needs its object.
    pub(super) fn into_error(self) -> Error {
        match self {
            Refused::Failed(error) => error,
            Refused::Missing | Refused::Changed => Error::retryable("S3 gave an unexpected answer")
                .help("it is tried again; if it lasts, look at the server"),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Failed(error)
    }
}

/// Judges an error of the SDK; `place` names the bucket without secrets.
pub(super) fn refused<E>(place: &str, error: &SdkError<E, HttpResponse>) -> Refused
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let header = |name: &str| error.raw_response().and_then(|response| response.headers().get(name)).map(str::to_owned);
    let code = error.code().unwrap_or_default().to_owned();
    let detail = error.message().unwrap_or_default().to_owned();
    let (wait, region) = (header("retry-after"), header("x-amz-bucket-region"));
    if status == 0 {
        return Refused::Failed(unanswered(place, error));
    }
    match (status, code.as_str()) {
        (404, "" | "NoSuchKey" | "NotFound") => return Refused::Missing,
        (412, _) | (409, "ConditionalRequestConflict") => return Refused::Changed,
        _ => {}
    }
    let (class, message, help) = judge(place, status, &code, &detail, region.as_deref());
    let mut failed = Error::new(class, message).help(help);
    // The signature that was calculated, the canonical request and the key id stand in other members of the answer.
    if !code.is_empty() {
        failed = failed.caused_by(format!("{code}: {detail}"));
    }
    if let Some(seconds) = wait.and_then(|wait| wait.trim().parse().ok()) {
        failed = failed.retry_after(Duration::from_secs(seconds));
    }
    Refused::Failed(failed)
}

fn judge(place: &str, status: u16, code: &str, detail: &str, region: Option<&str>) -> (Class, String, String) {
    let configuration = |message: String, help: &str| (Class::Configuration, message, help.to_owned());
    let retryable = |message: String, help: &str| (Class::Retryable, message, help.to_owned());
    match (code, status) {
        ("NoSuchBucket", _) | ("InvalidBucketName", _) => {
            configuration(format!("{place} does not exist"), "make the bucket, or mend option `aws_bucket`")
        }
        (
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" | "TokenRefreshRequired",
            _,
        ) => configuration(
            format!("{place}: the server refuses the access key"),
            "check options `aws_access_key_id`, `aws_secret_access_key` and `aws_session_token`, or the role",
        ),
        ("RequestTimeTooSkewed" | "RequestExpired", _) => {
            configuration(format!("{place}: the clock of this machine is wrong"), "set the clock, for example with NTP")
        }
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => {
            let help = match region {
                Some(region) => format!("set option `aws_region` to {region}"),
                None => "set option `aws_region` to the bucket's region".to_owned(),
            };
            (Class::Configuration, format!("{place} is in another region"), help)
        }
        ("InvalidStorageClass", _) => {
            configuration(format!("{place} does not know the storage class"), "mend `storage_class`")
        }
        ("NotImplemented", _) | (_, 501) => configuration(
            format!("{place}: the server does not know something that was asked for"),
            "if it lacks conditional writes, set option `conditional_writes: false`; if it lacks `sse` or \
             `storage_class`, take those out",
        ),
        (_, _) if code.starts_with("KMS.") || detail.to_ascii_lowercase().contains("kms") => configuration(
            format!("{place}: the key of the encryption cannot be used"),
            "check `sse_kms_key_id` and the right kms:GenerateDataKey of the access key",
        ),
        ("SlowDown" | "ServiceUnavailable" | "RequestTimeout" | "InternalError" | "OperationAborted", _)
        | (_, 408 | 409 | 425 | 429 | 500..=599) => {
            let name = if code.is_empty() { format!("status {status}") } else { code.to_owned() };
            retryable(format!("{place}: the server cannot do it now ({name})"), "it is tried again")
        }
        (_, 401 | 403) => configuration(
            format!("{place}: access is denied"),
            "give the key s3:GetObject, s3:PutObject, s3:DeleteObject on the objects and s3:ListBucket on the bucket",
        ),
        ("EntityTooLarge", _) | (_, 413) => (
            Class::Permanent,
            format!("{place}: the vCon is larger than an object may be"),
            "take recordings out of the document (section `media`, or link `diet`)".to_owned(),
        ),
        (_, 404) => {
            configuration(format!("{place}: there is nothing at this address"), "check `endpoint_url` and `aws_bucket`")
        }
        _ => {
            let name = if code.is_empty() { format!("status {status}") } else { code.to_owned() };
            configuration(format!("{place}: the server refuses the request ({name})"), "look at the server's log")
        }
    }
}

/// There was no answer at all, or none that could be read.
fn unanswered<E>(place: &str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: StdError + Send + Sync + 'static,
{
    let text = words(error);
    let lower = text.to_lowercase();
    if matches!(error, SdkError::TimeoutError(_)) || lower.contains("timed out") || lower.contains("timeout") {
        return Error::retryable(format!("{place} did not answer in time"))
            .help("it is tried again; option `timeout` is the longest time for an answer")
            .caused_by(text);
    }
    if lower.contains("credentials") {
        return Error::configuration(format!("there is no access key for {place}"))
            .help("set `aws_access_key_id` and `aws_secret_access_key`, or give this machine a role or profile")
            .caused_by(text);
    }
    if lower.contains("certificate") {
        return Error::configuration(format!("the certificate of {place} is not trusted"))
            .help("install the authority's certificate in the system's store")
            .caused_by(text);
    }
    if matches!(error, SdkError::ConstructionFailure(_)) {
        return Error::configuration(format!("no request to {place} can be made"))
            .help("check options `endpoint_url`, `aws_region` and `aws_bucket`")
            .caused_by(text);
    }
    Error::retryable(format!("{place} cannot be reached"))
        .help("check that the server runs and that option `endpoint_url` names it; it is tried again")
        .caused_by(text)
}

/// An error and its causes in one line.
fn words(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A failure once more, for another vCon of the same batch.
pub(super) fn again(error: &Error) -> Error {
    let copy = Error::new(error.class(), error.chain_text());
    match error.help_text() {
        Some(help) => copy.help(help),
        None => copy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_class_that_decides_what_happens_next() {
        for (status, code, class) in [
            (403, "InvalidAccessKeyId", Class::Configuration),
            (403, "SignatureDoesNotMatch", Class::Configuration),
            (403, "AccessDenied", Class::Configuration),
            (403, "", Class::Configuration),
            (404, "NoSuchBucket", Class::Configuration),
            (301, "PermanentRedirect", Class::Configuration),
            (501, "NotImplemented", Class::Configuration),
            (400, "KMS.DisabledException", Class::Configuration),
            (503, "SlowDown", Class::Retryable),
            (503, "", Class::Retryable),
            (500, "InternalError", Class::Retryable),
            (429, "TooManyRequests", Class::Retryable),
            (400, "RequestTimeout", Class::Retryable),
            (409, "OperationAborted", Class::Retryable),
            (400, "EntityTooLarge", Class::Permanent),
        ] {
            assert_eq!(judge("bucket `b`", status, code, "", None).0, class, "{status} {code}");
        }
        let (_, _, help) = judge("bucket `b`", 301, "PermanentRedirect", "", Some("eu-west-1"));
        assert!(help.contains("eu-west-1"), "{help}");
    }
}
