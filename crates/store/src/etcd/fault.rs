//! The meaning of a failed call to etcd for the contract.

use std::error::Error;

use tonic::{Code, ConnectError, Status};

use crate::StoreError;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The member was not reached, so nothing happened; another one may be.
    Unreachable(String),
    /// The member has no leader, so it proposed nothing; another one may have one.
    NoLeader,
    /// etcd refused the request; nothing happened.
    Refused(StoreError),
    /// Too few members are connected, or not long enough, for a change of the members. Nothing
    /// happened.
    Unhealthy,
    /// The revision was compacted. etcd does not say here which one is the oldest.
    Compacted,
    /// The member has not reached this revision.
    Future,
    /// The request was sent and its outcome is unknown. `no_quorum` if the member itself waited in
    /// vain for the others.
    Doubtful { no_quorum: bool, text: String },
}

impl Fault {
    pub(crate) fn doubtful(text: impl Into<String>) -> Self {
        Self::Doubtful {
            no_quorum: false,
            text: text.into(),
        }
    }

    /// Whether another member should be asked from now on.
    pub(crate) fn is_of_the_member(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::NoLeader | Self::Doubtful { .. }
        )
    }

    /// Whether it is certain that nothing happened.
    pub(crate) fn nothing_happened(&self) -> bool {
        !matches!(self, Self::Doubtful { .. })
    }

    /// For a call without effects, or one that may be repeated.
    pub(crate) fn of_read(self) -> StoreError {
        match self {
            Self::Doubtful {
                no_quorum: false,
                text,
            } => StoreError::Unavailable(text),
            Self::Doubtful { .. } => StoreError::NoQuorum,
            fault => fault.of_write(),
        }
    }

    /// For a call with effects.
    pub(crate) fn of_write(self) -> StoreError {
        match self {
            Self::Unreachable(text) => StoreError::Unavailable(text),
            Self::NoLeader => StoreError::NoQuorum,
            Self::Refused(error) => error,
            Self::Unhealthy => {
                let text = "too few of etcd's members are connected to change who they are";
                StoreError::Unavailable(text.to_owned())
            }
            Self::Compacted => StoreError::Unavailable("a compacted revision".to_owned()),
            Self::Future => StoreError::Moved,
            Self::Doubtful { text, .. } => StoreError::Unknown(text),
        }
    }
}

/// The texts decide, as in etcd's own clients: one code has several meanings. Source: `api/v3rpc/rpctypes/error.go`.
impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        let text = status.message();
        let refused = |error: fn(String) -> StoreError| Self::Refused(error(text.to_owned()));
        match (status.code(), text.strip_prefix("etcdserver: ")) {
            (_, Some("mvcc: required revision has been compacted")) => Self::Compacted,
            (_, Some("mvcc: required revision is a future revision")) => Self::Future,
            (_, Some("mvcc: database space exceeded")) => refused(StoreError::Full),
            (_, Some("requested lease not found")) => Self::Refused(StoreError::LeaseLost),
            (_, Some("request is too large" | "too many operations in txn request")) => {
                refused(StoreError::Limit)
            }
            (_, Some("no leader")) => Self::NoLeader,
            (_, Some("rpc not supported for learner")) => Self::Unreachable(text.to_owned()),
            (_, Some("too many requests" | "corrupt cluster")) => refused(StoreError::Unavailable),
            (_, Some("unhealthy cluster")) => Self::Unhealthy,
            // What does not fit the members that there are.
            (Code::FailedPrecondition | Code::NotFound, Some(_)) => {
                refused(StoreError::Unavailable)
            }
            (_, Some(waited)) if waited.starts_with("request timed out") => Self::Doubtful {
                no_quorum: true,
                text: text.to_owned(),
            },
            // etcd checks who is calling before it does anything.
            (Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented, _) => {
                refused(StoreError::Unavailable)
            }
            // The channel had lost its connection and could not open another one.
            _ if causes(&status).any(|cause| cause.is::<ConnectError>()) => {
                Self::Unreachable(text_of(&status))
            }
            _ => Self::doubtful(text_of(&status)),
        }
    }
}

fn text_of(status: &Status) -> String {
    let own = format!("etcd: {:?}: {}", status.code(), status.message());
    causes(status).fold(own, |text, cause| format!("{text}: {cause}"))
}

/// What led to an error, without the error itself.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code, text: &str) -> Fault {
        Fault::from(Status::new(code, text))
    }

    #[test]
    fn a_commit_is_unknown_unless_etcd_certainly_refused_it() {
        let unknown = [
            (Code::Unavailable, "etcdserver: request timed out"),
            (
                Code::Unavailable,
                "etcdserver: request timed out, possibly due to previous leader failure",
            ),
            (Code::Unavailable, "etcdserver: server stopped"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unavailable, "tcp connect error"),
            (Code::Cancelled, "operation was canceled"),
            (Code::Unknown, "raft proposal dropped"),
        ];
        for (code, text) in unknown {
            let error = of(code, text).of_write();
            assert!(matches!(error, StoreError::Unknown(_)), "{text}: {error}");
        }
        let no_leader = of(Code::Unavailable, "etcdserver: no leader");
        assert!(no_leader.nothing_happened() && no_leader.is_of_the_member());
        assert_eq!(no_leader.of_write(), StoreError::NoQuorum);
        let full = of(
            Code::ResourceExhausted,
            "etcdserver: mvcc: database space exceeded",
        );
        assert!(matches!(full.of_write(), StoreError::Full(_)));
        let lost = of(Code::NotFound, "etcdserver: requested lease not found");
        assert_eq!(lost.of_write(), StoreError::LeaseLost);
    }

    #[test]
    fn a_request_without_a_connection_was_not_sent() {
        let refused = ConnectError("connection refused".into());
        let fault = Fault::from(Status::from_error(Box::new(refused)));
        assert!(matches!(fault, Fault::Unreachable(_)), "{fault:?}");
    }

    #[test]
    fn a_read_that_the_member_could_not_confirm_has_no_quorum() {
        let waited = of(Code::Unavailable, "etcdserver: request timed out");
        assert_eq!(waited.of_read(), StoreError::NoQuorum);
        let broken = of(Code::Unavailable, "connection reset");
        assert!(matches!(broken.of_read(), StoreError::Unavailable(_)));
    }
}
