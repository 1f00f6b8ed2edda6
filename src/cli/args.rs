//! The command line.

mod format;
mod machine;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use format::*;
pub use machine::*;

/// Compile who may reach which container into iptables rules, and keep them in force
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Apply(ApplyArgs),
    #[command(hide = true)]
    AwaitConfirmation(AwaitArgs),
    Check(CheckArgs),
    Compile(CompileArgs),
    Completions(CompletionsArgs),
    Confirm(ConfirmArgs),
    Diff(DiffArgs),
    Doctor(DoctorArgs),
    Drift(DriftArgs),
    Explain(ExplainArgs),
    Fmt(FmtArgs),
    Graph(GraphArgs),
    Import(ImportArgs),
    Install(InstallArgs),
    Inventory(InventoryArgs),
    /// Serve an editor over standard input and output: the Language Server Protocol
    Lsp,
    Manual(ManualArgs),
    Matrix(MatrixArgs),
    Plan(PlanArgs),
    Report(ReportArgs),
    Rollback(RollbackArgs),
    Status(StatusArgs),
    Trace(TraceArgs),
    Uninstall(UninstallArgs),
    Watch(WatchArgs),
}

/// Tell every mistake in a policy
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Main file of the policy
    pub policy: PathBuf,

    /// Look at this machine, too: at its engine, and at files that would undo kernel settings
    #[arg(long, conflicts_with = "format")]
    pub live: bool,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    /// Compose files to compare the policy with; later ones go on top of earlier ones
    #[arg(long, value_name = "FILE")]
    pub compose: Vec<PathBuf>,

    #[command(flatten)]
    pub project: ProjectArgs,

    #[command(flatten)]
    pub levels: LevelArgs,

    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
}

/// Write the bundle that a policy becomes; needs neither root nor Docker
#[derive(Debug, Args)]
pub struct CompileArgs {
    /// Main file of the policy
    pub policy: PathBuf,

    /// Folder for the bundle; one that holds a bundle is replaced
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// Compile for the host of this name; a policy with several hosts needs it
    #[arg(long = "host", value_name = "NAME", conflicts_with = "all_hosts")]
    pub host_name: Option<String>,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    /// Write a bundle for each host, to a folder of its name below DIR
    #[arg(long)]
    pub all_hosts: bool,

    /// Write the rules without comparing them with the policy: faster, and for rules that are too many
    /// to be compared
    #[arg(long)]
    pub unproven: bool,

    /// Write long lists as lists, a rule for each prefix, instead of trees of chains
    #[arg(long)]
    pub no_optimise: bool,

    #[command(flatten)]
    pub levels: LevelArgs,
}

// No doc comment: clap would take it for that of the command which this is part of.
#[derive(Debug, Args)]
pub struct LevelArgs {
    /// Take a warning for a mistake: its code, or `warnings` for every one
    #[arg(long, value_name = "CODE")]
    pub deny: Vec<String>,

    /// Tell of a warning, as is usual, where `warnings` are denied or allowed
    #[arg(long, value_name = "CODE")]
    pub warn: Vec<String>,

    /// Do not tell of a warning: its code, or `warnings` for every one
    #[arg(long, value_name = "CODE")]
    pub allow: Vec<String>,
}

/// Print what a shell needs to complete tidegate's words
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Write the manual pages, one for each command and one of the language
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// Folder for them, as in /usr/local/share/man/man8
    pub folder: PathBuf,
}

/// Tell which new connections one set of rules allows that another does not; exit status 1 where any
///
/// Each side is a policy, a bundle's folder, a file that iptables-save printed, or `live`: the rules of
/// this machine.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// What is, or was
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,

    /// What is to be
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,

    #[command(flatten)]
    pub side: SideArgs,

    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

// No doc comment: clap would take it for that of the command which this is part of.
#[derive(Debug, Args)]
pub struct SideArgs {
    /// Ask in IPv6 alone; a saved file has the rules of one family
    #[arg(short = '6', long)]
    pub ipv6: bool,

    /// The policy's host of this name; a policy with several needs it
    #[arg(long = "host", value_name = "NAME")]
    pub host_name: Option<String>,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    /// Interface that leads everywhere else, with saved rules
    #[arg(long = "out", value_name = "INTERFACE", default_value = "eth0")]
    pub output: String,

    /// Which iptables to ask, with `live`
    #[arg(long, value_enum, default_value_t)]
    pub iptables: Iptables,
}

