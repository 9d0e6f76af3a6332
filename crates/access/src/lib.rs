//! Who sent a request: what its signature claims, held against the access keys, roles and policies in the store. What
//! the sender may do then is asked of the [`Caller`](hearth_identity::Caller) that comes out.

mod access;
mod compiled;
mod functions;
mod identities;
mod refusal;
mod signing_keys;
mod visitor;

pub use access::{Access, Auth, Door, NOBODY, Parts, Signer};
pub use refusal::NotAdmitted;
pub use visitor::Visitor;
