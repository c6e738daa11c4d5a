//! Verbs and options of the program. Options are also variables in the environment and keys of the
//! configuration file. A variable has one meaning: options of a service are `NETRENDER_MASTER_...`
//! or `NETRENDER_SLAVE_...`, those of a job that other verbs name too are `NETRENDER_JOB_...`, all
//! others `NETRENDER_...`.

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use netrender_core::model::{build::DeviceChoice, slave_settings::SlaveSetting};
use std::path::PathBuf;

/// A render farm that lives inside Blender.
#[derive(Debug, Parser)]
#[command(name = "netrender", version, propagate_version = true)]
pub struct Arguments {
    /// The master's address: HOST, HOST:PORT or a URL [default: the first one heard on the network]
    #[arg(long, global = true, env = "NETRENDER_MASTER", value_name = "ADDRESS")]
    pub master: Option<String>,
    /// Answer with JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// A TOML file with the same options
    #[arg(long, global = true, env = "NETRENDER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Keep jobs and hand out work
    Master(MasterArguments),
    /// Render for a master
    Slave(SlaveArguments),
    /// Send a job
    Submit(SubmitArguments),
    /// List the jobs
    Jobs,
    /// Show a job and its frames
    Job { id: u32 },
    /// List the slaves
    Slaves,
    /// Fetch finished frames
    Get(GetArguments),
    /// Lease no more frames of a job
    Pause { id: u32 },
    /// Let a paused job go on
    Resume { id: u32 },
    /// Stop a job; finished frames stay
    Cancel { id: u32 },
    /// Try a job's failed frames again, or render chosen ones again
    Requeue {
        /// The job's number
        id: u32,
        /// Those that are done or failed are rendered again, for example 1-10,15 [default: those
        /// that failed]
        #[arg(long, allow_hyphen_values = true)]
        frames: Option<String>,
    },
    /// Change a job's settings; what is not named stays
    Set(SetArguments),
    /// Hand frames that slaves render together over with the samples they have
    Stop {
        /// The job's number
        id: u32,
        /// For example 1-10,15 [default: all that have samples; others are not begun]
        #[arg(long, env = "NETRENDER_FRAMES", allow_hyphen_values = true)]
        frames: Option<String>,
    },
    /// Give finished frames that slaves rendered together more samples, or those they lack
    More {
        /// The job's number
        id: u32,
        /// How many more
        #[arg(long, env = "NETRENDER_SAMPLES")]
        samples: u32,
        /// For example 1-10,15 [default: all that can have more]
        #[arg(long, env = "NETRENDER_FRAMES", allow_hyphen_values = true)]
        frames: Option<String>,
    },
    /// Remove a job with all its frames and files
    Delete { id: u32 },
    /// Keep a slave from a job
    Blacklist {
        /// The job's number
        id: u32,
        /// The slave's number
        slave: u32,
        /// Let it have the job again
        #[arg(long)]
        lift: bool,
    },
    /// Give a slave no new frames; it ends those it has
    PauseSlave { slave: u32 },
    /// Give a slave work again
    ResumeSlave { slave: u32 },
    /// Let a slave end the frames it has, and then itself
    DrainSlave { slave: u32 },
    /// End a slave now; its frames go to others
    StopSlave { slave: u32 },
    /// Check the working folder of a master that is not running: reads every file, changes nothing
    Check {
        /// The working folder [default: netrender/master in the user's data folder]
        #[arg(long, env = "NETRENDER_MASTER_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// List the masters on this network
    Discover {
        /// How long to listen
        #[arg(long, default_value_t = 0.2, env = "NETRENDER_SECONDS")]
        seconds: f64,
    },
}

#[derive(Debug, Args)]
pub struct MasterArguments {
    /// The working folder, made if missing [default: netrender/master in the user's data folder]
    #[arg(long, env = "NETRENDER_MASTER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address to listen on [default: all interfaces]
    #[arg(long, default_value = "", env = "NETRENDER_MASTER_HOST", hide_default_value = true)]
    pub host: String,
    /// The TCP port; 0 takes any free one
    #[arg(long, default_value_t = netrender_core::wire::DEFAULT_PORT, env = "NETRENDER_MASTER_PORT")]
    pub port: u16,
    /// Don't announce the master on the network
    #[arg(long, env = "NETRENDER_MASTER_NO_BROADCAST")]
    pub no_broadcast: bool,
    /// The farm's name [default: the machine's]
    #[arg(long, default_value = "", env = "NETRENDER_MASTER_NAME", hide_default_value = true)]
    pub name: String,
    /// Remove all jobs and frames when the service ends
    #[arg(long, env = "NETRENDER_MASTER_CLEAR_ON_EXIT")]
    pub clear_on_exit: bool,
    /// Seconds of silence after which a slave's frames go back to the queue
    #[arg(long, default_value_t = 60.0, env = "NETRENDER_MASTER_SLAVE_TIMEOUT", value_name = "SECONDS")]
    pub slave_timeout: f64,
    /// Let slaves run the Python that scenes bring along (drivers, registered texts), for jobs that
    /// need it
    #[arg(long, env = "NETRENDER_MASTER_ALLOW_SCRIPTS")]
    pub allow_scripts: bool,
    /// Answer to this name, too, besides the machine's own and all IP addresses
    #[arg(long, value_delimiter = ',', env = "NETRENDER_MASTER_ALLOW_HOST", value_name = "NAME")]
    pub allow_host: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SlaveArguments {
    /// The working folder, made if missing [default: netrender/slave in the user's data folder]
    #[arg(long, env = "NETRENDER_SLAVE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A Blender, or a Python that has the bpy module [default: $BLENDER, else blender on the PATH]
    #[arg(long, env = "NETRENDER_BLENDER", value_name = "PATH")]
    pub blender: Option<PathBuf>,
    /// Threads to render with; 0 for all
    #[arg(long, default_value_t = 0, env = "NETRENDER_SLAVE_THREADS")]
    pub threads: u32,
    /// The slave's name [default: the machine's]
    #[arg(long, default_value = "", env = "NETRENDER_SLAVE_NAME", hide_default_value = true)]
    pub name: String,
    /// Words that jobs may ask for
    #[arg(long, value_delimiter = ',', env = "NETRENDER_SLAVE_TAGS")]
    pub tags: Vec<String>,
    /// What to render with; auto: a GPU if there is one that Blender can use
    #[arg(long, default_value = DeviceChoice::NAMES[0], value_parser = device_parser(), env = "NETRENDER_SLAVE_DEVICE")]
    pub device: DeviceChoice,
    /// Show Blender's own output
    #[arg(long, env = "NETRENDER_SLAVE_CONSOLE")]
    pub console: bool,
    #[arg(long, env = "NETRENDER_SLAVE_CACHE_LIMIT", value_name = "GB", help = help_of(SlaveSetting::CacheLimitGb))]
    pub cache_limit: Option<f64>,
    #[arg(long, env = "NETRENDER_SLAVE_HANG_TIMEOUT", value_name = "SECONDS", help = help_of(SlaveSetting::HangTimeoutS))]
    pub hang_timeout: Option<f64>,
    #[arg(long, env = "NETRENDER_SLAVE_UPLOAD_INTERVAL", value_name = "SECONDS", help = help_of(SlaveSetting::UploadIntervalS))]
    pub upload_interval: Option<u32>,
    /// Remove jobs' files when the service ends; frames not handed in yet stay
    #[arg(long, env = "NETRENDER_SLAVE_CLEAR_ON_EXIT")]
    pub clear_on_exit: bool,
}

/// Help of a slave's setting, with its range and its default.
fn help_of(setting: SlaveSetting) -> String {
    let info = setting.info();
    let default = info.default.map(|default| format!(", default: {default}")).unwrap_or_default();
    format!("{} [{} to {}{default}]", info.help, info.min, info.max)
}

/// Reads the name of a device in any case.
fn device_parser() -> impl TypedValueParser<Value = DeviceChoice> {
    PossibleValuesParser::new(DeviceChoice::NAMES).try_map(|name| name.parse::<DeviceChoice>())
}

#[derive(Debug, Args)]
pub struct SubmitArguments {
    /// The scene to render
    #[arg(value_name = "FILE.blend")]
    pub file: PathBuf,
    /// For example 1-10,15,20-30x2 [default: the scene's own range]
    #[arg(long, env = "NETRENDER_FRAMES", allow_hyphen_values = true)]
    pub frames: Option<String>,
    /// The scene to render [default: the one that was open]
    #[arg(long, env = "NETRENDER_SCENE")]
    pub scene: Option<String>,
    /// The job's name [default: the file's]
    #[arg(long, env = "NETRENDER_JOB_NAME")]
    pub name: Option<String>,
    /// 0 to 100, more is sooner
    #[arg(long, default_value_t = 50, env = "NETRENDER_PRIORITY")]
    pub priority: u8,
    /// For grouping
    #[arg(long, default_value = "", env = "NETRENDER_CATEGORY", hide_default_value = true)]
    pub category: String,
    /// Frames per dispatch
    #[arg(long, default_value_t = 1, env = "NETRENDER_CHUNK")]
    pub chunk: u32,
    /// Words a slave must have
    #[arg(long, value_delimiter = ',', env = "NETRENDER_JOB_TAGS")]
    pub tags: Vec<String>,
    /// Whether several slaves may share one frame: every frame by "samples" or by "tiles", or
    /// "auto": by whichever gives the same picture, while there are fewer frames than slaves
    #[arg(long, value_enum, default_value_t = SplitMode::Off, env = "NETRENDER_SPLIT")]
    pub split: SplitMode,
    /// Let slaves whose Blenders differ in patch or build, or whose devices differ, share one frame
    #[arg(long, env = "NETRENDER_MIXED")]
    pub mixed: bool,
    /// Simulations that are not baked: leave them "as-is" (each slave begins again), "bake" them on
    /// one slave first, or render "in-order" on one slave at a time
    #[arg(long, value_enum, default_value_t = SimulationMode::AsIs, env = "NETRENDER_SIMULATIONS")]
    pub simulations: SimulationMode,
    /// The engine slaves render with [default: the scene's]
    #[arg(long, env = "NETRENDER_ENGINE")]
    pub engine: Option<String>,
    /// Stay until the job is over and show its progress
    #[arg(long)]
    pub wait: bool,
    /// Fetch the frames into this folder as they finish; waits
    #[arg(long, env = "NETRENDER_OUTPUT", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Also send this file or folder; may be given several times
    #[arg(long, env = "NETRENDER_ADD", value_name = "PATH")]
    pub add: Vec<PathBuf>,
    /// Send although files are missing or something else would go wrong
    #[arg(long)]
    pub send_anyway: bool,
    /// Only list the files and what would go wrong; send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The Blender that lists the scene's files [default: $BLENDER, else blender on the PATH]
    #[arg(long, env = "NETRENDER_BLENDER", value_name = "PATH")]
    pub blender: Option<PathBuf>,
}

/// None of these is in the environment: `NETRENDER_PRIORITY` is for jobs that are sent, not for
/// those in the queue.
#[derive(Debug, Args)]
pub struct SetArguments {
    /// The job's number
    pub id: u32,
    /// 0 to 100, more is sooner
    #[arg(long)]
    pub priority: Option<u8>,
    /// The job's name
    #[arg(long)]
    pub name: Option<String>,
    /// For grouping
    #[arg(long)]
    pub category: Option<String>,
    /// Frames per dispatch
    #[arg(long)]
    pub chunk: Option<u32>,
    /// Words a slave must have; "" for none
    #[arg(long, value_delimiter = ',')]
    pub tags: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitMode {
    Auto,
    Off,
    Samples,
    Tiles,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SimulationMode {
    AsIs,
    Bake,
    InOrder,
}

#[derive(Debug, Args)]
pub struct GetArguments {
    /// The job's number
    pub id: u32,
    /// For example 1-10,15 [default: every finished frame]
    #[arg(long, env = "NETRENDER_FRAMES", allow_hyphen_values = true)]
    pub frames: Option<String>,
    /// exr, jpg, or outputs for the files of File Output nodes ("final" is not there yet)
    #[arg(long, default_value = "exr", env = "NETRENDER_WHAT")]
    pub what: String,
    /// The folder to write to
    #[arg(long, env = "NETRENDER_OUTPUT", value_name = "DIR")]
    pub output: PathBuf,
}
