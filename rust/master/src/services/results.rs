//! Results of slaves: films of frames or of parts of them, and failures.

use super::gc::Gc;
use crate::{blocking::blocking, error::MasterError, ledger::farm_handle::FarmHandle};
use netrender_core::{
    decide::{Command, Reply},
    model::{
        digest::Digest,
        ids::Timestamp,
        job::Job,
        result::{Baked, FailureKind, OutputFile, TaskResult},
        sharing::Part,
        task::TaskState,
    },
    wire::{BakeRequest, FailRequest, HandInRequest, PartOf},
};
use netrender_film::Expect;
use netrender_store::blobs::BlobStore;
use std::sync::Arc;

/// Characters kept of a failure's message; the whole log is a blob of its own.
const MAX_ERROR_CHARS: usize = 16 << 10;
/// Characters kept of a failure's kind.
const MAX_KIND_CHARS: usize = 64;

/// Takes results into the farm.
#[derive(Clone)]
pub struct Results {
    farm: FarmHandle,
    blobs: BlobStore,
    gc: Arc<Gc>,
}

impl Results {
    pub fn new(farm: FarmHandle, blobs: BlobStore, gc: Arc<Gc>) -> Self {
        Self { farm, blobs, gc }
    }

    /// Takes a frame, or a part of one, whose blobs are all here: proves that the film is sound and
    /// of this frame, tells the farm, and discards the blobs if they are of no use. Returns false
    /// if the farm has a result already, so that handing in twice is harmless.
    pub async fn hand_in(&self, request: HandInRequest) -> Result<bool, MasterError> {
        check_times(&request)?;
        check_outputs(&request)?;
        let sent = blobs_of(&request);
        let (frame, span) = (request.frame, request.part.as_ref().map(|part| part.share));
        let read = move |_: &_, job: &Job| {
            let is_done = job.tasks.get(&frame).is_some_and(|task| matches!(task.state, TaskState::Done { .. }));
            (Expect { width: job.spec.width, height: job.spec.film_lines(span) }, is_done)
        };
        let (expect, is_done) = self.farm.job(request.job, read).await?;
        if is_done {
            self.gc.discard(sent).await;
            return Ok(false);
        }
        let transaction = async {
            let outcome = self.take(request, sent.clone(), expect).await;
            let is_useless = matches!(outcome, Ok(false) | Err(MasterError::BadPicture(_)));
            (outcome, if is_useless { sent } else { Vec::new() })
        };
        self.gc.transact(transaction).await
    }

    async fn take(&self, request: HandInRequest, sent: Vec<Digest>, expect: Expect) -> Result<bool, MasterError> {
        let HandInRequest { slave, job, frame, film, preview, log, seconds, outputs, part } = request;
        let blobs = self.blobs.clone();
        let files = outputs.clone();
        let film_bytes = blocking(move || prove(&blobs, &sent, film, &expect, &files)).await??;
        let result = TaskResult { slave, film, film_bytes, preview, log, seconds, outputs };
        let command = match part {
            None => Command::HandIn { job, frame, result: Box::new(result) },
            Some(PartOf { lease, share, view, warm_up_s }) => {
                let part = Box::new(Part { share, result, view, build: None, warm_up_s, at: Timestamp(0) });
                Command::HandInPart { job, frame, lease, part }
            }
        };
        match self.farm.command(command).await? {
            Reply::HandedIn(is_fresh) => Ok(is_fresh),
            other => Err(MasterError::unexpected(&other)),
        }
    }

    /// Takes the .blend with a job's simulations baked, whose blobs are all here. Returns false if
    /// the farm has one already.
    pub async fn hand_in_bake(&self, request: BakeRequest) -> Result<bool, MasterError> {
        let BakeRequest { slave, job, blend, log, seconds } = request;
        check_time(seconds)?;
        let sent: Vec<Digest> = [Some(blend), log].into_iter().flatten().collect();
        let transaction = async {
            let outcome = async {
                let (blobs, all) = (self.blobs.clone(), sent.clone());
                let bytes =
                    blocking(move || are_here(&blobs, &all).map(|()| blobs.size(&blend).unwrap_or(0))).await??;
                let baked = Box::new(Baked { slave, blend, bytes, log, seconds });
                match self.farm.command(Command::HandInBake { job, baked }).await? {
                    Reply::HandedIn(is_fresh) => Ok(is_fresh),
                    other => Err(MasterError::unexpected(&other)),
                }
            }
            .await;
            let is_useless = matches!(outcome, Ok(false));
            (outcome, if is_useless { sent } else { Vec::new() })
        };
        self.gc.transact(transaction).await
    }