/// Tell who reaches whom on what, as the rules say
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// Main file of the policy: its rules below those of its engine, or with `--live` and `--rules`
    /// its names alone
    pub policy: PathBuf,

    /// Ask this machine's rules, addresses and routes as they are
    #[arg(long, conflicts_with = "rules")]
    pub live: bool,

    /// Ask rules that iptables-save printed
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,

    #[command(flatten)]
    pub side: SideArgs,

    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// Print what a code of a message means, and how to mend it
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// As in T0203; without it, every code with its meaning
    pub code: Option<String>,
}

/// Lay out policy files the one way; comments stay, and so does the meaning
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Policy files, folders with `.tide` files in them or below, or `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub paths: Vec<PathBuf>,

    /// Write nothing; list the files that would change, exit status 1 where any
    #[arg(long)]
    pub check: bool,

    /// Write nothing; print what would change, exit status 1 where anything
    #[arg(long)]
    pub diff: bool,
}

/// Draw who reaches whom, as the rules of a policy say
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Main file of the policy
    pub policy: PathBuf,

    #[arg(long, value_enum, default_value_t)]
    pub format: PictureFormat,

    #[command(flatten)]
    pub paper: PaperArgs,
}

/// Write a page for a review: the policy, who reaches whom and by which line, and what there is to say
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Main file of the policy
    pub policy: PathBuf,

    /// What was before: a policy or a bundle; the page tells what changes
    #[arg(long, value_name = "OLD")]
    pub against: Option<PathBuf>,

    #[command(flatten)]
    pub paper: PaperArgs,
}

// No doc comment: clap would take it for that of the command which this is part of.
#[derive(Debug, Args)]
pub struct PaperArgs {
    /// The policy's host of this name; a policy with several needs it
    #[arg(long = "host", value_name = "NAME")]
    pub host_name: Option<String>,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    /// File to write instead; of what is there, only an older picture or page of tidegate's is replaced
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Write a first policy from compose files or from a running engine
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Compose files; later ones go on top of earlier ones
    #[arg(value_name = "FILE", required_unless_present_any = ["engine", "inventory"])]
    pub compose: Vec<PathBuf>,

    /// Ask the engine of this machine
    #[arg(long, conflicts_with = "inventory")]
    pub engine: bool,

    /// Where the engine listens
    #[arg(long, value_name = "PATH", default_value = crate::host::SOCKET)]
    pub socket: PathBuf,

    /// File that an engine's answer was kept in; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    #[command(flatten)]
    pub project: ProjectArgs,

    /// File to write instead; it must not be there
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

// No doc comment: clap would take it for that of the command which this is part of.
#[derive(Debug, Args)]
pub struct ProjectArgs {
    /// File with the variables of compose files, instead of `.env` beside the first
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,

    /// Name of the compose project, where no file says it; else it is the folder's
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<String>,
}

/// Follow a packet through every rule that it meets; exit status 1 where it does not arrive
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct TraceArgs {
    /// Folder that `tidegate compile` wrote, or main file of a policy: its rules above those of its
    /// engine, or with `--live` and `--rules` its names and words alone
    #[arg(value_name = "BUNDLE|POLICY", required_unless_present_any = ["live", "rules"])]
    pub what: Option<PathBuf>,

    /// Who connects: an address, a name of the policy, `outside` or `host`
    #[arg(long, value_name = "WHO")]
    pub from: String,

    /// To whom; a container's published ports are asked for, too
    #[arg(long, value_name = "WHO")]
    pub to: String,

    /// As in `80/tcp`, `53/udp` or `icmp`; of a container by name it is the container's port
    #[arg(long, value_name = "SERVICE")]
    pub port: String,

    /// Follow it through this machine's rules, addresses and routes as they are
    #[arg(long, conflicts_with = "rules")]
    pub live: bool,

    /// Follow it through rules that iptables-save printed
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,

    /// Interface that it arrives by, where the source's address does not tell
    #[arg(long = "in", value_name = "INTERFACE")]
    pub input: Option<String>,

    /// Interface that leads everywhere else, with `--rules`
    #[arg(long = "out", value_name = "INTERFACE", default_value = "eth0")]
    pub output: String,

    /// Ask in IPv6 where names alone do not tell
    #[arg(short = '6', long)]
    pub ipv6: bool,

    /// A packet of a connection that is there, instead of the first one
    #[arg(long)]
    pub established: bool,

    /// Say only what became of it, and which rule and line decided
    #[arg(long)]
    pub why: bool,

    /// The policy's host of this name; a policy with several needs it
    #[arg(long = "host", value_name = "NAME")]
    pub host_name: Option<String>,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    /// Which iptables to ask, with `--live`
    #[arg(long, value_enum, default_value_t)]
    pub iptables: Iptables,

    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}
