//! `links.sampler`: lets a part of the vCons pass.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Stops};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

/// Lets a part of the vCons pass; the chain ends here for the others.
///
/// The decision belongs to the run: a run that is resumed after a crash or a retry decides as before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// How vCons are chosen.
    ///
    /// `percentage`: `value` of one hundred pass; 0 none, 100 all.
    ///
    /// `rate`: a vCon passes with the probability 1 - e^(-1 / value), which is that of at least one event in a second
    /// when one falls into `value` seconds on average; 1 passes 63 %, 10 passes 9.5 %.
    ///
    /// `modulo`: one of `value` passes, chosen by the hash of its uuid, always the same ones.
    ///
    /// `time_based`: those pass whose run began in a second (of Unix time) that `value` divides.
    #[schemars(extend("enum" = METHODS.map(|(name, _)| name)))]
    method: String,
    /// The amount that `method` takes.
    value: f64,
    /// Any value. With a seed, `percentage` and `rate` draw from the seed and the vCon's uuid, so that the same vCon is
    /// chosen in every run and on every machine. Without one, each run draws anew.
    seed: Option<Value>,
}

impl Default for Options {
    fn default() -> Self {
        Options { method: "percentage".to_owned(), value: 50.0, seed: None }
    }
}

#[derive(Debug, Clone, Copy)]
enum Method {
    Percentage,
    Rate,
    Modulo,
    TimeBased,
}

const METHODS: [(&str, Method); 4] = [
    ("percentage", Method::Percentage),
    ("rate", Method::Rate),
    ("modulo", Method::Modulo),
    ("time_based", Method::TimeBased),
];

#[derive(Debug, Clone, Copy)]
enum Rule {
    /// A draw from 0 to 1 below this passes.
    Chance(f64),
    Modulo(u64),
    Second(i64),
}

struct Sampler {
    rule: Rule,
    seed: Option<Value>,
}

register_link!(Sampler);

impl LinkPlugin for Sampler {
    const MODULE: &'static str = "links.sampler";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
tenth:
  module: links.sampler
  options:
    method: percentage
    value: 10
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let Some((name, method)) = METHODS.into_iter().find(|(name, _)| *name == options.method) else {
            return Err(unknown_method(&options.method));
        };
        let value = options.value;
        let refused = |wanted: &str| {
            Err(Error::configuration(format!("option `value`: {value} does not suit the method `{name}`"))
                .help(format!("write {wanted}")))
        };
        let is_count = value >= 1.0 && value.fract() == 0.0 && value <= f64::from(u32::MAX);
        let rule = match method {
            Method::Percentage if (0.0..=100.0).contains(&value) => Rule::Chance(value / 100.0),
            Method::Percentage => return refused("a number from 0 to 100"),
            Method::Rate if value > 0.0 => Rule::Chance(-(-1.0 / value).exp_m1()),
            Method::Rate => return refused("a number above 0"),
            Method::Modulo if is_count => Rule::Modulo(value as u64),
            Method::TimeBased if is_count => Rule::Second(value as i64),
            Method::Modulo | Method::TimeBased => return refused("a whole number from 1"),
        };
        Ok(Sampler { rule, seed: options.seed })
    }
}

fn unknown_method(method: &str) -> Error {
    let error = Error::configuration(format!("option `method`: there is no method `{method}`"));
    let names = METHODS.map(|(name, _)| name);
    let likeness = |name: &&str| strsim::jaro_winkler(name, method);
    match names.into_iter().max_by(|one, two| likeness(one).total_cmp(&likeness(two))) {
        Some(nearest) if likeness(&nearest) > 0.7 => error.help(format!("did you mean `{nearest}`?")),
        _ => error.help(format!("write one of: {}", names.join(", "))),
    }
}

#[async_trait]
impl Link for Sampler {
    async fn run(&self, _: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let passes = match self.rule {
            Rule::Chance(chance) => self.draw(context) < chance,
            Rule::Modulo(value) => modulo_number(&context.step.uuid).is_multiple_of(value),
            Rule::Second(value) => second(context) % value == 0,
        };
        if passes {
            return Ok(Outcome::Continue);
        }
        context.note("sampled out");
        Ok(Outcome::Stop)
    }

    fn facts(&self) -> Facts {
        Facts::stopping(match self.rule {
            Rule::Chance(chance) if chance <= 0.0 => Stops::Always,
            Rule::Chance(chance) if chance >= 1.0 => Stops::Never,
            Rule::Modulo(1) | Rule::Second(1) => Stops::Never,
            _ => Stops::Sometimes,
        })
    }
}

impl Sampler {
    /// A number from 0 up to, not including, 1.
    fn draw(&self, context: &LinkContext<'_>) -> f64 {
        let step = &context.step;
        let mut hash = Sha256::new();
        match &self.seed {
            Some(seed) => hash.update(format!("{seed} {} {}", step.uuid, step.key.occurrence)),
            None => hash.update(context.effect_id("draw")),
        }
        // 53 bits are what a double holds exactly.
        (first_bits(&hash.finalize(), 53) as f64) / (1_u64 << 53) as f64
    }
}

