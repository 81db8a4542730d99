//! The pool: every account of one upstream, which of them a call goes to, and what its reply changes.
//!
//! It does no I/O and reads no clock. For each call: [`Trial::new`], then [`Pool::choose`], the attempt, and
//! [`Pool::ended`], which says what follows; for a stream [`Pool::began`] before its first byte is forwarded. A turn that
//! waited between choice and attempt asks [`Pool::still`] first. A call that ends for a reason of its own, such as its
//! deadline or an [`Unusable`] in the middle, ends with [`Pool::conclude`].
//!
//! Cooling and probes are measured by the monotonic clock; the [`Standing`]s that are given back name moments of the wall
//! clock and are what survives a restart.

pub mod breaker;
mod budget;
mod forbidden;
mod member;
pub mod rotation;
mod share;
pub mod trial;
pub mod turn;
pub mod unusable;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use tokio::time::Instant;

use self::breaker::BreakerState;
use self::budget::Budget;
use self::forbidden::Forbidden;
use self::member::{Member, Passage};
use self::rotation::{Ending, Health, Next};
use self::share::Share;
use self::trial::{Asked, Trial, Word};
use self::turn::Turn;
use self::unusable::Unusable;
use crate::model::account::Standing;
use crate::model::clock::{Clock, Timestamp};
use crate::model::id::AccountId;
use crate::upstream::Symptom;

/// The accounts of one upstream.
#[derive(Debug)]
pub struct Pool {
    /// In the order of their ids. A row, since each choice walks it.
    members: Vec<(AccountId, Member)>,
    forbidden: Forbidden,
    budget: Budget,
    /// How far the round robin has come. Who was away joins here, and does not catch up.
    pass: u64,
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock.
    pub now: Instant,
    /// By the wall clock.
    pub wall: Timestamp,
}

/// An account that belongs to the pool.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// The account.
    pub account: AccountId,
    /// Its share of the traffic beside the others.
    pub weight: NonZeroU32,
    /// How it stood when that was last written down.
    pub standing: Option<Standing>,
}

/// How an account stands, for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The account.
    pub account: AccountId,
    /// How it stands: cooling that is over is not shown.
    pub standing: Standing,
    /// What its breaker lets through.
    pub breaker: BreakerState,
}

/// What came of an attempt.
#[derive(Debug)]
#[must_use = "what changed is to be written down"]
pub struct Ended {
    /// What follows.
    pub next: Next,
    /// The accounts that stand differently now, to be written down.
    pub changed: Changes,
}

/// Accounts that stand differently now.
pub type Changes = Vec<(AccountId, Standing)>;

impl Moment {
    /// Now.
    #[must_use]
    pub fn of(clock: &dyn Clock) -> Self {
        Self {
            now: clock.monotonic(),
            wall: clock.wall(),
        }
    }
}

impl Pool {
    /// One without accounts.
    #[must_use]
    pub fn new(at: Moment) -> Self {
        Self {
            members: Vec::new(),
            forbidden: Forbidden::default(),
            budget: Budget::new(at.now),
            pass: 0,
        }
    }

    /// From now on these accounts belong to it, and no others. Those that did keep how they stand; the others begin with
    /// what is written down of them.
    pub fn define(&mut self, accounts: impl IntoIterator<Item = Listed>, at: Moment) {
        let mut before: HashMap<_, _> = std::mem::take(&mut self.members).into_iter().collect();
        let member = |listed: Listed| {
            let standing = listed.standing.unwrap_or_else(|| Standing::fresh(at.wall));
            let known = before.remove(&listed.account);
            let mut member = known.unwrap_or_else(|| Member::new(listed.weight, standing, at));
            member.weight = listed.weight;
            (listed.account, member)
        };
        let mut members: Vec<_> = accounts.into_iter().map(member).collect();
        members.sort_by_key(|(account, _)| *account);
        members.dedup_by_key(|(account, _)| *account);
        self.forbidden
            .retain(|account| members.binary_search_by_key(&account, |(id, _)| *id).is_ok());
        self.members = members;
    }

