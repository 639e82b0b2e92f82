//! Starting anew in place: the same process, the program that now is where this
//! one was started from, the same sockets (decision 0021).
//!
//! Owns what the host was started with. Invariants: nothing is stopped before
//! the new program was seen to run here; who asked hears whether it will be
//! done. A host that root started has given up rights that its settings may need
//! to be read, so it hands those over; any other reads them again. Whoever has the
//! process become another program holds signals back before.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, Layer};
use crate::listeners::Listeners;

/// By which a program tells its successor what it cannot find out.
const HANDED_OVER: &str = "BERTH_HANDED_OVER";
/// How long the new program may take to show that it runs.
const CHECK: Duration = Duration::from_secs(5);
/// How much of what it said is quoted, bytes.
const QUOTE: usize = 400;

/// What one program hands over to the next of the same process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandedOver {
    /// The process; a copy of the variable elsewhere means nothing.
    pid: u32,
    /// The data directory is the current one, and cannot be reached by its
    /// path.
    pub inside: bool,
    /// Flags, environment and file, merged.
    settings: serde_json::Value,
}

impl HandedOver {
    /// What an earlier program of this process handed over, if one did.
    ///
    /// # Errors
    /// It is not understood.
    pub fn receive() -> anyhow::Result<Option<Self>> {
        Self::told_by(std::process::id())
    }

    /// What the host that runs us would hand over to a successor, if one does, to
    /// see whether that would take it.
    ///
    /// # Errors
    /// It is not understood.
    pub fn preview() -> anyhow::Result<Option<Self>> {
        Self::told_by(std::os::unix::process::parent_id())
    }

    fn told_by(pid: u32) -> anyhow::Result<Option<Self>> {
        let Some(text) = std::env::var_os(HANDED_OVER) else {
            return Ok(None);
        };
        let handed: Self = serde_json::from_slice(text.as_encoded_bytes())
            .with_context(|| format!("{HANDED_OVER} is set, but not by a host; unset it"))?;
        Ok((handed.pid == pid).then_some(handed))
    }

    /// The settings.
    ///
    /// # Errors
    /// They are those of a version that had others.
    pub fn layer(&self) -> anyhow::Result<Layer> {
        serde_json::from_value(self.settings.clone())
            .context("read the settings of the program before; stop the host and start it")
    }
}

/// How this process was started.
#[derive(Debug)]
pub struct Started {
    program: PathBuf,
    arguments: Vec<OsString>,
    settings: Layer,
    /// What an earlier program of this process handed over.
    pub handed: Option<HandedOver>,
}

impl Started {
    /// Looks at how, with these settings. Paths are resolved now: the working
    /// directory may change.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn look(settings: Layer, handed: Option<HandedOver>) -> anyhow::Result<Self> {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        Ok(Self {
            program: program(&name)?,
            arguments: arguments.collect(),
            settings: settings.absolute().context("find the working directory")?,
            handed,
        })
    }

    /// Whether the successor reads the settings again.
    fn reads_again(&self, unprivileged: bool) -> bool {
        !unprivileged && self.handed.is_none()
    }

    /// Sees that the new program runs, accepts the settings and has packages.
    /// `unprivileged` says that this program gave up being root.
    ///
    /// # Errors
    /// What does not work.
    pub async fn check(&self, config: &Config, unprivileged: bool) -> anyhow::Result<()> {
        let checks = async {
            self.try_run(&[OsString::from("version")], None).await?;
            // A successor that gets its settings must understand them as well.
            let handed = self.to_hand_over(unprivileged, false)?;
            self.try_run(&checking(&self.arguments), handed).await
        };
        match tokio::time::timeout(CHECK, checks).await {
            Ok(checked) => checked?,
            Err(_elapsed) => bail!("{} did not show within {CHECK:?} that it runs", self.name()),
        }
        let packages = &config.packages;
        let readable =
            std::fs::read_dir(packages).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(
            readable,
            "the packages in {} cannot be read by the user that the host runs as",
            packages.display()
        );
        Ok(())
    }

    /// What a successor is handed over, unless it reads the settings again.
    fn to_hand_over(&self, unprivileged: bool, inside: bool) -> anyhow::Result<Option<String>> {
        if self.reads_again(unprivileged) {
            return Ok(None);
        }
        let handed = HandedOver {
            pid: std::process::id(),
            inside,
            settings: said(&self.settings)?,
        };
        let text = serde_json::to_string(&handed).context("write the settings")?;
        Ok(Some(text))
    }

    async fn try_run(&self, arguments: &[OsString], handed: Option<String>) -> anyhow::Result<()> {
        let output = tokio::process::Command::new(&self.program)
            .args(arguments)
            .env_remove(HANDED_OVER)
            .envs(handed.map(|handed| (HANDED_OVER, handed)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("run {}", self.name()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said.trim().chars().take(QUOTE).collect();
            bail!("{} does not run ({}): {said}", self.name(), output.status);
        }
        Ok(())
    }

    fn name(&self) -> std::path::Display<'_> {
        self.program.display()
    }

    /// Becomes the new program, which takes `listeners` over. Returns only if
    /// that failed. `unprivileged` as in [`Self::check`]; `inside` as in
    /// [`HandedOver::inside`].
    pub fn again(self, listeners: Listeners, unprivileged: bool, inside: bool) -> anyhow::Error {
        match self.become_new(listeners, unprivileged, inside) {
            Ok(never) => match never {},
            Err(error) => error.context("start the host again: it could not start anew in place"),
        }
    }

    fn become_new(
        self,
        listeners: Listeners,
        unprivileged: bool,
        inside: bool,
    ) -> anyhow::Result<std::convert::Infallible> {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments);
        command.env_remove(HANDED_OVER);
        let handed = self.to_hand_over(unprivileged, inside)?;
        command.envs(handed.map(|handed| (HANDED_OVER, handed)));
        let _open = listeners.hand_over(&mut command)?;
        let error = command.exec();
        Err(error).with_context(|| format!("run {}", self.name()))
    }
}