    /// Notes that a frame failed on a slave.
    pub async fn fail(&self, request: FailRequest) -> Result<(), MasterError> {
        let FailRequest { slave, lease, job, frame, mut error, log } = request;
        // The end of a message is what explains.
        let skip = error.message.chars().count().saturating_sub(MAX_ERROR_CHARS);
        if skip > 0 {
            error.message = error.message.chars().skip(skip).collect();
        }
        if let FailureKind::Other(word) = &mut error.kind {
            *word = word.chars().take(MAX_KIND_CHARS).collect();
        }
        let log = log.filter(|log| self.blobs.has(log));
        self.farm.command(Command::Fail { slave, lease, job, frame, error, log }).await.map(drop)
    }
}

fn check_times(request: &HandInRequest) -> Result<(), MasterError> {
    check_time(request.seconds)?;
    check_time(request.part.as_ref().map_or(0.0, |part| part.warm_up_s))
}

fn check_time(seconds: f64) -> Result<(), MasterError> {
    let is_time = seconds.is_finite() && seconds >= 0.0;
    if is_time { Ok(()) } else { Err(MasterError::Invalid("the seconds are not a time".into())) }
}

fn check_outputs(request: &HandInRequest) -> Result<(), MasterError> {
    OutputFile::check(&request.outputs).map_err(MasterError::Invalid)?;
    if request.part.is_some() && !request.outputs.is_empty() {
        return Err(MasterError::Invalid("File Output nodes write nothing for a part of a frame".into()));
    }
    Ok(())
}

/// The blobs that come with a result.
fn blobs_of(request: &HandInRequest) -> Vec<Digest> {
    let view = request.part.as_ref().and_then(|part| part.view);
    let film = [Some(request.film), request.preview, request.log, view].into_iter().flatten();
    film.chain(request.outputs.iter().map(|output| output.digest)).collect()
}

/// Fails unless all blobs are here, the film can be read and has the expected size, and the other
/// files have theirs. Returns the film's bytes.
fn prove(
    blobs: &BlobStore,
    sent: &[Digest],
    film: Digest,
    expect: &Expect,
    outputs: &[OutputFile],
) -> Result<u64, MasterError> {
    are_here(blobs, sent)?;
    if let Some(wrong) = outputs.iter().find(|output| blobs.size(&output.digest) != Some(output.bytes)) {
        return Err(MasterError::Invalid(format!("{:?} has not {} bytes", wrong.path, wrong.bytes)));
    }
    netrender_film::check(&blobs.path(&film), expect).map_err(|error| MasterError::BadPicture(error.to_string()))?;
    Ok(blobs.size(&film).unwrap_or(0))
}

