//! A recording in parts: each is a part of the run's ledger, several are with the vendor at the same time.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use vconductor_core::plugin::LinkContext;
use vconductor_core::recording::{Channels, Cut, Part, Recording};
use vconductor_core::{Error, Result};

use super::vendor::{Accepts, Heard, Named, Piece, Plan, Sound, Used, Vendor};

/// How a recording is cut for a vendor.
fn cut(accepts: &Accepts, plan: Plan) -> Cut {
    let by_itself = plan.separate && !accepts.channels;
    Cut {
        max_bytes: accepts.max_bytes,
        max_duration: accepts.max_duration,
        silence_dbfs: accepts.silence_dbfs,
        silence: accepts.silence,
        channels: if by_itself { Channels::Separate } else { Channels::Mixed },
    }
}

/// Transcribes a recording, whole or in parts. `name` is that of the dialog in the ledger.
///
/// # Errors
/// The first of a part; those that were with the vendor then are waited for and kept.
pub(super) async fn hear(
    vendor: &dyn Vendor,
    recording: &Recording,
    plan: Plan,
    named: &Named,
    parallel: usize,
    name: &str,
    context: &LinkContext<'_>,
) -> Result<Heard> {
    let accepts = vendor.accepts();
    let mut cut = cut(&accepts, plan);
    let is_one =
        recording.len() <= cut.max_bytes && recording.info().is_none_or(|info| info.duration <= cut.max_duration);
    if plan.separate && !is_one {
        // A vendor that separates channels does so in a whole recording only.
        cut.channels = Channels::Separate;
    }
    let channels = recording.info().map_or(1, |info| info.channels);
    let mut parts = recording.parts(&cut)?;
    let first = parts.next_part().await.ok_or_else(|| Error::permanent("the recording holds no sound"))??;
    let second = parts.next_part().await.transpose()?;
    let Some(second) = second else {
        let sound = Sound::File { part: first, channels, named: named.clone() };
        return vendor.hear(&sound, plan, context).await;
    };
    if accepts.whole {
        return Err(Error::permanent(format!("the recording is larger than {} takes", vendor.account().label))
            .help("use a vendor that takes parts"));
    }
    // Each part is of one channel, or of all mixed.
    let plan = Plan { separate: false, diarize: plan.diarize && cut.channels == Channels::Mixed };
    let one = |part: Part| async move {
        let (index, channel) = (part.index, part.channel);
        let (offset, seconds) = (part.offset.as_secs_f64(), part.duration.as_secs_f64());
        if part.silent {
            return Ok((Piece { index, channel, offset, seconds, answer: None }, Used::default()));
        }
        let label = vendor.account().label;
        let entry = match channel {
            Some(channel) => format!("{name}: {label} part {index} channel {channel}"),
            None => format!("{name}: {label} part {index}"),
        };
        let sound = Sound::File { part, channels: 1, named: named.clone() };
        let heard: Heard = context.once(&entry, vendor.hear(&sound, plan, context)).await?;
        Ok((Piece { index, channel, offset, seconds, answer: Some(heard.answer) }, heard.used))
    };
    let mut waiting = std::collections::VecDeque::from([first, second]);
    let mut running = FuturesUnordered::new();
    let (mut pieces, mut used) = (Vec::new(), Used::default());
    let mut failure: Option<Error> = None;
    loop {
        while failure.is_none() && running.len() < parallel && !context.cancel.is_cancelled() {
            let next = match waiting.pop_front() {
                Some(part) => Some(Ok(part)),
                None => parts.next_part().await,
            };
            match next {
                Some(Ok(part)) => running.push(Box::pin(one(part))),
                Some(Err(error)) => failure = Some(error),
                None => break,
            }
        }
        match running.next().await {
            Some(Ok((piece, more))) => {
                pieces.push(piece);
                used = used.plus(more);
            }
            // Those that are with the vendor are paid for: they are waited for.
            Some(Err(error)) => failure = failure.or(Some(error)),
            None => break,
        }
    }
    match failure {
        Some(error) => Err(error),
        None if context.cancel.is_cancelled() => Err(Error::retryable("stopped before all parts were transcribed")),
        None => Ok(Heard { answer: vendor.join(pieces), used }),
    }
}

/// A recording as it is, for a vendor that gets it in one call.
///
/// # Errors
/// As [`Recording::parts`].
pub(super) async fn whole(recording: &Recording, vendor: &dyn Vendor, plan: Plan, named: Named) -> Result<Sound> {
    let mut cut = cut(&vendor.accepts(), plan);
    cut.max_duration = std::time::Duration::MAX;
    let channels = recording.info().map_or(1, |info| info.channels);
    let part = recording.parts(&cut)?.next_part().await;
    let part = part.ok_or_else(|| Error::permanent("the recording holds no sound"))??;
    Ok(Sound::File { part, channels, named })
}
