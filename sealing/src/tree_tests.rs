//! The tree against RFC 9162 as [`crate::rfc9162`] reads it, and against published vectors.

use proptest::prelude::*;

use super::*;
use crate::proofs::Tiles;
use crate::rfc9162;

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| format!("event {number}").into_bytes())
        .collect()
}

/// The tree of these leaves, and all its tiles.
fn grown(leaves: &[Vec<u8>]) -> (Tree, Tiles) {
    let (mut tree, mut tiles) = (Tree::default(), Vec::new());
    for leaf in leaves {
        tree.push(crate::leaf(leaf), &mut tiles);
    }
    tiles.extend(tree.tails());
    (tree, tiles.into_iter().collect())
}

/// From the test vectors of Certificate Transparency's reference implementation, which RFC 9162
/// refers to: the inputs and the roots of their trees.
#[test]
fn the_published_roots_come_out() {
    let inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::default();
    for (input, root) in inputs.iter().zip(roots) {
        tree.push(crate::leaf(&bytes(input)), &mut Vec::new());
        assert_eq!(tree.root().0.to_vec(), bytes(root), "{} leaves", tree.size());
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_tree_is_taken_up_where_it_was_left() {
    for left_at in [1, 255, 256, 257, 512, 65_536] {
        let leaves = leaves(left_at + 300);
        let (tree, tiles) = grown(&leaves[..left_at]);
        let size = u64::try_from(left_at).unwrap();
        let mut again = Tree::from_tails(size, &tiles.into_iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(again.root(), tree.root(), "{left_at}");

        let mut full = Vec::new();
        for leaf in &leaves[left_at..] {
            again.push(crate::leaf(leaf), &mut full);
        }
        assert_eq!(again.root(), grown(&leaves).0.root(), "{left_at} and 300 more");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_and_proofs_are_those_of_the_rfc(
        size in 1..1_200_usize,
        first in any::<prop::sample::Index>(),
        index in any::<prop::sample::Index>(),
    ) {
        let leaves = leaves(size);
        let (tree, tiles) = grown(&leaves);
        let root = rfc9162::mth(&leaves);
        prop_assert_eq!(tree.root().0, root);

        let index = index.index(size);
        let (at, t) = (u64::try_from(index).unwrap(), u64::try_from(size).unwrap());
        let path = tiles.inclusion(at, t).unwrap();
        let nodes: Vec<_> = path.iter().map(|hash| hash.0).collect();
        prop_assert!(rfc9162::includes(&leaves[index], at, t, &nodes, root));
        prop_assert!(!rfc9162::includes(b"another event", at, t, &nodes, root));

        let first = first.index(size) + 1;
        let m = u64::try_from(first).unwrap();
        let path = tiles.consistency(m, t).unwrap();
        let nodes: Vec<_> = path.iter().map(|hash| hash.0).collect();
        let old = rfc9162::mth(&leaves[..first]);
        prop_assert!(rfc9162::extends((m, old), (t, root), &nodes));
        let mut rewritten = leaves[..first].to_vec();
        rewritten[0] = b"another event".to_vec();
        prop_assert!(!rfc9162::extends((m, rfc9162::mth(&rewritten)), (t, root), &nodes));
    }
}
