//! What may happen in a history, as small numbers that shrink well.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Time passes, a worker shows that it lives, or verbs are called: one alone, several at once.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Advance(i64),
    Beat { worker: u8, running: Vec<usize> },
    Verbs(Vec<Verb>),
}

/// A call of the store; tasks are counted from the first that was submitted.
#[derive(Debug, Clone)]
pub(crate) enum Verb {
    Submit(Vec<New>),
    Repeat(Vec<usize>),
    Claim(Vec<Asked>),
    Pull { kinds: Vec<u8>, pullers: Vec<(u8, u32, bool)>, age: u64 },
    Settle(Vec<(usize, GrantKey, Said)>),
    Sweep,
    Lose,
    LoseOne(u8),
    Cancel { owner: bool, tasks: Vec<usize> },
}

#[derive(Debug, Clone)]
pub(crate) struct New {
    pub(crate) owner: bool,
    pub(crate) kind: u8,
    pub(crate) ttl: u64,
    pub(crate) start_within: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) task: usize,
    pub(crate) claim: u8,
    pub(crate) worker: u8,
    pub(crate) by_name: bool,
}

/// Whose report it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GrantKey {
    /// The grant that holds the task.
    Holder,
    /// The holder's claim with an older fence.
    Older,
    /// A claim that may be anybody's, with the fence of now.
    Claim(u8),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    Result,
    Error,
    Released,
}

pub(crate) fn histories() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => advance().prop_map(Step::Advance),
        1 => (0..3_u8, vec(0..12_usize, 0..4)).prop_map(|(worker, running)| Step::Beat { worker, running }),
        8 => verb().prop_map(|verb| Step::Verbs(vec![verb])),
        4 => vec(verb(), 2..5).prop_map(Step::Verbs),
    ]
}

/// Steps that meet the ends of lives (1 and 2 s), of `startWithin` (1 and 4 s) and of a silence (3 s) exactly, and miss
/// them by a microsecond; one is so long that a silent worker is forgotten.
fn advance() -> impl Strategy<Value = i64> {
    select(vec![1, 500_000, 999_999, 1_000_000, 1_000_000, 1_000_001, 2_000_000, 3_000_001, 61_500_000])
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        3 => vec(new(), 1..5).prop_map(Verb::Submit),
        1 => vec(0..12_usize, 1..4).prop_map(Verb::Repeat),
        5 => vec(asked(), 1..5).prop_map(Verb::Claim),
        3 => (vec(0..2_u8, 1..3), vec((0..3_u8, 0..3_u32, any::<bool>()), 1..3), select(vec![0, 0, 1, 500_000, 1_000_000]))
            .prop_map(|(kinds, pullers, age)| Verb::Pull { kinds, pullers, age }),
        5 => vec((0..12_usize, by(), said()), 1..4).prop_map(Verb::Settle),
        2 => Just(Verb::Sweep),
        1 => Just(Verb::Lose),
        1 => (0..3_u8).prop_map(Verb::LoseOne),
        1 => (any::<bool>(), vec(0..12_usize, 1..3)).prop_map(|(owner, tasks)| Verb::Cancel { owner, tasks }),
    ]
}

fn new() -> impl Strategy<Value = New> {
    let lives = (any::<bool>(), 0..2_u8, select(vec![1000, 2000]), select(vec![4000, 1000]));
    lives.prop_map(|(owner, kind, ttl, start_within)| New { owner, kind, ttl, start_within })
}

fn asked() -> impl Strategy<Value = Asked> {
    let asked = (0..12_usize, 0..4_u8, 0..3_u8, prop::bool::weighted(0.2));
    asked.prop_map(|(task, claim, worker, by_name)| Asked { task, claim, worker, by_name })
}

fn by() -> impl Strategy<Value = GrantKey> {
    prop_oneof![5 => Just(GrantKey::Holder), 1 => Just(GrantKey::Older), 1 => (0..4_u8).prop_map(GrantKey::Claim)]
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![3 => Just(Said::Result), 1 => Just(Said::Error), 2 => Just(Said::Released)]
}
