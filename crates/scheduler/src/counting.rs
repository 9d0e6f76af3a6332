//! What is counted: invokes in flight, of the account and of each function, requests, and how fast environments come.

use std::time::Duration;

use crate::event::{FunctionKey, Limits, Origin, Throttle};
use crate::rate::{Bucket, Rate, Scaling};
use crate::table::Table;

/// The counts of the account.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    functions: Table<FunctionKey, Function>,
    /// Invokes in flight.
    in_flight: u32,
    /// Invokes in flight of functions without reserved concurrency.
    unreserved_in_flight: u32,
    /// Provisioned environments that no invoke in flight has a claim to, of functions without reserved concurrency.
    unreserved_spare: u32,
    /// Sum of what functions reserve.
    reserved: u32,
    /// Clients' requests for functions without reserved concurrency.
    requests: Bucket,
    /// New environments, where all functions share their rate.
    scaling: Bucket,
}

/// What is counted for a function: within one line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Function {
    in_flight: u32,
    /// Provisioned environments of its versions beyond the invokes that each version has in flight. They take their part
    /// of the concurrency although nothing runs in them.
    spare: u32,
    reserved: Option<u32>,
    /// Generations that take invokes.
    deployed: u32,
    /// Clients' requests, where it has reserved concurrency.
    requests: Bucket,
    /// New environments, where each function has a rate of its own.
    scaling: Bucket,
}

impl Function {
    /// Nothing is to be known of it any more.
    fn is_done(&self) -> bool {
        self.deployed == 0 && self.in_flight == 0 && self.spare == 0 && self.reserved.is_none()
    }
}

impl Counting {
    /// Invokes in flight, admitted and not yet answered.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Those of a function.
    pub(crate) fn in_flight_of(&self, key: FunctionKey) -> u32 {
        self.functions.get(key).map_or(0, |function| function.in_flight)
    }

    /// Those of functions without reserved concurrency.
    pub(crate) fn unreserved_in_flight(&self) -> u32 {
        self.unreserved_in_flight
    }

    /// One more generation of the function takes invokes.
    pub(crate) fn deployed(&mut self, key: FunctionKey) {
        self.functions.get_or_insert_with(key, Function::default).deployed += 1;
    }

    /// One less.
    pub(crate) fn retired(&mut self, key: FunctionKey) {
        if let Some(function) = self.functions.get_mut(key) {
            function.deployed -= 1;
        }
        self.forget_if_done(key);
    }

    /// From now on the function has this much for itself; none lets it share what is unreserved.
    pub(crate) fn reserve(&mut self, key: FunctionKey, concurrency: Option<u32>) {
        let function = self.functions.get_or_insert_with(key, Function::default);
        let before = std::mem::replace(&mut function.reserved, concurrency);
        self.reserved = self.reserved - before.unwrap_or(0) + concurrency.unwrap_or(0);
        match (before, concurrency) {
            (None, Some(_)) => {
                self.unreserved_in_flight -= function.in_flight;
                self.unreserved_spare -= function.spare;
            }
            (Some(_), None) => {
                self.unreserved_in_flight += function.in_flight;
                self.unreserved_spare += function.spare;
            }
            _ => {}
        }
        self.forget_if_done(key);
    }

    /// The spare provisioned environments of one of the function's versions are not as many as before.
    pub(crate) fn set_spare(&mut self, key: FunctionKey, before: u32, now: u32) {
        if before == now {
            return;
        }
        let function = self.functions.get_or_insert_with(key, Function::default);
        function.spare = function.spare - before + now;
        if function.reserved.is_none() {
            self.unreserved_spare = self.unreserved_spare - before + now;
        }
        self.forget_if_done(key);
    }

    /// Whether the concurrency has room for one more spare environment of the function.
    pub(crate) fn may_hold(&self, limits: &Limits, key: FunctionKey) -> bool {
        match self.functions.get(key).and_then(|function| Some((function, function.reserved?))) {
            Some((function, reserved)) => function.in_flight + function.spare < reserved,
            None => self.has_unreserved(limits),
        }
    }

    fn has_unreserved(&self, limits: &Limits) -> bool {
        let taken = self.unreserved_in_flight + self.unreserved_spare;
        taken < limits.account_concurrency.saturating_sub(self.reserved)
    }

