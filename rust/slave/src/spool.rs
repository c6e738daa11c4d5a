//! The spool: films that wait to be handed in. A note beside each film says which frame it is, so
//! that a restarted slave hands it in. A film without a note is incomplete: Blender was still
//! writing it. A folder beside the film has what File Output nodes wrote for the frame.

use super::task::{JobKey, Task};
use netrender_core::model::{
    cut::Span,
    ids::{Frame, JobId, LeaseId},
    spec::JobSpec,
};
use netrender_store::blobs::digest_of;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Age at which a film is given up that its farm has not taken.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// An open spool folder.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
}

/// A film that an earlier run of this slave rendered.
#[derive(Debug)]
pub struct Saved {
    /// Frame that the film shows.
    pub task: Task,
    /// Path of the film.
    pub film: PathBuf,
    /// Rendering time.
    pub seconds: f64,
    /// Blender's output as far as it was known.
    pub log: String,
    /// Path of the view transform's table, if it was made.
    pub view: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    farm: String,
    lease: LeaseId,
    job: JobId,
    frame: Frame,
    #[serde(default)]
    share: Option<Span>,
    spec: JobSpec,
    seconds: f64,
    log: String,
}

impl Spool {
    /// Opens or makes the folder. Returns the films that wait and removes everything else.
    pub fn open(dir: &Path) -> io::Result<(Self, Vec<Saved>)> {
        fs::create_dir_all(dir)?;
        let spool = Self { dir: dir.to_owned() };
        let saved = spool.sweep()?;
        Ok((spool, saved))
    }

    /// Returns the films that wait and removes everything else. Must not run while a frame is
    /// rendered.
    pub fn sweep(&self) -> io::Result<Vec<Saved>> {
        let mut saved = Vec::new();
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(found) = self.read(&path)
            {
                kept.extend([path, found.film.clone(), outputs_of(&found.film), self.view(&found.task.key)]);
                saved.push(found);
            }
        }
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if kept.contains(&path) {
                continue;
            }
            if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
        Ok(saved)
    }

    /// Path that Blender writes the film of this frame to.
    pub fn film(&self, task: &Task) -> PathBuf {
        self.dir.join(format!("{}-{}-{}.exr", farm_of(&task.key), task.lease, task.frame))
    }

    /// Path of the folder. Files without a note are removed at the next start.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of the table of a job's view transform, beside the films that need it.
    pub fn view(&self, key: &JobKey) -> PathBuf {
        self.dir.join(format!("{}-{}.png", farm_of(key), key.job))
    }

    /// Writes the note of a complete film.
    pub fn keep(&self, task: &Task, seconds: f64, log: &str) -> io::Result<()> {
        let note = Note {
            farm: task.key.farm.to_string(),
            lease: task.lease,
            job: task.key.job,
            frame: task.frame,
            share: task.share,
            spec: (*task.spec).clone(),
            seconds,
            log: log.to_owned(),
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        serde_json::to_writer(io::BufWriter::new(&mut file), &note)?;
        file.persist(self.film(task).with_extension("json")).map_err(|error| error.error).map(drop)
    }

    /// Removes a film that was handed in or is useless. The note goes first: a film alone is
    /// removed at the next start.
    pub fn remove(&self, task: &Task) -> io::Result<()> {
        let film = self.film(task);
        let there = |removed: io::Result<()>| {
            removed.or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
        };
        for path in [&film.with_extension("json"), &film] {
            there(fs::remove_file(path))?;
        }
        there(fs::remove_dir_all(outputs_of(&film)))
    }

    fn read(&self, path: &Path) -> Option<Saved> {
        let age = path.metadata().and_then(|meta| meta.modified()).ok()?.elapsed().unwrap_or_default();
        let note: Note = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let key = JobKey { farm: note.farm.into(), job: note.job, baked: None };
        let (lease, frame, share, spec) = (note.lease, note.frame, note.share, Arc::new(note.spec));
        let task = Task { lease, key, frame, share, merged: None, bake: false, spec, scripts: false };
        let film = self.film(&task);
        let view = self.view(&task.key);
        let view = view.is_file().then(|| view.to_str().map(str::to_owned)).flatten();
        let whole = age < KEPT && film.is_file() && film.with_extension("json") == *path;
        whole.then_some(Saved { task, film, seconds: note.seconds, log: note.log, view })
    }
}

/// Folder with what File Output nodes wrote for the frame of this film. The worker makes it if
/// there are such files.
pub fn outputs_of(film: &Path) -> PathBuf {
    film.with_extension("files")
}

/// Prefix of file names for a farm. Its id comes from the network and must not get into a path as
/// it is.
fn farm_of(key: &JobKey) -> String {
    digest_of(key.farm.as_bytes()).to_string()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(farm: &str, frame: i32) -> Task {
        let spec = serde_json::json!({
            "name": "n", "frames": "1", "engine": "CYCLES", "blender": [3, 4], "width": 1, "height": 1,
            "manifest": "0".repeat(64),
        });
        Task {
            lease: LeaseId(3),
            key: JobKey { farm: farm.into(), job: JobId(1), baked: None },
            frame: Frame(frame),
            share: None,
            merged: None,
            bake: false,
            spec: Arc::new(serde_json::from_value(spec).unwrap()),
            scripts: false,
        }
    }

    #[test]
    fn what_was_rendered_waits_over_a_restart_and_the_rest_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, saved) = Spool::open(dir.path()).unwrap();
        assert!(saved.is_empty());
        let (done, writing, gone, torn) = (task("../x", 1), task("../x", 2), task("y", 1), task("y", 2));
        for task in [&done, &writing, &gone, &torn] {
            fs::write(spool.film(task), "film").unwrap();
        }
        for task in [&done, &writing, &gone] {
            fs::create_dir(outputs_of(&spool.film(task))).unwrap();
            fs::write(outputs_of(&spool.film(task)).join("beauty_0001.png"), "png").unwrap();
        }
        fs::write(spool.view(&done.key), "view").unwrap();
        fs::write(spool.view(&gone.key), "view").unwrap();
        fs::create_dir(dir.path().join("writing")).unwrap();
        fs::write(dir.path().join("writing").join("1.exr"), "fi").unwrap();
        spool.keep(&done, 1.5, "").unwrap();
        spool.keep(&done, 1.5, "Saved").unwrap();
        spool.keep(&gone, 1.0, "").unwrap();
        spool.remove(&gone).unwrap();
        fs::write(spool.film(&torn).with_extension("json"), "{\"farm\":").unwrap();

        let (_, mut saved) = Spool::open(dir.path()).unwrap();
        let only = saved.pop().unwrap();
        assert!(saved.is_empty());
        assert_eq!((only.task.frame, &*only.task.key.farm, only.seconds, &*only.log), (Frame(1), "../x", 1.5, "Saved"));
        assert!(only.view.is_some());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "film, its outputs, note and view");
    }
}
