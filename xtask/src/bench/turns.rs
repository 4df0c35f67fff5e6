//! Taking turns: what makes a slow minute of the machine slow everyone.

use super::results::Figures;
use crate::Result;

/// Lets each of so many have a turn in every round; returns what each found, in the order of the rounds.
pub(super) fn take(
    rounds: u32,
    count: usize,
    mut turn: impl FnMut(usize, u32) -> Result<Figures>,
) -> Result<Vec<Vec<Figures>>> {
    let mut found = vec![Vec::new(); count];
    for round in 0..rounds {
        for (who, figures) in found.iter_mut().enumerate() {
            figures.push(turn(who, round)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_turn_in_every_round() {
        let mut order = Vec::new();
        let found = take(2, 3, |who, round| {
            order.push((round, who));
            Ok(Figures::rate(who as f64))
        })
        .unwrap();
        assert_eq!(order, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(found[2].iter().map(|figures| figures.per_second).collect::<Vec<_>>(), [2.0, 2.0]);
    }
}
