//! The columns of an export: one flat table, the same in every format.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of 64 bits.
    Number,
    /// A moment: microseconds of UTC in Parquet, RFC 3339 in NDJSON.
    Moment,
    /// Text in UTF-8.
    Text,
}

/// Declares the columns in the order in which they stand in a file. New ones are added at the end.
macro_rules! columns {
    ($($(#[doc = $doc:literal])+ $variant:ident: $name:literal $kind:ident;)+) => {
        /// A column, in the order in which they stand in a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Column {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Column {
            /// Every column, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it holds.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => Kind::$kind,)+
                }
            }
        }
    };
}

columns! {
    /// The entry's number; they rise by one.
    Seq: "seq" Number;
    /// When it was written.
    Time: "time" Moment;
    /// What kind of entry it is, as in `GET /admin/audit`.
    Event: "event" Text;
    /// Its digest in the chain: an HMAC that the store can check, and nobody else.
    Digest: "digest" Text;
    /// The number of the call's intent, in entries that tell of a call later.
    Intent: "intent" Number;
    /// The request that carried the call or the change.
    RequestId: "request_id" Text;
    /// The request id that the client gave itself.
    ClientRequestId: "client_request_id" Text;
    /// Whose call it is.
    Owner: "owner" Text;
    /// The client key that asked.
    Key: "key" Text;
    /// What was asked.
    Operation: "operation" Text;
    /// The account that the call went to.
    Account: "account" Text;
    /// The model or `req_key` that the call names.
    Model: "model" Text;
    /// Keyed digest of the request's body.
    BodyDigest: "body_digest" Text;
    /// Size of the request's body in bytes.
    BodyBytes: "body_bytes" Number;
    /// Keyed digest of owner and idempotency key.
    Idempotency: "idempotency" Text;
    /// Headers that were kept, as a JSON object.
    Headers: "headers" Text;
    /// The address that the call came from.
    Peer: "peer" Text;
    /// How the call ended.
    Outcome: "outcome" Text;
    /// Why: of a settlement or of refusals.
    Reason: "reason" Text;
    /// The HTTP status of the reply.
    Status: "status" Number;
    /// The provider's own code in the reply.
    Code: "code" Number;
    /// The provider's name for the task.
    TaskId: "task_id" Text;
    /// The provider's name for the request.
    UpstreamRequestId: "upstream_request_id" Text;
    /// Attempts that were made.
    Attempts: "attempts" Number;
    /// Size of the reply in bytes.
    ReplyBytes: "reply_bytes" Number;
    /// From intent to settlement, in microseconds.
    DurationMicros: "duration_micros" Number;
    /// The state that a task was seen in.
    State: "state" Text;
    /// Tokens that were asked.
    InputTokens: "input_tokens" Number;
    /// Tokens that were answered.
    OutputTokens: "output_tokens" Number;
    /// Where the tokens are known from: `reported` or `estimated`.
    Source: "source" Text;
    /// Who administered or decided.
    Actor: "actor" Text;
    /// What was done, e.g. `key.create`.
    Action: "action" Text;
    /// To what it was done.
    Target: "target" Text;
    /// How many refusals, or how many entries that were removed.
    Count: "count" Number;
    /// When the minute of refusals began.
    Since: "since" Moment;
    /// The last entry that was removed.
    Through: "through" Number;
    /// The digest of the last entry that was removed.
    PrunedDigest: "pruned_digest" Text;
    /// The number of the process that started.
    Boot: "boot" Number;
    /// The version that started.
    Version: "version" Text;
    /// Intents that the start found without a settlement.
    Unknown: "unknown" Number;
    /// Tokens of the input that the upstream had in its cache.
    CachedTokens: "cached_tokens" Number;
    /// Images that were paid for.
    Images: "images" Number;
    /// Seconds of film that were paid for.
    Seconds: "seconds" Number;
    /// The currency of a cost or of a reservation.
    Currency: "currency" Text;
    /// What the call cost, in millionths of the currency's unit.
    CostMicrounits: "cost_microunits" Number;
    /// What was held of the owner's budget until the settlement, in millionths of the currency's unit.
    ReservedMicrounits: "reserved_microunits" Number;
    /// How often the store had been restored from a backup.
    Epoch: "epoch" Number;
    /// When it was restored.
    RestoredAt: "restored_at" Moment;
    /// When the backup was made.
    BackupAt: "backup_at" Moment;
    /// The digest of the backup's last entry.
    ThroughDigest: "through_digest" Text;
    /// The last entry of the store that was replaced.
    Replaced: "replaced" Number;
    /// Its digest.
    ReplacedDigest: "replaced_digest" Text;
}

impl Column {
    /// Whether every entry has it. The others are null where an entry does not tell of it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Seq | Self::Time | Self::Event | Self::Digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_name_of_its_own_that_needs_no_quotes_in_sql() {
        let names: std::collections::BTreeSet<_> = Column::ALL.iter().map(|column| column.name()).collect();
        assert_eq!(names.len(), Column::ALL.len());
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
    }

    #[test]
    fn the_page_on_the_log_book_names_every_column_in_order() {
        let page = include_str!("../../docs/log-book.md");
        let told: Vec<&str> = page
            .lines()
            .skip_while(|line| !line.starts_with("| column "))
            .skip(2)
            .map_while(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let names: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
        assert_eq!(told, names);
    }
}
