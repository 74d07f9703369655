//! Hands what Prometheus is told to OTLP as well: under its own name, and under those by which others know it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder as Facade,
    SharedString, Unit,
};
use metrics_exporter_prometheus::PrometheusRecorder;
use opentelemetry::KeyValue;
use opentelemetry::metrics as otel;
use vconductor_core::layers::instruments::{ALL, Alias, CONVENTIONS, Instrument, Kind};

/// Records for Prometheus and for OTLP.
pub(crate) struct Recorder {
    prometheus: PrometheusRecorder,
    /// By name of ours, what is sent.
    targets: HashMap<&'static str, Vec<Target>>,
    known: RwLock<Known>,
}

/// What was recorded before, by its name and labels.
#[derive(Default)]
struct Known {
    counters: HashMap<Key, Counter>,
    gauges: HashMap<Key, Gauge>,
    histograms: HashMap<Key, Histogram>,
}

/// One metric that is sent.
#[derive(Clone)]
struct Target {
    sink: Sink,
    /// Why it is sent, if it is not our own name.
    alias: Option<&'static Alias>,
}

#[derive(Clone)]
enum Sink {
    Count(otel::Counter<u64>),
    Sum(otel::Counter<f64>),
    Level(otel::Gauge<f64>),
    Spread(otel::Histogram<f64>),
}

impl Recorder {
    pub(crate) fn new(prometheus: PrometheusRecorder, meter: &otel::Meter) -> Recorder {
        let mut targets: HashMap<&'static str, Vec<Target>> = HashMap::new();
        for instrument in ALL {
            targets.entry(instrument.name).or_default().push(Target { sink: own(meter, instrument), alias: None });
        }
        for convention in CONVENTIONS {
            let (name, unit, help) = (convention.name, convention.unit, convention.help);
            let sink = match convention.kind {
                Kind::Counter => Sink::Count(meter.u64_counter(name).with_unit(unit).with_description(help).build()),
                Kind::Gauge => Sink::Level(meter.f64_gauge(name).with_unit(unit).with_description(help).build()),
                Kind::Histogram => Sink::Spread(spread(meter, name, unit, help, convention.bounds)),
            };
            for alias in convention.aliases {
                targets.entry(alias.of).or_default().push(Target { sink: sink.clone(), alias: Some(alias) });
            }
        }
        Recorder { prometheus, targets, known: RwLock::default() }
    }

    fn sent(&self, key: &Key) -> Vec<Bound> {
        self.targets.get(key.name()).into_iter().flatten().filter_map(|target| target.bind(key)).collect()
    }

    /// What was made for a key before, or is made now.
    fn once<T: Clone>(
        &self,
        key: &Key,
        of: impl Fn(&mut Known) -> &mut HashMap<Key, T>,
        get: impl Fn(&Known) -> Option<T>,
        make: impl FnOnce() -> T,
    ) -> T {
        if let Some(known) = get(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let made = make();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        of(&mut known).entry(key.clone()).or_insert(made).clone()
    }
}

/// The metric under our own name.
fn own(meter: &otel::Meter, instrument: &Instrument) -> Sink {
    let (name, help) = (instrument.name, instrument.help);
    let unit = match instrument.unit {
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        _ => "1",
    };
    match instrument.kind {
        Kind::Counter => Sink::Count(meter.u64_counter(name).with_unit(unit).with_description(help).build()),
        // A sum of fractions: a gauge for the facade, whose counters are whole numbers.
        Kind::Gauge if name.ends_with("_total") => {
            Sink::Sum(meter.f64_counter(name).with_unit(unit).with_description(help).build())
        }
        Kind::Gauge => Sink::Level(meter.f64_gauge(name).with_unit(unit).with_description(help).build()),
        Kind::Histogram => Sink::Spread(spread(meter, name, unit, help, instrument.bounds())),
    }
}

fn spread(
    meter: &otel::Meter,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    bounds: &[f64],
) -> otel::Histogram<f64> {
    meter.f64_histogram(name).with_unit(unit).with_description(help).with_boundaries(bounds.to_vec()).build()
}

impl Target {
    /// The metric with the attributes of a recording; `None` if that does not count for it.
    fn bind(&self, key: &Key) -> Option<Bound> {
        let label = |name: &str| key.labels().find(|label| label.key() == name).map(|label| label.value().to_owned());
        let Some(alias) = self.alias else {
            let labels = key.labels().filter(|label| !label.value().is_empty());
            let attributes = labels.map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned()));
            return Some(Bound { sink: self.sink.clone(), attributes: attributes.collect(), scale: 1.0 });
        };
        if let Some((name, values)) = alias.only
            && !label(name).is_some_and(|value| values.contains(&value.as_str()))
        {
            return None;
        }
        let mut attributes = Vec::with_capacity(alias.labels.len() + alias.fixed.len());
        for (ours, theirs) in alias.labels {
            let Some(value) = label(ours).filter(|value| !value.is_empty()) else { continue };
            let renamed = alias.values.iter().find(|(of, from, _)| of == ours && *from == value);
            attributes.push(KeyValue::new(*theirs, renamed.map_or(value, |(_, _, to)| (*to).to_owned())));
        }
        for (name, value) in alias.fixed {
            attributes.push(KeyValue::new(*name, if *value == "{system}" { super::system() } else { *value }));
        }
        Some(Bound { sink: self.sink.clone(), attributes, scale: alias.scale })
    }
}

