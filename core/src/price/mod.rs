//! What calls to paid services cost: a dated table of list prices, and the operator's own prices over it.
//!
//! The table that comes with the program holds public list prices in US dollars without discounts, taxes and surcharges. An
//! operator's contract goes under `prices:` in the configuration. A model that no row names costs "unknown", never nothing.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::clock::Millis;
use crate::error::{Error, Result};

/// The prices that come with the program.
const LISTED: &str = include_str!("prices.csv");

/// Units by which providers bill, as the ledger, the metrics and the price table call them.
pub mod unit {
    /// Tokens of the request that were not read from a cache.
    pub const INPUT_TOKENS: &str = "input_tokens";
    /// Tokens of the request that the provider read from its cache.
    pub const CACHE_READ_TOKENS: &str = "cache_read_tokens";
    /// Tokens of the request that the provider wrote to its cache.
    pub const CACHE_WRITE_TOKENS: &str = "cache_write_tokens";
    /// Tokens of the answer, those of reasoning too.
    pub const OUTPUT_TOKENS: &str = "output_tokens";
    /// Seconds of sound.
    pub const AUDIO_SECONDS: &str = "audio_seconds";
}

/// One row: what a unit of a model costs from a day on.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The provider, for example `openai`.
    pub provider: String,
    /// The model, or the beginning of its name and a `*`. The longest one that fits counts.
    pub model: String,
    /// What is counted: `input_tokens`, `cache_read_tokens`, `cache_write_tokens`, `output_tokens` or `audio_seconds`.
    pub unit: String,
    /// US dollars for `per` units.
    #[serde(deserialize_with = "amount")]
    pub usd: f64,
    /// How many units that buys, for example 1000000.
    #[serde(default = "one", deserialize_with = "amount_above_zero")]
    pub per: f64,
    /// The first day (UTC) on which this holds, for example 2026-01-31. Default: always.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub from: Option<Date>,
}

fn one() -> f64 {
    1.0
}

/// Reads an amount of money: 0 or more.
pub(crate) fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(from)?;
    let sound = value.is_finite() && value >= 0.0;
    if sound { Ok(value) } else { Err(D::Error::custom("an amount is 0 or more")) }
}

fn amount_above_zero<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = amount(from)?;
    if value > 0.0 { Ok(value) } else { Err(D::Error::custom("an amount of units is more than 0")) }
}

impl Price {
    /// How well the row's model fits; `None`: not at all. An exact name is better than any beginning.
    fn fit(&self, model: &str) -> Option<usize> {
        match self.model.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning).then_some(beginning.len()),
            None => (self.model == model).then_some(usize::MAX),
        }
    }
}

/// Prices of models by unit and date.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    /// The operator's own come first.
    rows: Vec<Price>,
    own: usize,
}

impl PriceTable {
    /// The prices that come with the program, and the operator's own over them.
    ///
    /// # Errors
    /// Permanent, if the table that comes with the program is damaged.
    pub fn new(own: Vec<Price>) -> Result<Self> {
        let listed = csv::Reader::from_reader(LISTED.as_bytes()).into_deserialize().collect::<Result<Vec<Price>, _>>();
        let listed = listed.map_err(|error| Error::permanent("the table of prices is damaged").caused_by(error))?;
        let count = own.len();
        Ok(PriceTable { rows: own.into_iter().chain(listed).collect(), own: count })
    }

    /// What these amounts cost in US dollars; `None` where one of them (that is not 0) has no price.
    pub fn cost(&self, provider: &str, model: &str, amounts: &BTreeMap<&str, f64>, at: Millis) -> Option<f64> {
        let day = jiff::Timestamp::from_millisecond(at).ok()?.to_zoned(TimeZone::UTC).date();
        let mut sum = 0.0;
        for (unit, amount) in amounts.iter().filter(|(_, amount)| **amount != 0.0) {
            let price = self.price(provider, model, unit, day)?;
            sum += amount * price.usd / price.per;
        }
        Some(sum)
    }

    fn price(&self, provider: &str, model: &str, unit: &str, day: Date) -> Option<&Price> {
        let (own, listed) = self.rows.split_at(self.own);
        [own, listed].into_iter().find_map(|rows| {
            rows.iter()
                .filter(|row| row.provider == provider && row.unit == unit && row.from.is_none_or(|from| from <= day))
                .filter_map(|row| row.fit(model).map(|fit| (fit, row)))
                .max_by_key(|(fit, row)| (*fit, row.from))
                .map(|(_, row)| row)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::unit::{AUDIO_SECONDS, CACHE_READ_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: Millis = 1_767_225_600_000;

    fn cost(table: &PriceTable, model: &str, amounts: &[(&str, f64)]) -> Option<f64> {
        let provider = if model.starts_with("nova") { "deepgram" } else { "openai" };
        let cost = table.cost(provider, model, &amounts.iter().copied().collect(), NOW);
        cost.map(|cost| (cost * 1e6).round() / 1e6)
    }

    #[test]
    fn the_longest_name_that_fits_counts() {
        let table = PriceTable::new(Vec::new()).unwrap();
        assert_eq!(cost(&table, "gpt-4o-2024-11-20", &[(INPUT_TOKENS, 1e6)]), Some(2.5));
        assert_eq!(cost(&table, "gpt-4o-mini-2024-07-18", &[(INPUT_TOKENS, 1e6), (OUTPUT_TOKENS, 1e6)]), Some(0.75));
        assert_eq!(cost(&table, "nova-3-medical", &[(AUDIO_SECONDS, 600.0)]), Some(0.043));
    }

    #[test]
    fn what_no_row_names_is_unknown_and_not_free() {
        let table = PriceTable::new(Vec::new()).unwrap();
        assert_eq!(cost(&table, "house-model", &[(INPUT_TOKENS, 1.0)]), None);
        assert_eq!(cost(&table, "gpt-3.5-turbo", &[(CACHE_READ_TOKENS, 5.0)]), None);
        assert_eq!(cost(&table, "gpt-3.5-turbo", &[(CACHE_READ_TOKENS, 0.0), (INPUT_TOKENS, 2e6)]), Some(1.0));
        assert_eq!(table.cost("openai", "gpt-5", &[(INPUT_TOKENS, 1.0)].into(), 0), None, "not sold in 1970");
    }

    #[test]
    fn the_operators_own_prices_come_first_and_by_date() {
        let row = |usd, from: &str| Price {
            provider: "openai".into(),
            model: "gpt-4o*".into(),
            unit: INPUT_TOKENS.into(),
            usd,
            per: 1e6,
            from: Some(from.parse().unwrap()),
        };
        let table = PriceTable::new(vec![row(1.0, "2025-06-01"), row(3.0, "2026-06-01")]).unwrap();
        assert_eq!(
            cost(&table, "gpt-4o-mini", &[(INPUT_TOKENS, 1e6)]),
            Some(1.0),
            "own rows win over longer listed names"
        );
        let wrong = r#"{"provider": "openai", "model": "gpt-5", "unit": "input_tokens", "usd": -1}"#;
        assert!(serde_json::from_str::<Price>(wrong).unwrap_err().to_string().contains("0 or more"));
    }
}
