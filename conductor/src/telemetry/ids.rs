//! Names of traces, and which of them are kept.

use opentelemetry::trace::{Link, SpanId, SpanKind};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingResult, ShouldSample};
use vconductor_core::layers::trace::{TraceId, wanted_trace_id};

/// A run's trace has the run's id, so that all its passages, on whatever conductor, are one trace. Others have a random one.
#[derive(Debug, Default)]
pub(super) struct RunIds(RandomIdGenerator);

impl IdGenerator for RunIds {
    fn new_trace_id(&self) -> TraceId {
        wanted_trace_id().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

/// Samplers choose by the lower half of a trace's id, which must be random for that. A run's id begins with the time and ends
/// with a number of its batch; mixed up, it is.
#[derive(Debug, Clone)]
pub(super) struct Mixed(pub(super) Sampler);

impl ShouldSample for Mixed {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        self.0.should_sample(parent, mixed(id), name, kind, attributes, links)
    }
}

/// The finalizer of MurmurHash3: different halves stay different, and every bit of the input changes half of the output.
fn mixed(id: TraceId) -> TraceId {
    let id = u128::from_be_bytes(id.to_bytes());
    let mut low = (id as u64) ^ ((id >> 64) as u64).rotate_left(32);
    low = (low ^ (low >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    low = (low ^ (low >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    TraceId::from((id & !u128::from(u64::MAX)) | u128::from(low ^ (low >> 33)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_sdk::trace::SamplingDecision;
    use vconductor_core::run::RunId;

    #[test]
    fn a_tenth_of_runs_is_a_tenth_also_of_those_of_one_batch() {
        let sampler = Mixed(Sampler::TraceIdRatioBased(0.1));
        let kept = |ids: &mut dyn Iterator<Item = TraceId>| {
            let keeps = |id: &TraceId| {
                let result = sampler.should_sample(None, *id, "run", &SpanKind::Consumer, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            };
            ids.filter(keeps).count()
        };
        let mut runs = (0..10_000).map(|_| TraceId::from_bytes(RunId::new().0.into_bytes()));
        let of_runs = kept(&mut runs);
        // As a claim on Redis numbers its runs: only the last 16 bits differ.
        let base = u128::from_be_bytes(RunId::new().0.into_bytes()) & !0xffff;
        let of_batch = kept(&mut (0..10_000).map(|number| TraceId::from(base | number)));
        for kept in [of_runs, of_batch] {
            assert!((850..1150).contains(&kept), "{kept}");
        }
    }
}
