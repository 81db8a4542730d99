//! A doubly linked list whose nodes live in a slab, so that any of them leaves it in constant time.

use std::mem;

use slab::Slab;

/// The ends of a list. A node's links are found through the function that every change takes, because one node may stand
/// in several lists at once. Indices must name live nodes: whoever removes a node from the slab unlinks it first.
#[derive(Debug, Default)]
pub(super) struct List {
    head: Option<usize>,
    tail: Option<usize>,
    len: usize,
}

/// A node's neighbours in one list.
#[derive(Debug, Default)]
pub(super) struct Link {
    before: Option<usize>,
    after: Option<usize>,
}

impl List {
    /// The node that has been in the list longest.
    pub(super) fn head(&self) -> Option<usize> {
        self.head
    }

    /// How many nodes are in the list.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a node that is not in the list.
    pub(super) fn push_back<N>(&mut self, nodes: &mut Slab<N>, at: usize, link: impl Fn(&mut N) -> &mut Link) {
        *link(&mut nodes[at]) = Link {
            before: self.tail,
            after: None,
        };
        match self.tail {
            Some(tail) => link(&mut nodes[tail]).after = Some(at),
            None => self.head = Some(at),
        }
        self.tail = Some(at);
        self.len += 1;
    }

    /// Takes out a node that is in the list, wherever it stands.
    pub(super) fn remove<N>(&mut self, nodes: &mut Slab<N>, at: usize, link: impl Fn(&mut N) -> &mut Link) {
        let Link { before, after } = mem::take(link(&mut nodes[at]));
        match before {
            Some(before) => link(&mut nodes[before]).after = after,
            None => self.head = after,
        }
        match after {
            Some(after) => link(&mut nodes[after]).before = before,
            None => self.tail = before,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slab of nodes with one link each, all in `list`, and their indices.
    fn row_of(count: usize) -> (Slab<Link>, List, Vec<usize>) {
        let (mut nodes, mut list) = (Slab::new(), List::default());
        let order = (0..count)
            .map(|_| {
                let at = nodes.insert(Link::default());
                list.push_back(&mut nodes, at, |link| link);
                at
            })
            .collect();
        (nodes, list, order)
    }

    fn in_order(nodes: &Slab<Link>, list: &List) -> Vec<usize> {
        std::iter::successors(list.head(), |&at| nodes[at].after).collect()
    }

    #[test]
    fn a_node_leaves_from_the_front_the_middle_and_the_back() {
        let (mut nodes, mut list, order) = row_of(5);
        for gone in [0, 2, 4] {
            list.remove(&mut nodes, order[gone], |link| link);
        }
        assert_eq!(in_order(&nodes, &list), [order[1], order[3]]);
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn a_node_that_left_re_enters_at_the_back() {
        let (mut nodes, mut list, order) = row_of(3);
        list.remove(&mut nodes, order[0], |link| link);
        list.push_back(&mut nodes, order[0], |link| link);
        assert_eq!(in_order(&nodes, &list), [order[1], order[2], order[0]]);
    }

    #[test]
    fn a_list_that_was_emptied_starts_anew() {
        let (mut nodes, mut list, order) = row_of(1);
        list.remove(&mut nodes, order[0], |link| link);
        assert_eq!((list.head(), list.len()), (None, 0));
        list.push_back(&mut nodes, order[0], |link| link);
        assert_eq!(in_order(&nodes, &list), [order[0]]);
    }
}
