//! RFC 9162, section 2.1, written down once more as its text has it: recursive, wasteful, and
//! sharing nothing with the code that it judges.

use sha2::{Digest as _, Sha256};

pub(crate) type Node = [u8; 32];

fn hash(parts: &[&[u8]]) -> Node {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The largest power of two smaller than n.
fn split(n: usize) -> usize {
    let mut k = 1;
    while 2 * k < n {
        k *= 2;
    }
    k
}

/// 2.1.1: MTH(D[n]).
pub(crate) fn mth(leaves: &[Vec<u8>]) -> Node {
    match leaves {
        [] => hash(&[]),
        [leaf] => hash(&[&[0], leaf]),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            hash(&[&[1], &mth(left), &mth(right)])
        }
    }
}

/// 2.1.3.2: whether the path leads from the leaf to the root.
pub(crate) fn includes(leaf: &[u8], index: u64, size: u64, path: &[Node], root: Node) -> bool {
    if size <= index {
        return false;
    }
    let (mut fnode, mut snode) = (index, size - 1);
    let mut r = hash(&[&[0], leaf]);
    for p in path {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            r = hash(&[&[1], p, &r]);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            r = hash(&[&[1], &r, p]);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && r == root
}

/// 2.1.4.2: whether the tree of `second` leaves begins with that of `first`.
pub(crate) fn extends(first: (u64, Node), second: (u64, Node), path: &[Node]) -> bool {
    let ((first, first_hash), (second, second_hash)) = (first, second);
    if first == second {
        return path.is_empty() && first_hash == second_hash;
    }
    let mut path = path.to_vec();
    if first.is_power_of_two() {
        path.insert(0, first_hash);
    }
    let Some((head, rest)) = path.split_first() else {
        return false;
    };
    let (mut fnode, mut snode) = (first - 1, second - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    let (mut fr, mut sr) = (*head, *head);
    for c in rest {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            fr = hash(&[&[1], c, &fr]);
            sr = hash(&[&[1], c, &sr]);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            sr = hash(&[&[1], &sr, c]);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    fr == first_hash && sr == second_hash && snode == 0
}
