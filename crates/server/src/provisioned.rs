//! How far what is provisioned is, for the control plane: the dispatcher knows.

use std::sync::Arc;

use hearth_control::provisioned::{Hindrance, Progress, Provisioning};
use hearth_remote::Dispatcher;

/// What the dispatcher keeps initialised.
pub(crate) struct Provisioned(pub(crate) Arc<Dispatcher>);

impl Provisioning for Provisioned {
    fn progress(&self, function: &str, qualifier: &str) -> Option<Progress> {
        let hearth_frontend::Provisioning { allocated, available, hindrance, .. } =
            self.0.provisioning(function, qualifier)?;
        let hindrance = hindrance.map(|hindrance| match hindrance {
            hearth_frontend::Hindrance::Init => Hindrance::Init,
            hearth_frontend::Hindrance::NeverFits => Hindrance::NeverFits,
            hearth_frontend::Hindrance::Room => Hindrance::Room,
            hearth_frontend::Hindrance::Version => Hindrance::Version,
        });
        Some(Progress { allocated, available, hindrance })
    }
}
