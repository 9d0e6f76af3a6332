//! What the command line says of a server, as its parts take it.

use std::time::Duration;

use hearth_access::Auth;
use hearth_clock::Clock;
use hearth_control::concurrency::AccountConcurrency;
use hearth_control::roles::Roles;
use hearth_scheduler::Limits;
use hearth_types::Place;
use hearth_types::limits::{ENVIRONMENT_LIFE_SPREAD, ROOM_WAIT, SETTLE, SETTLE_MAX, UNRESERVED_CONCURRENCY_MIN};

use crate::cli::{AuthArg, ClockArg, ServeArgs, Switch};

impl ServeArgs {
    pub(crate) fn place(&self) -> Place {
        Place { region: self.region.as_str().into(), account: self.account.as_str().into() }
    }

    pub(crate) fn clock(&self) -> Clock {
        match self.clock {
            ClockArg::Real => Clock::real(),
            ClockArg::Manual => Clock::manual_from_now(),
        }
    }

    /// Loopback is reached by programs of this machine only.
    pub(crate) fn auth(&self) -> Auth {
        match self.auth {
            Some(AuthArg::Required) => Auth::Required,
            Some(AuthArg::Open) => Auth::Open,
            None if self.listen.ip().is_loopback() => Auth::Open,
            None => Auth::Required,
        }
    }

    /// Where everybody may do everything, nobody makes roles.
    pub(crate) fn roles(&self) -> Roles {
        match self.auth() {
            Auth::Open => Roles::Any,
            Auth::Required => Roles::Made,
        }
    }

    /// A server with a small limit of its own keeps a tenth of it unreserved.
    pub(crate) fn concurrency(&self) -> AccountConcurrency {
        let unreserved_min =
            self.unreserved_concurrency_min.unwrap_or(UNRESERVED_CONCURRENCY_MIN.min(self.concurrency / 10));
        AccountConcurrency { limit: self.concurrency, unreserved_min }
    }

    pub(crate) fn environment_life(&self) -> Duration {
        Duration::from_secs(self.environment_max_age)
    }

    /// What the scheduler keeps to.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            account_concurrency: self.concurrency,
            requests_per_concurrency: (self.request_rate > 0).then_some(self.request_rate),
            scaling: self.scaling,
            placement: self.placement.into(),
            keep_alive: self.keep_alive,
            ahead: self.ahead_of_calls == Switch::On,
            life: self.environment_life(),
            life_spread: self.environment_life() / ENVIRONMENT_LIFE_SPREAD,
            settle: SETTLE,
            settle_max: SETTLE_MAX,
            room_wait: ROOM_WAIT,
        }
    }
}
