//! How far what is provisioned is, for the control plane: the dispatcher knows.

use std::sync::Arc;

use hearth_control::provisioned::Provisioner;
use hearth_remote::Dispatcher;
use hearth_types::settings::Provisioning;

/// What the dispatcher keeps initialised.
pub(crate) struct Provisioned(pub(crate) Arc<Dispatcher>);

impl Provisioner for Provisioned {
    fn provisioning(&self, function: &str, qualifier: &str) -> Option<Provisioning> {
        self.0.provisioning(function, qualifier)
    }
}
