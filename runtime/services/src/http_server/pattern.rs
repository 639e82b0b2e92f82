//! What a bound path stands for: itself, or all paths of its form.
//!
//! Stateless. Time to match is bounded by the product of both lengths.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A bound path, taken apart.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Segment>);

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// One segment.
    Param(String),
    /// One or more segments, at least a character in all.
    Rest(String),
}

impl Pattern {
    /// The pattern that `path` is.
    pub(super) fn parse(path: &str) -> Self {
        let rest = path.strip_prefix('/').unwrap_or(path);
        let segments = rest.split('/').map(|part| {
            if let Some(name) = part.strip_prefix(':') {
                Segment::Param(name.to_owned())
            } else if let Some(name) = part.strip_prefix('*') {
                Segment::Rest(name.to_owned())
            } else {
                Segment::Literal(part.to_owned())
            }
        });
        Self(segments.collect())
    }

    /// How many segments it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it stands for itself alone.
    pub(super) fn is_literal(&self) -> bool {
        let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        self.0.iter().all(literal)
    }

    /// The first segment of all paths it stands for; empty if they differ.
    pub(super) fn key(&self) -> &str {
        match self.0.first() {
            Some(Segment::Literal(text)) => text,
            _ => "",
        }
    }

    /// Literals, then parameters, then wildcards: more is better.
    fn weight(&self) -> [usize; 3] {
        self.0.iter().fold([0; 3], |mut weight, segment| {
            weight[match segment {
                Segment::Literal(_) => 0,
                Segment::Param(_) => 1,
                Segment::Rest(_) => 2,
            }] += 1;
            weight
        })
    }

    /// Which of two patterns for one path is meant: the greater.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.weight().cmp(&other.weight())
    }

    /// Which path segments each pattern segment takes, if all match.
    fn spans(&self, path: &[&str]) -> Option<Vec<(usize, usize)>> {
        let mut spans: Vec<(usize, usize)> = Vec::with_capacity(self.0.len());
        let mut at = 0;
        loop {
            let takes = match (self.0.get(spans.len()), path.get(at)) {
                (None, None) => return Some(spans),
                (Some(Segment::Literal(text)), Some(part)) if text == part => 1,
                (Some(Segment::Param(_)), Some(part)) if !part.is_empty() => 1,
                // With an empty one comes a slash.
                (Some(Segment::Rest(_)), Some(part)) => 1 + usize::from(part.is_empty()),
                _ => 0,
            };
            if takes > 0 && at + takes <= path.len() {
                spans.push((at, at + takes));
                at += takes;
                continue;
            }
            // Let the last wildcard take one segment more and try again. What
            // comes before it need not: it ends as early as it can.
            let last = (0..spans.len())
                .rev()
                .find(|index| matches!(self.0.get(*index), Some(Segment::Rest(_))))?;
            spans.truncate(last + 1);
            let span = spans.last_mut()?;
            if span.1 >= path.len() {
                return None;
            }
            span.1 += 1;
            at = span.1;
        }
    }

    /// The values of its parameters in `path`, if it stands for that.
    pub(super) fn params(&self, path: &[&str]) -> Option<BTreeMap<String, String>> {
        let spans = self.spans(path)?;
        let mut params = BTreeMap::new();
        for (segment, (from, to)) in self.0.iter().zip(spans) {
            if let Segment::Param(name) | Segment::Rest(name) = segment
                && !name.is_empty()
            {
                params.insert(name.clone(), path.get(from..to)?.join("/"));
            }
        }
        Some(params)
    }
}