/// The first 8 hexadecimal digits of the SHA-256 of the uuid's text, as vcon-server takes them.
fn modulo_number(uuid: &str) -> u64 {
    first_bits(&Sha256::digest(uuid), 32)
}

fn first_bits(hash: &[u8], bits: u32) -> u64 {
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)) >> (64 - bits)
}

/// The second in which the run began. It is part of the run's id and, unlike the clock, the same after a crash.
fn second(context: &LinkContext<'_>) -> i64 {
    match context.step.run.0.get_timestamp() {
        Some(began) => began.to_unix().0 as i64,
        None => context.clock.now().div_euclid(1000),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::{NoContext, Timestamp, Uuid};
    use vconductor_core::Class;
    use vconductor_core::run::RunId;

    use super::*;
    use crate::link_stage::LinkStage;

    fn sampler(options: Value) -> Sampler {
        Sampler::new("sampler", serde_json::from_value(options).unwrap()).unwrap()
    }

    async fn passes(sampler: &Sampler, stage: &LinkStage) -> bool {
        let vcon = Vcon::read(r#"{"uuid":"u"}"#).unwrap();
        stage.run(sampler, &vcon).await.result.unwrap() == Outcome::Continue
    }

    async fn passing_of(runs: u32, options: Value) -> f64 {
        let sampler = sampler(options);
        let mut stage = LinkStage::new("u");
        let mut passing = 0;
        for number in 0..runs {
            stage.step.run = RunId::new();
            stage.step.uuid = format!("uuid-{number}");
            passing += u32::from(passes(&sampler, &stage).await);
        }
        f64::from(passing) / f64::from(runs)
    }

    #[tokio::test]
    async fn the_part_that_passes_is_the_one_asked_for() {
        for (options, expected) in [
            (json!({}), 0.5),
            (json!({"value": 0}), 0.0),
            (json!({"value": 100}), 1.0),
            (json!({"value": 10.5}), 0.105),
            (json!({"value": 30, "seed": 7}), 0.3),
            (json!({"method": "rate", "value": 1}), 0.632),
            (json!({"method": "rate", "value": 10}), 0.0952),
            (json!({"method": "modulo", "value": 4}), 0.25),
        ] {
            let found = passing_of(4000, options.clone()).await;
            // Five standard deviations of 4000 draws.
            let tolerance = 5.0 * (expected * (1.0_f64 - expected) / 4000.0).sqrt();
            assert!((found - expected).abs() <= tolerance, "{options}: {found}");
        }
    }

    #[tokio::test]
    async fn a_run_decides_alike_each_time_and_a_seed_makes_all_runs_alike() {
        let drawn = sampler(json!({}));
        let seeded = sampler(json!({"seed": 42}));
        let mut stage = LinkStage::new("uuid-0");
        let first = passes(&seeded, &stage).await;
        let (mut differ, mut seeds_differ) = (false, false);
        for number in 0..50 {
            stage.step.uuid = format!("uuid-{number}");
            let (one, seeded_one) = (passes(&drawn, &stage).await, passes(&seeded, &stage).await);
            assert_eq!(passes(&drawn, &stage).await, one);
            stage.step.run = RunId::new();
            assert_eq!(passes(&seeded, &stage).await, seeded_one);
            differ |= passes(&drawn, &stage).await != one;
            seeds_differ |= seeded_one != first;
        }
        assert!(differ, "runs of one vCon draw anew");
        assert!(seeds_differ, "a seed does not make all vCons alike");
    }

    #[tokio::test]
    async fn modulo_decides_as_vcon_server() {
        let sampler = sampler(json!({"method": "modulo", "value": 3}));
        for (uuid, expected) in [("uuid-1", true), ("uuid-2", false), ("uuid-3", true)] {
            assert_eq!(passes(&sampler, &LinkStage::new(uuid)).await, expected, "{uuid}");
        }
    }

    #[tokio::test]
    async fn time_based_looks_at_the_second_in_which_the_run_began() {
        let sampler = sampler(json!({"method": "time_based", "value": 5}));
        for (second, expected) in [(1_000_000, true), (1_000_001, false), (1_000_005, true)] {
            let mut stage = LinkStage::new("u");
            stage.step.run = RunId(Uuid::new_v7(Timestamp::from_unix(NoContext, second, 999_000_000)));
            assert_eq!(passes(&sampler, &stage).await, expected, "{second}");
        }
    }

    #[test]
    fn wrong_options_are_refused_with_what_is_right() {
        for (options, help) in [
            (json!({"method": "percent"}), "did you mean `percentage`?"),
            (json!({"method": "time-based"}), "did you mean `time_based`?"),
            (json!({"method": "xyz"}), "write one of: percentage, rate, modulo, time_based"),
            (json!({"value": 101}), "write a number from 0 to 100"),
            (json!({"value": -1}), "write a number from 0 to 100"),
            (json!({"method": "rate", "value": 0}), "write a number above 0"),
            (json!({"method": "modulo", "value": 0}), "write a whole number from 1"),
            (json!({"method": "time_based", "value": 2.5}), "write a whole number from 1"),
        ] {
            let error = Sampler::new("s", serde_json::from_value(options.clone()).unwrap()).err().unwrap();
            assert_eq!((error.class(), error.help_text()), (Class::Configuration, Some(help)), "{options}");
        }
    }
}
