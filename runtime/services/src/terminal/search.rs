//! Searching the lines typed before, backwards, while the query is typed.
//!
//! Pure. Invariant: the query is at most [`MAX_QUERY`] bytes.

/// Longest query, bytes.
const MAX_QUERY: usize = 256;

/// A search that goes on.
#[derive(Debug, Default)]
pub(super) struct Search {
    query: String,
    /// Where in the history the last match is.
    at: Option<usize>,
    /// Whether nothing matches the query as it is now.
    failing: bool,
}

impl Search {
    /// What stands before the line instead of the prompt.
    pub(super) fn label(&self) -> String {
        let word = if self.failing {
            "no match for"
        } else {
            "search"
        };
        format!("{word} '{}': ", self.query)
    }

    /// Index of the line that was found last.
    pub(super) fn found(&self) -> Option<usize> {
        self.at
    }

    /// What is searched for.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// Searches for more; false if the query may not grow.
    pub(super) fn push(&mut self, c: char, history: &[String]) -> bool {
        if self.query.len() + c.len_utf8() > MAX_QUERY {
            return false;
        }
        self.query.push(c);
        // The line that was found may match this as well.
        self.find(self.at.map_or(history.len(), |at| at + 1), history);
        true
    }

    /// Searches for less, from the newest line.
    pub(super) fn pop(&mut self, history: &[String]) {
        self.query.pop();
        self.at = None;
        self.find(history.len(), history);
    }

    /// Goes on to an older line. With no query yet, to the newest that
    /// matches `last`.
    pub(super) fn older(&mut self, last: &str, history: &[String]) {
        if self.query.is_empty() {
            last.clone_into(&mut self.query);
        }
        let shown = self.at.and_then(|at| history.get(at));
        let mut before = self.at.unwrap_or(history.len());
        // One that looks the same is no step.
        while before > 0 && shown.is_some() && history.get(before - 1) == shown {
            before -= 1;
        }
        self.find(before, history);
    }

    /// Finds the newest match before index `before`.
    fn find(&mut self, before: usize, history: &[String]) {
        if self.query.is_empty() {
            self.failing = false;
            return;
        }
        let lines = history.get(..before).unwrap_or(history);
        let found = lines.iter().rposition(|line| line.contains(&self.query));
        self.failing = found.is_none();
        self.at = found.or(self.at);
    }

    /// Whether nothing matches.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_come_newest_first_and_each_once() {
        let history: Vec<String> = ["echo one", "top", "echo two", "echo two", "hi bob.dev"]
            .map(str::to_owned)
            .to_vec();
        let mut search = Search::default();
        let mut seen = Vec::new();
        for c in "echo".chars() {
            assert!(search.push(c, &history));
            seen.push(search.found());
        }
        // "hi bob.dev" has an e, too.
        assert_eq!(seen, [Some(4), Some(3), Some(3), Some(3)]);
        search.older("", &history);
        assert_eq!((search.found(), search.is_failing()), (Some(0), false));
        search.older("", &history);
        assert_eq!((search.found(), search.is_failing()), (Some(0), true));
        assert_eq!(search.label(), "no match for 'echo': ");
        search.pop(&history);
        assert_eq!(
            (search.found(), search.label().as_str()),
            (Some(3), "search 'ech': ")
        );
        let mut again = Search::default();
        again.older("top", &history);
        assert_eq!((again.found(), again.query()), (Some(1), "top"));
        assert!(again.push('漢', &history));
        assert!(again.is_failing() && again.found() == Some(1));
        for _ in 0..MAX_QUERY {
            again.push('x', &history);
        }
        assert!(!again.push('x', &history) && again.query().len() <= MAX_QUERY);
    }
}
