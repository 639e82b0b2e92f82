//! What a host tells on its operations port.

use super::Host;

/// One look at `/metrics`.
pub struct Metrics(String);

impl Metrics {
    /// Now.
    pub async fn of(host: &Host) -> Self {
        let url = format!("http://{}/metrics", host.metrics());
        let answer = super::fetch(url).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        Self(answer.text().await.unwrap())
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The sum of the samples of `name` that have all `labels`, each written as
    /// in the text: `door="http"`. One that was never counted is zero.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let samples = self.0.lines().filter(|line| !line.starts_with('#'));
        let values = samples.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, having) = series.split_once('{').unwrap_or((series, ""));
            let wanted = found == name && labels.iter().all(|label| having.contains(label));
            wanted.then(|| value.parse::<f64>().unwrap())
        });
        values.sum()
    }

    /// Nodes booted, however that went.
    pub fn boots(&self) -> f64 {
        self.sum("berth_node_boots_total", &[])
    }

    /// Nodes woken through `door`.
    pub fn wakes(&self, door: &str) -> f64 {
        self.sum("berth_node_wakes_total", &[&format!("door=\"{door}\"")])
    }

    /// Nodes in `state`.
    pub fn nodes(&self, state: &str) -> f64 {
        self.sum("berth_nodes", &[&format!("state=\"{state}\"")])
    }
}
