//! Which of several upstreams takes the next request. Pure.

use crate::limits::ROUND_ROBIN_SLOTS_MAX;

/// An order in which members take turns, each as often as its weight says and evenly spread.
#[derive(Debug)]
pub(super) struct Turns(Box<[usize]>);

impl Turns {
    /// The turns of members with these weights. Large weights are scaled down; nobody's turns vanish.
    pub(super) fn new(weights: &[u16]) -> Self {
        let weights: Vec<i64> = scaled(weights).into_iter().map(|weight| i64::try_from(weight).unwrap_or(1)).collect();
        let total: i64 = weights.iter().sum();
        let mut credit = vec![0_i64; weights.len()];
        let mut order = Vec::new();
        for _ in 0..total {
            // Everybody earns their weight; the richest takes the turn and pays for it.
            credit.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
            let Some((member, richest)) = credit.iter_mut().enumerate().rev().max_by_key(|(_, credit)| **credit) else {
                break;
            };
            *richest -= total;
            order.push(member);
        }
        Turns(order.into())
    }

    /// Members from `turn` on, each turn once; a member may come up several times.
    pub(super) fn from(&self, turn: usize) -> impl Iterator<Item = usize> + '_ {
        let start = turn.checked_rem(self.0.len()).unwrap_or(0);
        self.0.iter().skip(start).chain(self.0.iter().take(start)).copied()
    }
}

/// Weights without their common divisor, and small enough for a table.
fn scaled(weights: &[u16]) -> Vec<usize> {
    let weights: Vec<usize> = weights.iter().map(|weight| usize::from(*weight).max(1)).collect();
    let divisor = weights.iter().copied().reduce(greatest_common_divisor).unwrap_or(1);
    let total = weights.iter().sum::<usize>() / divisor;
    let slots = total.min(ROUND_ROBIN_SLOTS_MAX);
    weights
        .iter()
        .map(|weight| (weight / divisor).saturating_mul(slots).checked_div(total).unwrap_or(1).max(1))
        .collect()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    match a.checked_rem(b) {
        None => a,
        Some(rest) => greatest_common_divisor(b, rest),
    }
}

/// How strongly `key` is drawn to the member `seed`: the member with the highest score takes it. When a member goes, its
/// keys are shared out and no other key moves (rendezvous hashing).
pub(super) fn attraction(key: u64, seed: u64, weight: u16) -> f64 {
    // 53 bits fill the mantissa; the half keeps the logarithm away from zero.
    let uniform = ((scramble(key ^ seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(weight.max(1)) / -uniform.ln()
}

/// A stable hash: the same text gives the same number in every process and version.
pub(super) fn fingerprint(text: &str) -> u64 {
    // FNV-1a, then scrambled because its high bits are weak.
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    scramble(hash)
}

/// The finaliser of SplitMix64.
fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(weights: &[u16], turns: usize) -> Vec<usize> {
        let table = Turns::new(weights);
        (0..turns).filter_map(|turn| table.from(turn).next()).collect()
    }

    #[test]
    fn equals_take_turns_and_heavier_ones_come_up_evenly_more_often() {
        assert_eq!(order(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(order(&[10, 10], 4), [0, 1, 0, 1]);
        assert_eq!(order(&[2, 1], 6), [0, 1, 0, 0, 1, 0]);
        assert_eq!(order(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(order(&[], 3), [] as [usize; 0]);
    }

    #[test]
    fn large_weights_do_not_make_large_tables() {
        let table = Turns::new(&[u16::MAX, u16::MAX - 1, 1]);
        assert!(table.0.len() <= ROUND_ROBIN_SLOTS_MAX + 3);
        assert!(table.0.contains(&2));
    }

    #[test]
    fn a_key_stays_with_its_member_when_another_goes() {
        let seeds: Vec<u64> = (0..5).map(|member| fingerprint(&format!("10.0.0.{member}:80"))).collect();
        let choose = |key: u64, seeds: &[u64]| {
            seeds.iter().copied().max_by(|a, b| attraction(key, *a, 1).total_cmp(&attraction(key, *b, 1))).unwrap()
        };
        let mut taken = std::collections::HashMap::new();
        for key in (0..2000).map(|number| fingerprint(&format!("identity-{number}"))) {
            let chosen = choose(key, &seeds);
            *taken.entry(chosen).or_insert(0) += 1;
            let without: Vec<u64> = seeds.iter().copied().filter(|seed| *seed != seeds[2]).collect();
            if chosen != seeds[2] {
                assert_eq!(choose(key, &without), chosen);
            }
        }
        assert!(taken.values().all(|count| (300..=500).contains(count)), "{taken:?}");
    }

    proptest! {
        #[test]
        fn a_round_gives_everybody_what_their_weight_says(weights in prop::collection::vec(1_u16..20, 1..6)) {
            let table = Turns::new(&weights);
            let total: usize = table.0.len();
            let sum: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            for (member, weight) in weights.iter().enumerate() {
                let turns = table.0.iter().filter(|turn| **turn == member).count();
                prop_assert_eq!(turns * sum, usize::from(*weight) * total);
            }
        }
    }
}