/// A metric that is sent, with its attributes.
struct Bound {
    sink: Sink,
    attributes: Vec<KeyValue>,
    scale: f64,
}

impl Bound {
    fn add(&self, count: u64) {
        match &self.sink {
            Sink::Count(counter) => counter.add(count, &self.attributes),
            Sink::Sum(_) | Sink::Level(_) | Sink::Spread(_) => {}
        }
    }

    /// One value of a distribution: also one more of what is counted.
    fn record(&self, value: f64) {
        match &self.sink {
            Sink::Count(counter) => counter.add(1, &self.attributes),
            Sink::Spread(histogram) => histogram.record(value * self.scale, &self.attributes),
            Sink::Sum(_) | Sink::Level(_) => {}
        }
    }

    /// A level that has changed by `more` to `now`.
    fn level(&self, now: f64, more: f64) {
        match &self.sink {
            Sink::Level(gauge) => gauge.record(now * self.scale, &self.attributes),
            Sink::Sum(counter) => counter.add(more, &self.attributes),
            Sink::Count(_) | Sink::Spread(_) => {}
        }
    }
}

/// One recording's two ways.
struct Both<T> {
    prometheus: T,
    sent: Vec<Bound>,
    /// What a gauge stands at.
    level: Mutex<f64>,
}

impl<T> Both<T> {
    fn new(prometheus: T, sent: Vec<Bound>) -> Arc<Both<T>> {
        Arc::new(Both { prometheus, sent, level: Mutex::new(0.0) })
    }

    fn change(&self, to: impl FnOnce(f64) -> f64) {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *level;
        *level = to(before);
        self.sent.iter().for_each(|sent| sent.level(*level, *level - before));
    }
}

impl CounterFn for Both<Counter> {
    fn increment(&self, value: u64) {
        self.prometheus.increment(value);
        self.sent.iter().for_each(|sent| sent.add(value));
    }

    /// Nobody here sets a counter.
    fn absolute(&self, value: u64) {
        self.prometheus.absolute(value);
    }
}

impl GaugeFn for Both<Gauge> {
    fn increment(&self, value: f64) {
        self.prometheus.increment(value);
        self.change(|level| level + value);
    }

    fn decrement(&self, value: f64) {
        self.prometheus.decrement(value);
        self.change(|level| level - value);
    }

    fn set(&self, value: f64) {
        self.prometheus.set(value);
        self.change(|_| value);
    }
}

impl HistogramFn for Both<Histogram> {
    fn record(&self, value: f64) {
        self.prometheus.record(value);
        self.sent.iter().for_each(|sent| sent.record(value));
    }
}

impl Facade for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.prometheus.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.prometheus.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.prometheus.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let make = || Counter::from_arc(Both::new(self.prometheus.register_counter(key, metadata), self.sent(key)));
        self.once(key, |known| &mut known.counters, |known| known.counters.get(key).cloned(), make)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let make = || Gauge::from_arc(Both::new(self.prometheus.register_gauge(key, metadata), self.sent(key)));
        self.once(key, |known| &mut known.gauges, |known| known.gauges.get(key).cloned(), make)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let make = || Histogram::from_arc(Both::new(self.prometheus.register_histogram(key, metadata), self.sent(key)));
        self.once(key, |known| &mut known.histograms, |known| known.histograms.get(key).cloned(), make)
    }
}
