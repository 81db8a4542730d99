//! Why no whole reply came.

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No connection took the request.
    Connect,
    /// The request was being sent, or its reply awaited.
    Head,
    /// The reply had begun.
    Body,
}

/// What broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// A timeout passed.
    #[error("timed out")]
    Timeout,
    /// The connection could not be made, or broke.
    #[error("the connection failed")]
    Broken,
    /// The reply is larger than `MAX_RESPONSE_BYTES`.
    #[error("the reply is too large")]
    TooLarge,
    /// It was withdrawn before its first byte.
    #[error("withdrawn before it was sent")]
    Withdrawn,
}

/// An attempt that brought no whole reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{fault} ({phase:?})")]
pub struct UpstreamError {
    /// How far it got.
    pub phase: Phase,
    /// What broke.
    pub fault: Fault,
}
