//! A small disk for a host's data: it is filled, and its power is cut.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

use super::eventually;

const MIB: usize = 1 << 20;
/// Room for a host with a few nodes.
const DISK_MIB: usize = 256;
/// Ends the life of a mounted ext4 file system.
const SHUT_DOWN: Opcode = opcode::read::<u32>(b'X', 125);
/// How: nothing is written any more, not even the journal.
const AT_ONCE: u32 = 2;

/// A small disk, mounted as long as it lives.
pub struct SmallDisk {
    /// The host's directory, which goes with it.
    home: PathBuf,
    /// Its data directory: its log, beside it, is on another disk.
    mounted: PathBuf,
    image: PathBuf,
    _place: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one for a host in `host_home`: a file system in a file or, where
    /// there are no loop devices, in memory. `None` without the rights to mount.
    pub fn mount(host_home: &Path) -> Option<Self> {
        let disk = Self::prepare(host_home)?;
        (disk.mount_image() || disk.mount_memory()).then(|| disk.opened_to_all())
    }

    /// The same, with power that can be cut: never in memory.
    pub fn mount_with_power(host_home: &Path) -> Option<Self> {
        let disk = Self::prepare(host_home)?;
        disk.mount_image().then(|| disk.opened_to_all())
    }

    fn prepare(host_home: &Path) -> Option<Self> {
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            return None;
        }
        let mounted = host_home.join("data");
        std::fs::create_dir(&mounted).unwrap();
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        let file = File::create(&image).unwrap();
        file.set_len((DISK_MIB * MIB) as u64).unwrap();
        // None of it is kept back for root, who fills it. Where there is no
        // such tool it cannot be mounted either.
        ran(Command::new("mkfs.ext4")
            .args(["-q", "-m", "0"])
            .arg(&image));
        Some(Self {
            home: host_home.to_owned(),
            mounted,
            image,
            _place: place,
        })
    }

    fn mount_image(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&self.image);
        ran(mount.arg(&self.mounted))
    }

    fn mount_memory(&self) -> bool {
        let size = format!("size={DISK_MIB}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]);
        ran(mount.arg(&self.mounted))
    }

    /// For the unprivileged user that a host started as root becomes.
    fn opened_to_all(self) -> Self {
        for path in [&self.home, &self.mounted] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        self
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    fn filler(&self) -> PathBuf {
        self.mounted.join("filler")
    }

    /// Leaves not a block.
    pub fn fill(&self) {
        let mut filler = File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        // Large pieces first, so that it is soon done.
        for size in [MIB, 4096] {
            let piece = vec![1_u8; size];
            loop {
                match filler.write_all(&piece).and_then(|()| filler.sync_data()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Makes room again.
    pub fn clear(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// Writes out all that was written so far.
    pub fn sync(&self) {
        let top = File::open(&self.mounted).unwrap();
        rustix::fs::syncfs(&top).unwrap();
    }

    /// Cuts the power: what is not on the disk yet never gets there, and
    /// whoever still has it mounted gets errors.
    pub fn cut_power(&self) {
        let top = File::open(&self.mounted).unwrap();
        // SAFETY: this request of ext4 reads one `u32` and writes nothing. The
        // file system is one that `mount_image` made.
        let cut = unsafe { ioctl(&top, Setter::<SHUT_DOWN, u32>::new(AT_ONCE)) };
        cut.expect("a kernel whose ext4 can be shut down");
    }

    /// The power is back: the disk is mounted anew as it was left. Nobody may
    /// have a file open on it.
    pub async fn restore_power(&self) {
        eventually(
            "the dead disk let go",
            Duration::from_secs(30),
            async || ran(Command::new("umount").arg(&self.mounted)).then_some(()),
        )
        .await;
        assert!(self.mount_image(), "it can be mounted again");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open there keeps only that.
        ran(Command::new("umount").arg("-l").arg(&self.mounted));
        // The host could not remove what was mounted.
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn ran(command: &mut Command) -> bool {
    let output = command.output();
    output.is_ok_and(|output| output.status.success())
}
