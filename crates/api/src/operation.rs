//! What the table of operations is made of.

use http::StatusCode;

use crate::encode::Output;
use crate::generated::operations::{Operation, ROWS};
use crate::schema::Shape;
use crate::value::FromValue;

/// Facts of one operation.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) iam: &'static str,
    pub(crate) status: u16,
    pub(crate) streams: bool,
    pub(crate) input: &'static Shape,
}

/// One way to an operation. The part before these, a date, selects the table.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) parts: &'static [Part],
    /// A query parameter that must be there: it tells two operations on one path apart.
    pub(crate) query: Option<(&'static str, &'static str)>,
    pub(crate) operation: Operation,
}

/// What stands between two slashes.
pub(crate) enum Part {
    Text(&'static str),
    Label(&'static str),
}

/// Ties an operation to its input and output.
pub trait OperationType {
    /// The operation.
    const OPERATION: Operation;
    /// What it takes.
    type Input: FromValue;
    /// What it answers; `()` where the answer has no members.
    type Output: Output;
}

impl Operation {
    pub(crate) fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// As the model names it: `CreateFunction`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The permission it needs: `lambda:InvokeFunction`.
    #[must_use]
    pub fn iam_action(self) -> &'static str {
        self.row().iam
    }

    /// The status of its success.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or_default()
    }

    /// Whether its answer is a stream of event frames: then [`crate::encode_head`] writes only the head.
    #[must_use]
    pub fn streams(self) -> bool {
        self.row().streams
    }
}

macro_rules! operation_types {
    ($($name:ident($input:ty) -> $output:ty,)+) => {$(
        #[doc = concat!("[`Operation::", stringify!($name), "`](crate::Operation::", stringify!($name), ").")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $crate::OperationType for $name {
            const OPERATION: $crate::Operation = $crate::Operation::$name;
            type Input = $input;
            type Output = $output;
        }
    )+};
}

pub(crate) use operation_types;