/// Settings without what they do not say: another version may not know it.
fn said(settings: &Layer) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(settings).context("write the settings")?;
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    Ok(value)
}

/// The path of the running program as it was called: a link to a version stays
/// a link. (`/proc/self/exe` would be the old program after an upgrade.)
fn program(name: &OsStr) -> anyhow::Result<PathBuf> {
    let called = Path::new(name);
    if called.components().count() > 1 {
        return std::path::absolute(called).context("find the running binary");
    }
    let searched = std::env::var_os("PATH").and_then(|path| {
        let mut places = std::env::split_paths(&path).map(|place| place.join(called));
        places.find(|place| place.is_file())
    });
    match searched {
        Some(found) => std::path::absolute(found).context("find the running binary"),
        None => std::env::current_exe().context("find the running binary"),
    }
}

/// The arguments that check what `arguments` would serve with.
fn checking(arguments: &[OsString]) -> Vec<OsString> {
    let mut checking = arguments.to_vec();
    if let Some(command) = checking.iter_mut().find(|argument| *argument == "serve") {
        *command = "check-config".into();
    }
    checking
}

/// Who asked for a new start, and wants to know whether it will be made.
pub type Answer = oneshot::Sender<Result<(), String>>;

/// Asks the host to start anew.
#[derive(Debug, Clone)]
pub struct Asker(mpsc::Sender<Answer>);

/// Where it hears that.
pub type Asked = mpsc::Receiver<Answer>;

/// Both ends. One may wait; who comes then is refused.
#[must_use]
pub fn asking() -> (Asker, Asked) {
    let (sender, receiver) = mpsc::channel(1);
    (Asker(sender), receiver)
}

impl Asker {
    /// Asks; returns when it was seen whether it can be done.
    ///
    /// # Errors
    /// A sentence why not.
    pub async fn ask(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let down = || "the host is going down or starting anew already".to_owned();
        self.0.try_send(answer).map_err(|_full| down())?;
        answered.await.unwrap_or_else(|_gone| Err(down()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_checked_is_what_would_be_served() {
        let words = |text: &str| -> Vec<OsString> { text.split(' ').map(Into::into).collect() };
        let served = words("--config a.toml serve --http 127.0.0.1:1");
        let expected = words("--config a.toml check-config --http 127.0.0.1:1");
        assert_eq!(checking(&served), expected);
    }

    #[test]
    fn settings_arrive_as_they_were_and_only_at_the_same_process() {
        let settings = Layer {
            http: Some("127.0.0.1:8000".parse().unwrap()),
            data_dir: Some("data".into()),
            ..Layer::default()
        };
        let settings = settings.absolute().unwrap();
        let handed = HandedOver {
            pid: std::process::id(),
            inside: true,
            settings: said(&settings).unwrap(),
        };
        let layer = handed.layer().unwrap();
        assert_eq!(layer.http, settings.http);
        assert!(layer.data_dir.unwrap().is_absolute());
        assert_eq!(layer.domain, None);
        assert!(handed.settings.get("domain").is_none());
    }

    #[test]
    fn a_program_that_was_called_by_a_link_stays_one() {
        let called = program("/opt/berth/current/berth".as_ref()).unwrap();
        assert_eq!(called, Path::new("/opt/berth/current/berth"));
        assert!(program("./berth".as_ref()).unwrap().is_absolute());
        assert!(program("sh".as_ref()).unwrap().ends_with("sh"));
    }
}