    /// How many accounts could serve a call for `model` now.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn usable(&self, model: &str, now: Instant) -> Result<NonZeroUsize, Unusable> {
        let passages = || self.passages(model, now).map(|(.., passage)| passage);
        let open = passages().filter(|passage| passage.is_open()).count();
        NonZeroUsize::new(open).ok_or_else(|| Unusable::of(passages(), now))
    }

    /// Chooses the account for the next attempt: of those that are usable and were not tried by this call, the one with
    /// the fewest calls for its weight. Those with as few take turns by their weight.
    ///
    /// # Errors
    /// [`Unusable`]; for a call that has tried some accounts, there is none left.
    pub fn choose(&mut self, trial: &mut Trial, at: Moment) -> Result<Turn, Unusable> {
        // One pass, and nothing is allocated on it: a pool may have a thousand accounts.
        let mut chosen = None::<Share>;
        for (account, member) in self.open(trial, at.now) {
            let share = Share {
                account,
                calls: u64::from(u32::try_from(member.in_flight()).unwrap_or(u32::MAX)),
                weight: u64::from(member.weight.get()),
                pass: member.pass.max(self.pass),
            };
            if chosen.is_none_or(|best| share.compare(&best).is_lt()) {
                chosen = Some(share);
            }
        }
        let found = chosen.and_then(|share| Some((share, self.member_mut(share.account)?)));
        let Some((share, member)) = found else {
            let passages = self.passages(trial.model(), at.now);
            return Err(Unusable::of(passages.map(|(.., passage)| passage), at.now));
        };
        member.pass = share.next_pass();
        let turn = member.enter(share.account, at.now);
        self.pass = share.pass;
        if trial.is_new() {
            self.budget.earn();
        }
        trial.chose(share.account);
        Ok(turn)
    }

    /// Whether a turn may still be used: nothing has happened to its account since it was chosen. If not, give it back
    /// ([`Trial::give_back`]) and choose again.
    #[must_use]
    pub fn still(&self, trial: &Trial, turn: &Turn, now: Instant) -> bool {
        let member = self.member(turn.account);
        member.is_some_and(|member| member.generation() == turn.generation)
            && !self.forbidden.has(trial.model(), turn.account, now)
    }

    /// The head of a good reply is here, and its first byte is about to be forwarded: from now on the call goes nowhere
    /// else. Tell how the stream went with [`Pool::ended`].
    #[must_use = "what changed is to be written down"]
    pub fn began(&mut self, trial: &mut Trial, turn: &Turn, at: Moment) -> Changes {
        trial.begin_reply();
        if let Some(member) = self.current(turn.account, turn.generation) {
            member.began();
        }
        self.hear(trial, turn, Symptom::Healthy, None, at)
    }

    /// An attempt ended: changes how its account stands, and says what follows.
    pub fn ended(&mut self, trial: &mut Trial, turn: Turn, ending: Ending, at: Moment) -> Ended {
        let account = turn.account;
        if let Some(member) = self.current(account, turn.generation) {
            match rotation::health(ending) {
                Some(Health::Answered) => member.answered(),
                Some(Health::Failed) => member.failed(at.now),
                None => {}
            }
        }
        let mut changed = match ending {
            Ending::Replied { symptom, retry_after } => self.hear(trial, &turn, symptom, retry_after, at),
            Ending::Broke(_) => Changes::new(),
        };
        drop(turn);
        let next = self.next(trial, account, ending, at.now);
        if next == Next::Stop {
            changed.extend(self.conclude(trial, at));
        }
        Ended { next, changed }
    }

    /// A call ended for a reason of its own: what its accounts said takes effect, unless every one said the same. After
    /// [`Next::Stop`] this is done already; doing it twice changes nothing.
    #[must_use = "what changed is to be written down"]
    pub fn conclude(&mut self, trial: &mut Trial, at: Moment) -> Changes {
        let asked = if self.open(trial, at.now).next().is_some() {
            Asked::Some
        } else {
            Asked::Everyone
        };
        let words = trial.conclude(asked);
        self.heed(trial, words, at)
    }

    /// A person takes an account out, until a person puts it back. `None`: it is not here.
    pub fn disable(&mut self, account: AccountId, at: Moment) -> Option<Standing> {
        Some(self.member_mut(account)?.disable(at))
    }

    /// A person puts an account back, whatever took it out. `None`: it is not here.
    pub fn enable(&mut self, account: AccountId, at: Moment) -> Option<Standing> {
        let standing = self.member_mut(account)?.enable(at);
        self.forbidden.retain(|other| other != account);
        Some(standing)
    }

    /// A person forgets what the replies of an account said. `None`: it is not here, or a person took it out, which only
    /// [`Pool::enable`] undoes.
    pub fn reset(&mut self, account: AccountId, at: Moment) -> Option<Standing> {
        let member = self.member(account)?;
        if member.is_disabled_by_a_person() {
            return None;
        }
        self.enable(account, at)
    }

    /// How every account stands.
    pub fn view(&self, now: Instant) -> impl Iterator<Item = View> {
        self.members.iter().map(move |(account, member)| View {
            account: *account,
            standing: member.standing(now),
            breaker: member.breaker(now),
        })
    }

    /// What follows an attempt at `account`.
    fn next(&mut self, trial: &mut Trial, account: AccountId, ending: Ending, now: Instant) -> Next {
        let reason = rotation::reason(ending, trial.keyed());
        let Some(reason) = reason.filter(|reason| trial.goes_on(*reason, now)) else {
            return Next::Stop;
        };
        let next = if self.open(trial, now).next().is_some() {
            Next::Elsewhere(reason)
        } else {
            match rotation::wait(ending).filter(|wait| now + *wait < trial.latest()) {
                Some(wait) => Next::Again(wait, reason),
                None => return Next::Stop,
            }
        };
        if rotation::counts(reason) && !self.budget.spend(now) {
            return Next::Stop;
        }
        if let Next::Again(..) = next {
            trial.readmit(account);
        }
        next
    }

    /// Hears what an account said to a call.
    fn hear(
        &mut self,
        trial: &mut Trial,
        turn: &Turn,
        symptom: Symptom,
        retry_after: Option<Duration>,
        at: Moment,
    ) -> Changes {
        let word = Word {
            account: turn.account,
            generation: turn.generation,
            symptom,
            retry_after,
        };
        let mut changed = Changes::new();
        // What a probe says of an account that is out already waits for no other: else each call would probe it again.
        let probed = self
            .current(word.account, word.generation)
            .filter(|member| member.is_out());
        if probed.is_some() {
            changed.extend(self.take(trial, word, at));
        }
        let words = trial.hear(word);
        changed.extend(self.heed(trial, words, at));
        changed
    }

    fn heed(&mut self, trial: &Trial, words: Vec<Word>, at: Moment) -> Changes {
        let taken = words.into_iter().filter_map(|word| self.take(trial, word, at));
        taken.collect()
    }

    /// Takes an account at its word, unless something has happened to it since the call began.
    fn take(&mut self, trial: &Trial, word: Word, at: Moment) -> Option<(AccountId, Standing)> {
        let member = self.current(word.account, word.generation)?;
        let standing = member.hear(word.symptom, word.retry_after, at);
        match word.symptom {
            Symptom::Forbidden => self.forbidden.forbid(trial.model(), word.account, at.now),
            Symptom::Healthy => self.forbidden.forgive(trial.model(), word.account),
            _ => {}
        }
        standing.map(|standing| (word.account, standing))
    }

    /// An account, if nothing has happened to it since that generation.
    fn current(&mut self, account: AccountId, generation: u64) -> Option<&mut Member> {
        let member = self.member_mut(account)?;
        (member.generation() == generation).then_some(member)
    }

    fn member(&self, account: AccountId) -> Option<&Member> {
        let place = self.members.binary_search_by_key(&account, |(id, _)| *id).ok()?;
        self.members.get(place).map(|(_, member)| member)
    }

    fn member_mut(&mut self, account: AccountId) -> Option<&mut Member> {
        let place = self.members.binary_search_by_key(&account, |(id, _)| *id).ok()?;
        self.members.get_mut(place).map(|(_, member)| member)
    }

    /// The accounts that a call may be sent to now.
    fn open<'a>(&'a self, trial: &'a Trial, now: Instant) -> impl Iterator<Item = (AccountId, &'a Member)> {
        self.passages(trial.model(), now)
            .filter(|(account, _, passage)| passage.is_open() && !trial.has_tried(*account))
            .map(|(account, member, _)| (account, member))
    }

    /// Every account, and whether calls for `model` may go to it.
    fn passages(&self, model: &str, now: Instant) -> impl Iterator<Item = (AccountId, &Member, Passage)> {
        // Both are in the order of ids, so they are walked side by side.
        let mut bans = self.forbidden.of(model).map_or(&[][..], Vec::as_slice);
        self.members.iter().map(move |(account, member)| {
            while let Some(((banned, _), rest)) = bans.split_first()
                && banned < account
            {
                bans = rest;
            }
            let ban = bans.first().filter(|(banned, _)| banned == account);
            let ban = ban.map(|(_, ban)| ban.until).filter(|until| now < *until);
            (*account, member, member.passage(now).with_ban(ban))
        })
    }
}
