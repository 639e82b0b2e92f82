//! Runs on files, in a drive of this package.
//!
//! A file never grows beyond [`MOST_FILE`]: it is cut, or read from its begin
//! again, between two calls that are timed. Each run ends with its rounds, see
//! [`crate::job`].

use guest::lib::vfs::{self, File, SeekFrom};

use crate::job::{text, Job, Outcome};

/// Largest file, in bytes.
const MOST_FILE: usize = 16 << 20;
/// Bytes written at a time to make a file ready.
const PIECE: usize = 1 << 20;

/// The drive of the runs.
fn drive(job: &Job) -> Result<String, String> {
    vfs::create_drive(job.our.package_id(), "bench", None).map_err(text)
}

/// An empty file.
fn empty(job: &Job, name: &str) -> Result<File, String> {
    vfs::create_file(&format!("{}/{name}", drive(job)?), None).map_err(text)
}

/// Adds so many bytes to a file.
pub fn append(job: &Job) -> Outcome {
    let mut file = empty(job, "append")?;
    let bytes = vec![7; job.bytes];
    let mut len = 0;
    let times = job.repeat(|_, times| {
        if len + job.bytes > MOST_FILE {
            file.set_len(0).map_err(text)?;
            len = 0;
        }
        len += job.bytes;
        times.of(|| file.append(&bytes))
    })?;
    let metadata = file.metadata().map_err(text)?;
    if metadata.len != len as u64 {
        return Err(format!("{} bytes instead of {len}", metadata.len));
    }
    Ok(times.report(1))
}

/// Reads so many bytes where the last read ended.
pub fn read(job: &Job) -> Outcome {
    let mut file = empty(job, "read")?;
    for _ in 0..MOST_FILE / PIECE {
        file.append(&vec![7; PIECE]).map_err(text)?;
    }
    let mut buffer = vec![0; job.bytes];
    // The cursor is at the end.
    let mut at = MOST_FILE;
    let times = job.repeat(|_, times| {
        if at + job.bytes > MOST_FILE {
            file.seek(SeekFrom::Start(0)).map_err(text)?;
            at = 0;
        }
        at += job.bytes;
        let read = times.of(|| file.read_at(&mut buffer))?;
        if read == job.bytes && buffer.last() == Some(&7) {
            Ok(())
        } else {
            Err(format!("{read} bytes"))
        }
    })?;
    Ok(times.report(1))
}

/// Replaces the content of a file by so many bytes.
pub fn write(job: &Job) -> Outcome {
    let file = empty(job, "write")?;
    let mut bytes = vec![7; job.bytes];
    let times = job.repeat(|round, times| {
        if let Some(first) = bytes.first_mut() {
            *first = round as u8;
        }
        times.of(|| file.write(&bytes))
    })?;
    if file.read().map_err(text)? != bytes {
        return Err("the file is not what was written last".to_owned());
    }
    Ok(times.report(1))
}

/// Opens a file that is not there, which makes it, and closes it.
pub fn create(job: &Job) -> Outcome {
    let drive = drive(job)?;
    let folder = format!("{drive}/new");
    vfs::open_dir(&folder, true, None).map_err(text)?;
    let name = |round: u64| format!("{folder}/{round}");
    let mut made = 0;
    let times = job.repeat(|round, times| {
        times.of(|| vfs::open_file(&name(round), true, None).map(drop))?;
        made += 1;
        Ok(())
    })?;
    for round in 0..made {
        vfs::remove_file(&name(round), None).map_err(text)?;
    }
    Ok(times.report(1))
}
