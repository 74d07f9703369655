//! Large objects, which go up in parts.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::task::JoinSet;
use vconductor_core::Error;

use super::bucket::{Bucket, Upload};
use super::fault::Refused;

/// So many parts at once: bounds the memory and the share of the network that one document takes.
const AT_ONCE: usize = 4;

/// Writes an object in parts. What was sent of one that fails is thrown away.
pub(super) async fn put(bucket: &Bucket, upload: Upload<'_>) -> Result<String, Refused> {
    let (sse, key_id, class) = bucket.encryption();
    let request = bucket.client().await.create_multipart_upload().bucket(&bucket.name).key(upload.key);
    let begun = request
        .content_type(upload.mediatype)
        .set_metadata(Some(upload.metadata.clone()))
        .set_server_side_encryption(sse)
        .set_ssekms_key_id(key_id)
        .set_storage_class(class)
        .send()
        .await
        .map_err(|error| unconditional(bucket.refused(&error)))?;
    let id = begun.upload_id().unwrap_or_default().to_owned();
    let written = match send(bucket, &upload, &id).await {
        Ok(parts) => complete(bucket, &upload, &id, parts).await,
        Err(refused) => Err(refused),
    };
    if written.is_err() {
        let abort = bucket.client().await.abort_multipart_upload().bucket(&bucket.name).key(upload.key);
        if let Err(error) = abort.upload_id(&id).send().await {
            let error = unconditional(bucket.refused(&error)).into_error();
            tracing::warn!(bucket = %bucket.name, key = upload.key, error = %error.chain_text(),
                "parts of an object that failed stay behind; a rule of the bucket can remove such");
        }
    }
    written
}

async fn send(bucket: &Bucket, upload: &Upload<'_>, id: &str) -> Result<Vec<CompletedPart>, Refused> {
    let mut waiting = (1..).zip(pieces(&upload.content, bucket.part_size));
    let mut sending = JoinSet::new();
    let mut parts = Vec::new();
    loop {
        while sending.len() < AT_ONCE
            && let Some((number, piece)) = waiting.next()
        {
            let request = bucket.client().await.upload_part().bucket(&bucket.name).key(upload.key);
            let request = request.upload_id(id).part_number(number).body(piece.into());
            sending.spawn(async move { (number, request.send().await) });
        }
        match sending.join_next().await {
            None => break,
            Some(Ok((number, Ok(part)))) => {
                parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
            }
            Some(Ok((_, Err(error)))) => return Err(unconditional(bucket.refused(&error))),
            Some(Err(error)) => {
                return Err(Error::retryable("the upload of a part was broken off").caused_by(error).into());
            }
        }
    }
    parts.sort_by_key(|part| part.part_number);
    Ok(parts)
}

async fn complete(
    bucket: &Bucket,
    upload: &Upload<'_>,
    id: &str,
    parts: Vec<CompletedPart>,
) -> Result<String, Refused> {
    let (absent, matches) = upload.condition.clone().headers();
    let request = bucket.client().await.complete_multipart_upload().bucket(&bucket.name).key(upload.key);
    let sent = request
        .upload_id(id)
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        .set_if_none_match(absent)
        .set_if_match(matches)
        .send()
        .await;
    match sent {
        Ok(written) => Ok(written.e_tag().unwrap_or_default().to_owned()),
        Err(error) => match bucket.refused(&error) {
            Refused::Missing => Err(Refused::Changed),
            other => Err(other),
        },
    }
}

/// A refusal of a call that has no condition: the upload is gone, so the whole is done again.
fn unconditional(refused: Refused) -> Refused {
    Refused::Failed(refused.into_error())
}

fn pieces(content: &Bytes, size: usize) -> impl Iterator<Item = Bytes> + '_ {
    let size = size.max(1);
    (0..content.len()).step_by(size).map(move |start| content.slice(start..content.len().min(start + size)))
}
