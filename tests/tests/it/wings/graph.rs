//! Circles, layers and rooms of a graph of files.

use super::imports::Crate;
use std::collections::{BTreeMap, BTreeSet};

/// The circles of a graph: for each node the number of its circle, lower ones first.
pub fn circles(graph: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let reach: Vec<BTreeSet<usize>> = (0..graph.len())
        .map(|from| {
            let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
            while let Some(at) = todo.pop() {
                todo.extend(graph[at].iter().filter(|&&to| seen.insert(to)));
            }
            seen
        })
        .collect();
    let mut out: Vec<Vec<usize>> = Vec::new();
    for i in 0..graph.len() {
        let mine = out
            .iter_mut()
            .find(|c| reach[c[0]].contains(&i) && reach[i].contains(&c[0]));
        match mine {
            Some(circle) => circle.push(i),
            None => out.push(vec![i]),
        }
    }
    out
}

/// How many layers a graph has when each circle counts as one.
pub fn layers(graph: &[BTreeSet<usize>]) -> usize {
    let circles = circles(graph);
    let circle_of: BTreeMap<usize, usize> = circles
        .iter()
        .enumerate()
        .flat_map(|(c, members)| members.iter().map(move |&m| (m, c)))
        .collect();
    pub fn height(
        c: usize,
        below: &[BTreeSet<usize>],
        known: &mut BTreeMap<usize, usize>,
    ) -> usize {
        if let Some(&h) = known.get(&c) {
            return h;
        }
        let deepest = below[c].iter().map(|&b| height(b, below, known)).max();
        let h = deepest.unwrap_or(0) + 1;
        known.insert(c, h);
        h
    }
    let below: Vec<BTreeSet<usize>> = circles
        .iter()
        .enumerate()
        .map(|(c, members)| {
            let to = members.iter().flat_map(|&m| &graph[m]);
            to.map(|t| circle_of[t]).filter(|&b| b != c).collect()
        })
        .collect();
    let mut known = BTreeMap::new();
    (0..circles.len())
        .map(|c| height(c, &below, &mut known))
        .max()
        .unwrap_or(0)
}

/// The graph of the rooms: a folder is one, and so is a file beside `lib.rs`.
pub fn rooms(of: &Crate, graph: &[BTreeSet<usize>]) -> (Vec<String>, Vec<BTreeSet<usize>>) {
    let room = |i: usize| {
        let path = &of.modules[i].path;
        path.first().cloned().unwrap_or_else(|| "lib".to_owned())
    };
    let names: Vec<String> = (0..of.modules.len())
        .map(room)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let number = |i: usize| names.iter().position(|n| *n == room(i)).expect("a room");
    let mut out = vec![BTreeSet::new(); names.len()];
    for (i, below) in graph.iter().enumerate() {
        out[number(i)].extend(below.iter().map(|&b| number(b)).filter(|&b| b != number(i)));
    }
    (names, out)
}