/// Fails unless all blobs are here.
fn are_here(blobs: &BlobStore, sent: &[Digest]) -> Result<(), MasterError> {
    let absent = sent.iter().filter(|digest| !blobs.has(digest)).count();
    if absent > 0 { Err(MasterError::MissingPieces(absent)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_farm::{FILM, OTHER_FILM, TestFarm};
    use netrender_core::{
        decide::Refusal,
        model::{
            ids::{Frame, JobId, LeaseId},
            result::TaskError,
        },
    };

    #[tokio::test]
    async fn a_frame_that_is_handed_in_twice_is_taken_once_and_its_blobs_stay() {
        let house = TestFarm::new();
        let (job, slave, film) = (house.job("1-2").await, house.slave("anna").await, house.film(FILM));
        house.lease(slave).await;
        let request = || house.result(slave, job, 1, film);
        assert!(house.results.hand_in(request()).await.unwrap());
        assert!(!house.results.hand_in(request()).await.unwrap());
        house.gc.settle().await;
        let done = house.done(job, 1).await;
        assert_eq!((done.slave, done.film), (slave, film));
        assert_eq!(Some(done.film_bytes), house.blobs.size(&film));
    }

    #[tokio::test]
    async fn a_second_picture_of_a_frame_is_discarded() {
        let house = TestFarm::new();
        let (job, slave) = (house.job("1").await, house.slave("anna").await);
        let (first, second) = (house.film(FILM), house.film(OTHER_FILM));
        assert!(house.results.hand_in(house.result(slave, job, 1, first)).await.unwrap());
        assert!(!house.results.hand_in(house.result(slave, job, 1, second)).await.unwrap());
        house.gc.settle().await;
        assert!(house.blobs.has(&first) && !house.blobs.has(&second));
    }

    #[tokio::test]
    async fn files_of_file_output_nodes_are_kept_with_the_frame_and_refused_when_they_are_not_what_was_said() {
        let house = TestFarm::new();
        let (job, slave, film) = (house.job("1").await, house.slave("anna").await, house.film(FILM));
        let digest = house.blobs.put(b"a png").unwrap();
        let file = |path: &str, bytes| OutputFile { path: path.into(), digest, bytes };
        let request = |outputs| HandInRequest { outputs, ..house.result(slave, job, 1, film) };
        for wrong in [file("../beauty_0001.png", 5), file("/tmp/beauty_0001.png", 5), file("beauty_0001.png", 4)] {
            let refused = house.results.hand_in(request(vec![wrong])).await;
            assert!(matches!(refused, Err(MasterError::Invalid(_))), "{refused:?}");
        }
        let absent = OutputFile { digest: Digest([7; 32]), ..file("a/beauty_0001.png", 5) };
        let refused = house.results.hand_in(request(vec![absent])).await;
        assert!(matches!(refused, Err(MasterError::MissingPieces(1))), "{refused:?}");
        let outputs = vec![file("a/beauty_0001.png", 5), file("b/beauty_0001.png", 5)];
        assert!(house.results.hand_in(request(outputs.clone())).await.unwrap());
        house.gc.settle().await;
        assert!(house.blobs.has(&digest));
        assert_eq!(house.done(job, 1).await.outputs, outputs);
    }

    #[tokio::test]
    async fn a_result_whose_blobs_are_not_all_here_is_refused_and_the_others_stay() {
        let house = TestFarm::new();
        let (job, slave, film) = (house.job("1").await, house.slave("anna").await, house.film(FILM));
        let request = HandInRequest { log: Some(Digest([7; 32])), ..house.result(slave, job, 1, film) };
        let refused = house.results.hand_in(request).await;
        assert!(matches!(refused, Err(MasterError::MissingPieces(1))), "{refused:?}");
        house.gc.settle().await;
        assert!(house.blobs.has(&film), "the slave sends what is missing and tries again");
        assert!(house.task(job, 1).await.state.is_waiting());
    }

    #[tokio::test]
    async fn a_film_that_is_damaged_or_of_another_size_is_refused_and_discarded() {
        let house = TestFarm::new();
        let (job, slave) = (house.job("1").await, house.slave("anna").await);
        let film = house.film(FILM);
        let mut bytes = std::fs::read(house.blobs.path(&film)).unwrap();
        bytes.truncate(bytes.len() / 2);
        let damaged = house.blobs.put(&bytes).unwrap();
        let refused = house.results.hand_in(house.result(slave, job, 1, damaged)).await;
        assert!(matches!(refused, Err(MasterError::BadPicture(_))), "{refused:?}");
        house.gc.settle().await;
        assert!(!house.blobs.has(&damaged) && house.blobs.has(&film));
        let late = HandInRequest { seconds: f64::NAN, ..house.result(slave, job, 1, film) };
        assert!(matches!(house.results.hand_in(late).await, Err(MasterError::Invalid(_))));
        let of_no_job = house.results.hand_in(house.result(slave, JobId(9), 1, film)).await;
        assert!(matches!(of_no_job, Err(MasterError::Refused(Refusal::UnknownJob(JobId(9))))), "{of_no_job:?}");
        assert!(house.task(job, 1).await.state.is_waiting());
    }

    #[tokio::test]
    async fn a_result_by_a_lease_that_was_lost_is_welcome_while_the_frame_is_not_done() {
        let house = TestFarm::new();
        let job = house.job("1").await;
        let (anna, berta) = (house.slave("anna").await, house.slave("berta").await);
        house.lease(anna).await;
        house.farm.command(Command::Lose(anna)).await.unwrap();
        house.lease(berta).await;
        let film = house.film(FILM);
        assert!(house.results.hand_in(house.result(anna, job, 1, film)).await.unwrap());
        assert!(!house.results.hand_in(house.result(berta, job, 1, film)).await.unwrap());
        assert_eq!(house.done(job, 1).await.slave, anna);
    }

    #[tokio::test]
    async fn a_failure_counts_once_and_only_by_the_lease_that_holds_the_frame() {
        let house = TestFarm::new();
        let (job, slave) = (house.job("1").await, house.slave("anna").await);
        let lease = house.lease(slave).await.lease;
        let fail = |lease: LeaseId| FailRequest {
            slave,
            lease,
            job,
            frame: Frame(1),
            error: TaskError {
                kind: FailureKind::Other("k".repeat(100)),
                message: "x".repeat(MAX_ERROR_CHARS) + "the end",
            },
            log: Some(Digest([7; 32])),
        };
        house.results.fail(fail(LeaseId(lease.0 + 1))).await.unwrap();
        assert!(house.task(job, 1).await.failures.is_empty());
        house.results.fail(fail(lease)).await.unwrap();
        house.results.fail(fail(lease)).await.unwrap();
        let failures = house.task(job, 1).await.failures;
        assert_eq!(failures.len(), 1);
        let error = &failures[0].error;
        assert_eq!(error.kind, FailureKind::Other("k".repeat(MAX_KIND_CHARS)));
        assert_eq!(error.message.len(), MAX_ERROR_CHARS);
        assert!(error.message.ends_with("the end"));
        assert_eq!(failures[0].log, None, "a log that was never sent can't be shown");
    }
}
