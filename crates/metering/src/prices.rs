//! What amounts cost.

use hearth_metrics::Amounts;
use hearth_types::runtime::ARCHITECTURE;
use serde::{Deserialize, Serialize};

/// The public ones.
const PUBLIC: &str = include_str!("../prices.json");
/// MB x ms of a GB x s.
const GB_SECOND: f64 = 1024.0 * 1000.0;
const GB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Prices, in one currency.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// For people: where they are from.
    #[serde(default)]
    pub note: String,
    /// As amounts show it.
    pub currency: String,
    /// A million requests.
    pub requests_million: f64,
    /// A GB for a second, of an environment made on demand.
    pub gb_second: ByArchitecture,
    /// The same of one that was provisioned.
    pub provisioned_gb_second: ByArchitecture,
    /// A GB of provisioned concurrency for a second, used or not.
    pub allocated_gb_second: ByArchitecture,
    /// A GB of /tmp for a second, beyond the first 512 MB.
    pub ephemeral_gb_second: ByArchitecture,
    /// A GB of streamed answers, beyond the first 6 MiB of each.
    pub streamed_gb: f64,
    /// What a month has for nothing.
    pub free: Free,
}

/// A price by what the machine is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByArchitecture {
    x86_64: f64,
    arm64: f64,
}

/// What is not paid for, of all functions together.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Free {
    /// Requests.
    pub requests: u64,
    /// GB for a second, on demand.
    pub gb_seconds: f64,
}

/// What something costs, in its parts.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Of requests.
    pub requests: f64,
    /// Of memory over time, on demand and provisioned.
    pub duration: f64,
    /// Of provisioned concurrency being there.
    pub allocated: f64,
    /// Of /tmp and of streamed bytes.
    pub other: f64,
}

impl Default for Prices {
    fn default() -> Self {
        // The file is a part of this crate; a test reads it.
        Self::read(PUBLIC).unwrap_or(Self {
            note: String::new(),
            currency: String::new(),
            requests_million: 0.0,
            gb_second: ByArchitecture::NOTHING,
            provisioned_gb_second: ByArchitecture::NOTHING,
            allocated_gb_second: ByArchitecture::NOTHING,
            ephemeral_gb_second: ByArchitecture::NOTHING,
            streamed_gb: 0.0,
            free: Free { requests: 0, gb_seconds: 0.0 },
        })
    }
}

impl Prices {
    /// Reads a file of them: JSON with all members.
    ///
    /// # Errors
    /// With what is wrong, for people.
    pub fn read(text: &str) -> Result<Self, String> {
        let prices: Self = serde_json::from_str(text).map_err(|cause| format!("these are no prices: {cause}"))?;
        let wrong = prices.each().find(|(_, number)| !number.is_finite() || *number < 0.0);
        match wrong {
            Some((member, number)) => Err(format!("{member} is {number}: no price is less than nothing")),
            None => Ok(prices),
        }
    }

    /// All numbers that may have a fraction, by their members' names.
    fn each(&self) -> impl Iterator<Item = (String, f64)> {
        let plain = [
            ("requestsMillion", self.requests_million),
            ("streamedGb", self.streamed_gb),
            ("free.gbSeconds", self.free.gb_seconds),
        ];
        let of = [
            ("gbSecond", self.gb_second),
            ("provisionedGbSecond", self.provisioned_gb_second),
            ("allocatedGbSecond", self.allocated_gb_second),
            ("ephemeralGbSecond", self.ephemeral_gb_second),
        ];
        let of = of.into_iter().flat_map(|(member, price)| {
            [(format!("{member}.x86_64"), price.x86_64), (format!("{member}.arm64"), price.arm64)]
        });
        plain.into_iter().map(|(member, number)| (member.to_owned(), number)).chain(of)
    }

    /// What these amounts cost on this machine's architecture.
    #[must_use]
    pub fn cost(&self, amounts: &Amounts) -> Cost {
        Cost {
            requests: amounts.requests as f64 / 1e6 * self.requests_million,
            duration: gb_seconds(amounts.on_demand_mb_ms) * self.gb_second.here()
                + gb_seconds(amounts.provisioned_mb_ms) * self.provisioned_gb_second.here(),
            allocated: gb_seconds(amounts.allocated_mb_ms) * self.allocated_gb_second.here(),
            other: gb_seconds(amounts.ephemeral_mb_ms) * self.ephemeral_gb_second.here()
                + amounts.streamed_bytes as f64 / GB * self.streamed_gb,
        }
    }

    /// What one run costs that is billed so long.
    #[must_use]
    pub fn of_run(&self, memory_mb: u32, billed_ms: u64) -> f64 {
        let on_demand_mb_ms = u64::from(memory_mb).saturating_mul(billed_ms);
        self.cost(&Amounts { requests: 1, on_demand_mb_ms, ..Amounts::default() }).total()
    }

    /// How much less a month's total costs for what it has for nothing.
    #[must_use]
    pub fn free_of(&self, total: &Amounts) -> f64 {
        let requests = total.requests.min(self.free.requests) as f64 / 1e6 * self.requests_million;
        requests + gb_seconds(total.on_demand_mb_ms).min(self.free.gb_seconds) * self.gb_second.here()
    }
}

impl ByArchitecture {
    const NOTHING: Self = Self { x86_64: 0.0, arm64: 0.0 };

    fn here(self) -> f64 {
        if ARCHITECTURE == "arm64" { self.arm64 } else { self.x86_64 }
    }
}

impl Cost {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.requests + self.duration + self.allocated + self.other
    }
}

/// Of MB x ms.
pub(crate) fn gb_seconds(mb_ms: u64) -> f64 {
    mb_ms as f64 / GB_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_prices_are_read_and_applied() {
        let prices = Prices::read(PUBLIC).unwrap();
        let near = |is: f64, should: f64| assert!((is - should).abs() < should * 1e-9, "{is} is not {should}");
        let rate = prices.gb_second.here();
        // A million runs of 100 ms at 1 GB.
        let amounts = Amounts { requests: 1_000_000, on_demand_mb_ms: 1_000_000 * 100 * 1024, ..Amounts::default() };
        near(prices.cost(&amounts).total(), 0.20 + 100_000.0 * rate);
        near(prices.free_of(&amounts), 0.20 + 100_000.0 * rate);
        near(prices.of_run(512, 2000), 0.2e-6 + rate);
        let allocated = Amounts { allocated_mb_ms: 1024 * 3_600_000, ..Amounts::default() };
        near(prices.cost(&allocated).allocated, 3600.0 * prices.allocated_gb_second.here());
        assert_eq!(prices.free_of(&allocated), 0.0);
        assert_eq!(Prices::default(), prices);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        assert!(Prices::read("{}").unwrap_err().contains("currency"));
        let refused = Prices::read(&PUBLIC.replace("0.008", "-1")).unwrap_err();
        assert!(refused.contains("streamedGb is -1"), "{refused}");
        let refused = Prices::read(&PUBLIC.replace("0.0000133334", "-0.5")).unwrap_err();
        assert!(refused.contains("gbSecond.arm64 is -0.5"), "{refused}");
        assert!(Prices::read(&PUBLIC.replace("streamedGb", "streamed")).is_err());
    }
}
