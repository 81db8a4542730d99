//! The promises of a pool, whatever its accounts reply: proptest plays the accounts, the clock and the operator.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Call {
        model: u8,
        keyed: Keyed,
        max_attempts: u32,
        script: Vec<Play>,
    },
    Pass(u64),
    Disable(u64),
    Enable(u64),
    Reset(u64),
    /// The process starts anew with what was written down.
    Restart,
}

/// What the chosen account does.
#[derive(Clone, Copy, Debug)]
enum Play {
    End(Ending),
    /// It begins a good reply, and then ends so.
    Stream(Ending),
    /// The client hangs up.
    HangUp,
}

fn plays() -> impl Strategy<Value = Play> {
    let symptom = prop_oneof![
        3 => Just(Symptom::Healthy),
        1 => Just(Symptom::Neutral),
        3 => Just(Symptom::Unauthorized),
        2 => Just(Symptom::Forbidden),
        2 => Just(Symptom::Exhausted),
        3 => Just(Symptom::Limited),
        3 => Just(Symptom::Failing),
    ];
    let retry_after = prop_oneof![Just(None), (0..100_u64).prop_map(Some), Just(Some(1_000_000_000))];
    let fault = prop_oneof![
        Just(Fault::Timeout),
        Just(Fault::Broken),
        Just(Fault::TooLarge),
        Just(Fault::Withdrawn)
    ];
    let phase = prop_oneof![Just(Phase::Connect), Just(Phase::Head), Just(Phase::Body)];
    let replied = (symptom, retry_after).prop_map(|(symptom, seconds)| Ending::Replied {
        symptom,
        retry_after: seconds.map(Duration::from_secs),
    });
    let broke = (phase, fault).prop_map(|(phase, fault)| Ending::Broke(UpstreamError { phase, fault }));
    let ending = prop_oneof![6 => replied, 2 => broke];
    prop_oneof![
        12 => ending.clone().prop_map(Play::End),
        1 => ending.prop_map(Play::Stream),
        1 => Just(Play::HangUp),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keyed = prop_oneof![Just(Keyed::Yes), Just(Keyed::No)];
    let call = (0..3_u8, keyed, 1..5_u32, prop::collection::vec(plays(), 1..12));
    let call = call.prop_map(|(model, keyed, max_attempts, script)| Step::Call {
        model,
        keyed,
        max_attempts,
        script,
    });
    let step = prop_oneof![
        20 => call,
        6 => (1..200_u64).prop_map(Step::Pass),
        2 => (1000..5000_u64).prop_map(Step::Pass),
        1 => (1..=5_u64).prop_map(Step::Disable),
        1 => (1..=5_u64).prop_map(Step::Enable),
        1 => (1..=5_u64).prop_map(Step::Reset),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..80)
}

/// A scene whose every promise is checked from what the pool gave back to be written down.
struct Checked {
    scene: Scene,
    weights: Vec<u32>,
    written: BTreeMap<AccountId, Standing>,
}

impl Checked {
    fn step(&mut self, step: Step) {
        let at = self.scene.at;
        let known = |number: &u64| *number <= self.weights.len() as u64;
        match step {
            Step::Call {
                model,
                keyed,
                max_attempts,
                script,
            } => self.call(&format!("model-{model}"), keyed, max_attempts, script),
            Step::Pass(seconds) => self.scene.pass(Duration::from_secs(seconds)),
            Step::Disable(number) => {
                let standing = self.scene.pool.disable(account(number), at);
                assert_eq!(standing.is_some(), known(&number));
                self.write(standing.map(|standing| (account(number), standing)));
            }
            Step::Enable(number) => {
                let standing = self.scene.pool.enable(account(number), at);
                assert_eq!(standing.is_some(), known(&number));
                self.write(standing.map(|standing| (account(number), standing)));
            }
            Step::Reset(number) => {
                let standing = self.scene.pool.reset(account(number), at);
                assert_eq!(standing.is_none(), !known(&number) || self.is_disabled(account(number)));
                self.write(standing.map(|standing| (account(number), standing)));
            }
            Step::Restart => {
                let listed = (1..).zip(&self.weights);
                let listed = listed
                    .map(|(number, weight)| listed_as(number, *weight, &self.written))
                    .collect::<Vec<_>>();
                self.scene.pool = Pool::new(at);
                self.scene.pool.define(listed, at);
            }
        }
    }

    fn call(&mut self, model: &str, keyed: Keyed, max_attempts: u32, script: Vec<Play>) {
        let mut trial = self.scene.trial(model, keyed, max_attempts);
        let mut plays = script.into_iter().cycle();
        let mut asked = BTreeSet::new();
        let mut attempts = 0;
        loop {
            let turn = match self.scene.choose(&mut trial) {
                Ok(turn) => turn,
                Err(unusable) => {
                    let changed = self.scene.pool.conclude(&mut trial, self.scene.at);
                    self.write(changed);
                    if asked.is_empty() {
                        self.the_answer_is_stable_and_honest(model, unusable);
                    }
                    return;
                }
            };
            self.may_be_called(turn.account());
            assert!(
                asked.insert(turn.account()),
                "never the same account twice without a wait"
            );
            let (ending, forwarded) = match plays.next().unwrap() {
                Play::HangUp => return,
                Play::End(ending) => (ending, false),
                Play::Stream(ending) => {
                    let changed = self.scene.pool.began(&mut trial, &turn, self.scene.at);
                    self.write(changed);
                    (ending, true)
                }
            };
            let last = turn.account();
            let ended = self.scene.pool.ended(&mut trial, turn, ending, self.scene.at);
            self.write(ended.changed);
            attempts += u32::from(counts(ending));
            if ended.next == Next::Stop {
                return;
            }
            assert!(!forwarded, "nothing goes on after a byte was forwarded");
            assert!(may_go_on(ending, keyed), "{ending:?} {keyed:?}");
            assert!(attempts < max_attempts, "attempts stay within their bound");
            if let Next::Again(wait, _) = ended.next {
                asked.remove(&last);
                self.scene.pass(wait);
            }
        }
    }

    fn may_be_called(&self, account: AccountId) {
        let wall = self.scene.at.wall;
        match self.written.get(&account).map(|standing| standing.state) {
            None | Some(AccountState::Active) => {}
            Some(AccountState::Cooling { until }) => assert!(wall >= until, "it is cooling"),
            Some(
                AccountState::Exhausted { probe_at }
                | AccountState::Disabled {
                    probe_at: Some(probe_at),
                },
            ) => {
                assert!(wall >= probe_at, "it is out");
            }
            Some(AccountState::Disabled { probe_at: None }) => panic!("a person took it out"),
        }
    }

    fn the_answer_is_stable_and_honest(&mut self, model: &str, unusable: Unusable) {
        for _ in 0..3 {
            let mut trial = self.scene.trial(model, Keyed::No, 1);
            assert_eq!(self.scene.choose(&mut trial).unwrap_err(), unusable);
        }
        let everyone = (1..=self.weights.len() as u64).all(|number| self.is_disabled(account(number)));
        let then = self.scene.at.now + unusable.retry_after;
        assert_eq!(self.scene.pool.usable(model, then).is_err(), everyone);
        let before = then.checked_sub(TICK).unwrap();
        assert!(
            self.scene.pool.usable(model, before).is_err(),
            "it could have come sooner"
        );
    }

    fn write(&mut self, changed: impl IntoIterator<Item = (AccountId, Standing)>) {
        self.written.extend(changed);
    }

    fn is_disabled(&self, account: AccountId) -> bool {
        let state = self.written.get(&account).map(|standing| standing.state);
        state == Some(AccountState::Disabled { probe_at: None })
    }

    /// After two hours of silence each account serves that no person took out, and is seen to.
    fn everyone_comes_back(&mut self) {
        self.scene.pass(2 * HOUR);
        let expected: BTreeSet<_> = (1..=self.weights.len() as u64).map(account).collect();
        let expected: BTreeSet<_> = expected
            .into_iter()
            .filter(|account| !self.is_disabled(*account))
            .collect();
        assert_eq!(self.scene.usable("model-0"), expected.len());
        let mut trial = self.scene.trial("model-0", Keyed::No, 1);
        let mut served = BTreeSet::new();
        while let Ok(turn) = self.scene.choose(&mut trial) {
            served.insert(turn.account());
            let mut own = self.scene.trial("model-0", Keyed::No, 1);
            let ended = self.scene.pool.ended(&mut own, turn, OK, self.scene.at);
            self.write(ended.changed);
        }
        assert_eq!(served, expected);
        for account in served {
            assert_eq!(self.scene.state(account), "active");
        }
    }
}

fn listed_as(number: u64, weight: u32, written: &BTreeMap<AccountId, Standing>) -> Listed {
    listed(number, weight, written.get(&account(number)).copied())
}

/// The law, said once more: what may be followed by another attempt at all.
fn may_go_on(ending: Ending, keyed: Keyed) -> bool {
    match ending {
        Ending::Broke(error) => error.phase == Phase::Connect,
        Ending::Replied { symptom, .. } => match symptom {
            Symptom::Healthy | Symptom::Neutral => false,
            Symptom::Failing => keyed == Keyed::No,
            _ => true,
        },
    }
}

/// Whether it counts as an attempt: a switch away from an account that is of no use does not.
fn counts(ending: Ending) -> bool {
    let symptom = match ending {
        Ending::Broke(_) => return true,
        Ending::Replied { symptom, .. } => symptom,
    };
    !matches!(symptom, Symptom::Unauthorized | Symptom::Forbidden | Symptom::Exhausted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_pool_keeps_its_promises_whatever_its_accounts_reply(
        weights in prop::collection::vec(1..10_u32, 1..=5),
        steps in steps(),
    ) {
        let mut checked = Checked { scene: Scene::weighing(&weights), weights, written: BTreeMap::new() };
        for step in steps {
            checked.step(step);
        }
        checked.everyone_comes_back();
    }
}
