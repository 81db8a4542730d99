//! The two lanes in which calls wait.

/// Who waits at the other end of a call: it decides which line the call joins.
///
/// At every gate the interactive lane is served before the background lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A caller holds a connection open for the answer.
    Interactive,
    /// Durable work that can wait: the items of jobs, and Tollgate's own queries.
    Background,
}

impl Lane {
    /// Both lanes, in the order in which they are served.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Background];
}