    /// Counts one invoke, or says what it exceeds. One that a spare environment of its version is there for exceeds no
    /// concurrency.
    pub(crate) fn admit(
        &mut self,
        now: Duration,
        limits: &Limits,
        key: FunctionKey,
        origin: Origin,
        has_spare: bool,
    ) -> Result<(), Throttle> {
        let has_unreserved = has_spare || self.has_unreserved(limits);
        let function = self.functions.get_or_insert_with(key, Function::default);
        match function.reserved {
            Some(reserved) => {
                if !has_spare && function.in_flight + function.spare >= reserved {
                    return Err(Throttle::ReservedConcurrency);
                }
                if !in_time(&mut function.requests, now, limits, reserved, origin) {
                    return Err(Throttle::ReservedRequestRate);
                }
            }
            None => {
                if !has_unreserved {
                    return Err(Throttle::AccountConcurrency);
                }
                if !in_time(&mut self.requests, now, limits, limits.account_concurrency, origin) {
                    return Err(Throttle::RequestRate);
                }
                self.unreserved_in_flight += 1;
            }
        }
        function.in_flight += 1;
        self.in_flight += 1;
        Ok(())
    }

    /// One invoke of the function is answered, or was refused after all.
    pub(crate) fn release(&mut self, key: FunctionKey) {
        let Some(function) = self.functions.get_mut(key) else { return };
        function.in_flight -= 1;
        self.in_flight -= 1;
        if function.reserved.is_none() {
            self.unreserved_in_flight -= 1;
        }
        if function.is_done() {
            self.functions.remove(key);
        }
    }

    /// Whether one more environment of the function may come to be now.
    pub(crate) fn may_scale(&self, now: Duration, limits: &Limits, key: FunctionKey) -> Result<(), Throttle> {
        let may = match limits.scaling {
            Scaling::PerFunction(rate) => {
                self.functions.get(key).map(|function| function.scaling).unwrap_or_default().has(rate, now)
            }
            Scaling::Account(rate) => self.scaling.has(rate, now),
            Scaling::Unlimited => true,
        };
        if may { Ok(()) } else { Err(Throttle::ScalingRate) }
    }

    /// One more has come to be.
    pub(crate) fn scaled(&mut self, now: Duration, limits: &Limits, key: FunctionKey) {
        match limits.scaling {
            Scaling::PerFunction(rate) => {
                self.functions.get_or_insert_with(key, Function::default).scaling.take(rate, now)
            }
            Scaling::Account(rate) => self.scaling.take(rate, now),
            Scaling::Unlimited => {}
        }
    }

    /// Whether a generation of the function takes invokes.
    pub(crate) fn is_deployed(&self, key: FunctionKey) -> bool {
        self.functions.get(key).is_some_and(|function| function.deployed > 0)
    }

    fn forget_if_done(&mut self, key: FunctionKey) {
        if self.functions.get(key).is_some_and(Function::is_done) {
            self.functions.remove(key);
        }
    }

    /// Spare provisioned environments of all functions.
    #[cfg(debug_assertions)]
    pub(crate) fn spare(&self) -> u32 {
        self.functions.iter().map(|(_, function)| function.spare).sum()
    }

    /// What must hold between two steps.
    #[cfg(debug_assertions)]
    pub(crate) fn check(&self) {
        let functions = || self.functions.iter().map(|(_, function)| function);
        let unreserved: u32 = functions().filter(|f| f.reserved.is_none()).map(|f| f.in_flight).sum();
        assert_eq!(unreserved, self.unreserved_in_flight, "unreserved invokes in flight");
        assert_eq!(functions().map(|f| f.in_flight).sum::<u32>(), self.in_flight, "invokes in flight");
        let spare: u32 = functions().filter(|f| f.reserved.is_none()).map(|f| f.spare).sum();
        assert_eq!(spare, self.unreserved_spare, "unreserved spare environments");
        let reserved: u32 = functions().filter_map(|f| f.reserved).sum();
        assert_eq!(reserved, self.reserved, "sum of reservations");
    }
}

/// Takes a client's request off what this much concurrency allows in a second.
fn in_time(requests: &mut Bucket, now: Duration, limits: &Limits, concurrency: u32, origin: Origin) -> bool {
    match (limits.requests_per_concurrency, origin) {
        (Some(each), Origin::Client) => requests.try_take(Rate::per_second(concurrency.saturating_mul(each)), now),
        _ => true,
    }
}
